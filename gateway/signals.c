#include "signals.h"

#include "memory.h"

#include <event2/event.h>
#include <stddef.h>
#include <stdlib.h>

static const int handled[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};
static const int ignored[] = {SIGPIPE, SIGALRM, SIGVTALRM, SIGPROF,  SIGUSR2,
                              SIGIO,   SIGPWR,  SIGXFSZ,   SIGSTKFLT};

enum { HANDLED = sizeof handled / sizeof *handled, IGNORED = sizeof ignored / sizeof *ignored };

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
    for (size_t i = 0; i < HANDLED; i++)
        sigaddset(&waiting, handled[i]);
    sigprocmask(SIG_SETMASK, &waiting, NULL);
    for (size_t i = 0; i < IGNORED; i++)
        set_disposition(ignored[i], SIG_IGN);
    for (int number = SIGRTMIN; number <= SIGRTMAX; number++)
        set_disposition(number, SIG_IGN);
    set_disposition(SIGCHLD, SIG_DFL);
}

static void let_in(void)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

struct signals {
    void (*on_signal)(void *arg, int number);
    void *arg;
    struct event *events[HANDLED];
};

static void on_event(evutil_socket_t number, short events, void *arg)
{
    (void)events;
    const struct signals *signals = arg;
    signals->on_signal(signals->arg, number);
}

struct signals *signals_watch(struct event_base *base, void (*on_signal)(void *arg, int number),
                              void *arg)
{
    struct signals *signals = memory_new(sizeof *signals);
    signals->on_signal = on_signal;
    signals->arg = arg;
    for (size_t i = 0; i < HANDLED; i++) {
        signals->events[i] = evsignal_new(base, handled[i], on_event, signals);
        event_add(signals->events[i], NULL);
    }
    let_in();
    return signals;
}

void signals_end(struct signals *signals)
{
    sigset_t before;
    signals_hold(&before);
    if (signals == NULL)
        return;
    for (size_t i = 0; i < HANDLED; i++)
        event_free(signals->events[i]);
    free(signals);
}

void signals_hold(sigset_t *before)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, before);
}

void signals_release(const sigset_t *before)
{
    sigprocmask(SIG_SETMASK, before, NULL);
}

void signals_restore(void)
{
    for (int number = 1; number <= SIGRTMAX; number++)
        set_disposition(number, SIG_DFL);
    let_in();
}
