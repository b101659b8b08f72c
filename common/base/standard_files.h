/* standard_files: descriptors 0, 1 and 2 are there. Whoever starts a process with one of them
 * closed would have the next file that it opens, a socket of ours, take that number: what is
 * written to standard error would then go to Redis, or to a member. */
#ifndef YUKIZURI_BASE_STANDARD_FILES_H
#define YUKIZURI_BASE_STANDARD_FILES_H

#include <stdbool.h>

/* To be called before anything is opened: /dev/null takes the place of each that is closed. Returns
 * 0; or -1 with errno when there is no /dev/null. `has_output`: was standard output open? */
int standard_files_hold(bool *has_output);

#endif
