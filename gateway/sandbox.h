/* sandbox: from here on the process makes the system calls that a running gateway needs, and no
 * others (seccomp(2)): it starts no program, makes no process, opens no ring, changes no user. What
 * has to be forked later is forked by others, who are outside (redis/spawner, supervisor). */
#ifndef YUKIZURI_SANDBOX_H
#define YUKIZURI_SANDBOX_H

#include <stddef.h>

/* Closes the sandbox around every thread, those to come as well; there is no way out. A call that
 * is not allowed then ends the process with status 1 and a line on standard error that names it. 0;
 * or -1 with a sentence in `error`, all being as before. */
int sandbox_enter(char *error, size_t error_size);

#endif
