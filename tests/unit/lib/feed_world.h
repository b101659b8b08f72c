/* feed_world: one room's feed over a scripted Redis (fake_redis.h), and what it tells, written down
 * as words. The only file of the feed's tests that names the functions under test. */
#ifndef YUKIZURI_FEED_WORLD_H
#define YUKIZURI_FEED_WORLD_H

#include "base/text.h"
#include "broker/broker.h"
#include "fake_redis.h"
#include "room/feed.h"

#include <stdbool.h>
#include <stdint.h>

#define FEED_CHANNEL "yukizuri:{tea}"

struct feed_world {
    struct event_base *base;
    struct fake_redis *fake;
    struct config config;
    struct metrics metrics;
    struct broker *broker;
    struct feed *feed;      /* NULL: it is not open */
    struct text told, last; /* what it told, see delivered */
    size_t words;           /* so many words were told */
    size_t end_at;          /* the feed is closed from within its word of this number; 0: not */
};

/* For cmocka: *state is the world. The broker is up, no feed is open. */
int feed_world_set_up(void **state);
int feed_world_tear_down(void **state);

void open_feed(struct feed_world *world);
void close_feed(struct feed_world *world);

/* The second that the server counts for it. */
void tick(struct feed_world *world);

/* The list of members is wanted once more. */
void want_roster(struct feed_world *world);

/* Somebody was told of another epoch. */
void doubt_epoch(struct feed_world *world);

/* Are the numbers that it delivers those of its epoch? */
bool is_settled(const struct feed_world *world);

/* Lets everything happen that follows from what was sent, and returns what the feed told since the
 * last call, a space between two words:
 *   [ ID … ]COUNT       the list of members            start:SEQ    it was exact at this number
 *   again:p9            an event that it lacks          +m9          remembered, the list has it
 *   m9, p9              message, presence: the next     typing, notice:TEXT
 *   gap:SEQ/MISSED      passed unseen                   reset:SEQ/FORK another numbering
 *   epoch:EPOCH         numbers go on in it             live         opening is complete */
const char *delivered(struct feed_world *world);

/* --- What Redis publishes --- */

/* Events in short: "m9" is a message of number 9, "p9" presence. Several, with spaces. */
void publish(struct feed_world *world, const char *events);

/* The same as in a cluster, where they say of which epoch they are. */
void publish_in(struct feed_world *world, const char *epoch, const char *events);
void publish_epoch(struct feed_world *world, const char *epoch, uint64_t seq);

/* --- What it answers --- */

/* `members` are ids, with spaces; their names and addresses follow from them. */
struct roster_answer {
    const char *epoch;
    uint64_t seq, said, count;
    const char *members;
};
void answer_roster(struct fake_redis_call *call, struct roster_answer answer);

/* The next call for the list is answered. */
void give_roster(struct feed_world *world, struct roster_answer answer);

/* Of a page of kept events: "m9/4 p10/4" are a message of number 9, the fourth that was said, and
 * presence. */
struct kept_answer {
    const char *epoch;
    uint64_t head, said;
    const char *forks; /* or NULL */
    const char *last;  /* entry that ends the page; NULL: there is no more */
    const char *events;
};
void answer_kept(struct fake_redis_call *call, struct kept_answer answer);

/* The next call for kept events is answered; `after` is the number that it asks from. */
void give_kept(struct feed_world *world, uint64_t after, struct kept_answer answer);

/* Opens the feed with nobody in the list; it has told "live", and `seq` is its last number, in the
 * epoch "one". So many of the numbers were messages. */
void open_live_at(struct feed_world *world, uint64_t seq, uint64_t said);

/* The call waits and nothing has answered it: the number of which it asks what came after. */
uint64_t asked_after(const struct fake_redis_call *kept);

/* How many times kept events, and the list, were asked for so far. */
size_t kept_calls(const struct feed_world *world);
size_t roster_calls(const struct feed_world *world);

/* The subscribing connection is lost, and comes back: the feed's channel is subscribed again. */
void lose_subscription(struct feed_world *world);
void await_subscription(struct feed_world *world);

#endif
