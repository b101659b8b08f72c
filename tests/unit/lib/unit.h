/* unit: what every unit test includes, in the order that cmocka asks for. */
#ifndef YUKIZURI_UNIT_H
#define YUKIZURI_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#endif
