/* signals: what each signal does to a process of ours, from its first instruction on.
 *
 * Those that something is done about (SIGTERM, SIGINT, SIGHUP, SIGUSR1) wait until whoever does it
 * is ready: one that came earlier would end the process, as the kernel does with a signal that
 * nobody handles. Those that mean nothing here (a timer, a pipe without a reader, a file that has
 * reached its limit, SIGUSR2, …) are ignored, and what a write or a timer cannot do shows where it
 * was asked for. All others do what they do to every process. */
#ifndef YUKIZURI_BASE_SIGNALS_H
#define YUKIZURI_BASE_SIGNALS_H

#include <signal.h>

/* The first thing that a process does, whatever it inherited from its parent. */
void signals_begin(void);

enum { SIGNALS_HANDLED = 4 };
extern const int signals_handled[SIGNALS_HANDLED]; /* SIGTERM, SIGINT, SIGHUP, SIGUSR1 */

/* Handlers are there: those that came since signals_begin run now. */
void signals_unblock(void);

/* Around a fork: the child must not run its parent's handlers, whose pipes it shares. And around
 * the start of a thread, which inherits the mask: signals are the loop's. All are blocked in the
 * calling thread from here on but SIGSYS, which tells of a system call that the sandbox forbids;
 * `before` is the mask until then, which signals_set_mask puts in force again. */
void signals_block(sigset_t *before);
void signals_set_mask(const sigset_t *before);

/* In a child that is about to become another program: as if it had been started by a shell. */
void signals_reset(void);

#endif
