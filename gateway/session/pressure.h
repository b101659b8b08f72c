/* pressure: how hard it is to come in at the moment: 0 as always; 1 everything costs twice as much
 * of `rate`; 2 newcomers do a proof of work; 3 no newcomers. It is the greatest of the setting, of
 * what an operator has put into Redis (P:pressure), and of what this gateway has raised it to by
 * itself, because more newcomers came in a second than `pressure-joins`. That falls again, a step
 * at a time. */
#ifndef YUKIZURI_SESSION_PRESSURE_H
#define YUKIZURI_SESSION_PRESSURE_H

#include "broker/broker.h"
#include "telemetry/log.h"

enum { PRESSURE_COSTS = 1, PRESSURE_WORK = 2, PRESSURE_CLOSED = 3 };

struct pressure;

/* All of it must outlive it; Redis' replies must have come or been failed before pressure_free. */
struct pressure *pressure_new(const struct commands *commands);

/* NULL is fine. */
void pressure_free(struct pressure *pressure);

unsigned pressure_level(const struct pressure *pressure);

/* When what the operator has ordered ends, if that is what makes the level: Redis' clock, ms; else
 * 0. */
int64_t pressure_until_ms(const struct pressure *pressure);

/* Somebody new has asked to come in. */
void pressure_note_newcomer(struct pressure *pressure);

/* To be called once a second. */
void pressure_tick(struct pressure *pressure);

#endif
