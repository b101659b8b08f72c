#include "base/signals.h"

#include <stddef.h>

const int signals_handled[SIGNALS_HANDLED] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};
static const int ignored[] = {SIGPIPE, SIGALRM, SIGVTALRM, SIGPROF,  SIGUSR2,
                              SIGIO,   SIGPWR,  SIGXFSZ,   SIGSTKFLT};

enum { IGNORED = sizeof ignored / sizeof *ignored };

static void set_disposition(int number, void (*disposition)(int))
{
    struct sigaction action = {.sa_handler = disposition};
    sigemptyset(&action.sa_mask);
    sigaction(number, &action, NULL); /* it fails for those that are the C library's own */
}

/* A parent may have left us its mask, and SIGCHLD ignored: then nobody could wait for a child. */
void signals_begin(void)
{
    sigset_t waiting;
    sigemptyset(&waiting);
    for (size_t i = 0; i < SIGNALS_HANDLED; i++)
        sigaddset(&waiting, signals_handled[i]);
    sigprocmask(SIG_SETMASK, &waiting, NULL);
    for (size_t i = 0; i < IGNORED; i++)
        set_disposition(ignored[i], SIG_IGN);
    for (int number = SIGRTMIN; number <= SIGRTMAX; number++)
        set_disposition(number, SIG_IGN);
    set_disposition(SIGCHLD, SIG_DFL);
}

void signals_unblock(void)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

void signals_block(sigset_t *before)
{
    sigset_t all;
    sigfillset(&all);
    sigdelset(&all, SIGSYS);
    sigprocmask(SIG_SETMASK, &all, before);
}

void signals_set_mask(const sigset_t *before)
{
    sigprocmask(SIG_SETMASK, before, NULL);
}

void signals_reset(void)
{
    for (int number = 1; number <= SIGRTMAX; number++)
        set_disposition(number, SIG_DFL);
    signals_unblock();
}
