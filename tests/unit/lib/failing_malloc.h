/* failing_malloc: memory that runs out in the libraries. It takes the place of malloc, calloc and
 * realloc in a program that is linked with it; an allocation of the program's own code, which ends
 * the process when it fails (base/memory.h), never fails here.
 *
 *     for (unsigned n = 1; failed; n++) {
 *         failing_malloc_begin(n, FAILING_ONCE);
 *         ...
 *         failed = failing_malloc_end();
 *     }
 */
#ifndef YUKIZURI_UNIT_FAILING_MALLOC_H
#define YUKIZURI_UNIT_FAILING_MALLOC_H

#include <stdbool.h>

enum failing_malloc {
    FAILING_ONCE,  /* the n-th allocation alone */
    FAILING_ONWARD /* and all that follow */
};

/* From here on the n-th allocation of a library fails. */
void failing_malloc_begin(unsigned n, enum failing_malloc how);

/* From here on none fails. Has one? */
bool failing_malloc_end(void);

#endif
