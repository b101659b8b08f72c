/* The half of broker/broker.h that knows the scripts' arguments. */
#include "broker/broker.h"

#include "base/clock.h"
#include "base/digest.h"
#include "base/text.h"
#include "broker/keys.h"
#include "broker/publish_batch.h"
#include "protocol/lineage.h"
#include "redis/limiter.h"
#include "room/feed.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum {
    MEMBER_TTL_LEASES = 24,
    SHORTEST_NONCE_S = 60,
    NONCES_LEAST = 1000,
    JOINS_LIKE_A_CALL = 4,  /* so many more in a call of join.lua take as long as a call, */
    LEAVES_LIKE_A_CALL = 8, /* and of leave.lua */
    PUT_BACK_PATIENCE_MS = 60000,
    PAGE_LEAST_BYTES = 1 << 20,
    NAMES_BYTES = 256 << 20, /* of all rooms of a gateway that is dead, of a million */
    STRING_BYTES = 17 << 20, /* the longest message that another gateway may take */
};

uint64_t bus_member_ttl(const struct config *config)
{
    uint64_t leases = config->lease * MEMBER_TTL_LEASES;
    uint64_t burial = (config->lease + config->leave_grace) * 3; /* outlives its own funeral */
    return leases > burial ? leases : burial;
}

/* Renewed with the members: it outlives the events that are kept after the last of them left. */
static uint64_t head_ttl(const struct config *config)
{
    return bus_member_ttl(config) + config->retention;
}

static const char *print_number(char out[TEXT_NUMBER_BYTES], uint64_t number)
{
    text_number(number, out);
    return out;
}

static void new_epoch(char out[24])
{
    uint8_t random[9];
    digest_random(random, sizeof random);
    digest_base64url(random, sizeof random, out);
}

void bus_add_key(struct script_call *call, const char *key)
{
    script_add_key(call, key, strlen(key));
}

void bus_begin(const struct bus *bus, struct script_call *call, struct bus_scratch *scratch,
               struct bus_room room)
{
    scratch->head = key_part(room.base, "head");
    scratch->recent = key_part(room.base, "recent");
    new_epoch(scratch->epoch);
    scratch->numbers = bus_numbers(bus);
    bus_add_key(call, room.channel);
    bus_add_key(call, scratch->head.text);
    bus_add_key(call, scratch->recent.text);
}

void bus_end_keys(struct script_call *call, const struct bus_scratch *scratch)
{
    redis_words_add_string(&call->words, scratch->epoch);
    redis_words_add_string(&call->words, scratch->numbers->head_ttl);
    redis_words_add_string(&call->words, scratch->numbers->retention);
    redis_words_add_string(&call->words, scratch->numbers->most_kept);
}

static void add(struct script_call *call, const char *word)
{
    redis_words_add_string(&call->words, word);
}

/* As many nonces as a member can use within `retention`. */
static uint64_t most_nonces(const struct config *config)
{
    if (config->rate.per_second <= 0)
        return config->retention_messages > NONCES_LEAST ? config->retention_messages
                                                         : NONCES_LEAST;
    uint64_t most =
        (uint64_t)(config->rate.per_second * (double)config->retention + config->rate.burst);
    return most > NONCES_LEAST ? most : NONCES_LEAST;
}

/* Two messages of other gateways, which may have larger ones, fit in. */
static uint64_t page_bytes(const struct config *config)
{
    uint64_t most = config->max_message * 2;
    return most > PAGE_LEAST_BYTES ? most : PAGE_LEAST_BYTES;
}

/* The longest are many names, or a page of kept events: all of it, one event more, and what is
 * known of each. */
struct redis_replies_most bus_most_reply(const struct config *config)
{
    return (struct redis_replies_most){.bytes = (size_t)(NAMES_BYTES + 4 * page_bytes(config)),
                                       .string_bytes = (size_t)(STRING_BYTES + page_bytes(config))};
}

void bus_fill_numbers(struct bus_numbers *numbers, const struct config *config)
{
    uint64_t nonce_ttl =
        config->retention > SHORTEST_NONCE_S ? config->retention : SHORTEST_NONCE_S;
    print_number(numbers->head_ttl, head_ttl(config));
    print_number(numbers->retention, config->retention);
    print_number(numbers->most_kept, config->retention_messages);
    print_number(numbers->member_ttl, bus_member_ttl(config));
    print_number(numbers->most_members, config->max_members);
    print_number(numbers->most_nonces, most_nonces(config));
    print_number(numbers->nonce_ttl, nonce_ttl);
    print_number(numbers->page_bytes, page_bytes(config));
}

int bus_say(struct feed *feed, const struct bus_say *say, redis_done done, void *arg)
{
    struct bus *bus = feed_bus(feed);
    if (!redis_is_ready(bus_commands(bus)))
        return -1;
    outbox_add(bus_outbox(bus), feed, say, done, arg);
    return 0;
}

int bus_publish(struct feed *feed, const char *json, size_t len)
{
    struct bus *bus = feed_bus(feed);
    struct redis_words words;
    words.count = 0;
    outbox_flush(bus_outbox(bus));
    redis_words_add_string(&words, "PUBLISH");
    redis_words_add_string(&words, feed_channel(feed));
    redis_words_add(&words, json, len);
    return redis_send(bus_commands(bus), &words, NULL, NULL);
}

/* As how many calls it counts in the lane. */
static unsigned weigh(size_t count, size_t like_a_call)
{
    return 1 + (unsigned)(count / like_a_call);
}

/* Until when a join that is sent now is of use to anybody, by Redis' clock; 0: not known. A member
 * who is to be put back waits in line first, and is there whether Redis is quick or not. */
static int64_t find_end_ms(const struct bus *bus, const struct bus_join *join)
{
    int64_t patience_ms = join->restore ? PUT_BACK_PATIENCE_MS : REDIS_DEADLINE_MS;
    return bus_redis_ms(bus, clock_monotonic_ms() + patience_ms);
}

/* By Redis' clock; 0: not known. */
static int64_t find_asked_ms(const struct bus *bus, const struct bus_join *join)
{
    return join->asked_ms == 0 ? 0 : bus_redis_ms(bus, join->asked_ms);
}

/* The numbers of a join, as text. */
struct join_numbers {
    char asked[TEXT_NUMBER_BYTES], floor[TEXT_NUMBER_BYTES];
};

static void add_join(struct script_call *call, const struct bus *bus, const struct bus_join *join,
                     struct join_numbers *numbers)
{
    add(call, join->member.name);
    add(call, join->member.address);
    add(call, join->member.shown);
    add(call, join->member.session);
    add(call, join->fresh.id);
    add(call, join->fresh.hash);
    add(call, join->shown.id);
    add(call, join->shown.hash);
    add(call, join->number_base);
    add(call, print_number(numbers->asked, (uint64_t)find_asked_ms(bus, join)));
    add(call, join->restore ? "1" : "0");
    add(call, print_number(numbers->floor, join->floor));
    add(call, join->floor_epoch == NULL ? "" : join->floor_epoch);
}

int bus_join(struct feed *feed, const struct bus_join *joins, size_t count, redis_done done,
             void *arg)
{
    struct key keys[BUS_JOIN_MOST], left_keys[BUS_JOIN_MOST];
    struct join_numbers numbers[BUS_JOIN_MOST];
    char end[TEXT_NUMBER_BYTES];
    struct bus *bus = feed_bus(feed);
    const struct config *config = bus_config(bus);
    const struct bus_room room = feed_room(feed);
    struct script_call call;
    struct bus_scratch scratch;
    struct key set = key_part(room.base, "members");
    struct key member_base = key_item(room.base, "member", "");
    struct key gateway_base = key_gateway_channel(config, "");
    assert(count > 0 && count <= BUS_JOIN_MOST);
    script_begin(&call, "join");
    bus_begin(bus, &call, &scratch, room);
    bus_add_key(&call, set.text);
    for (size_t i = 0; i < count; i++) {
        keys[i] = key_item(room.base, "member", joins[i].member.folded);
        left_keys[i] = key_item(room.base, "left", joins[i].shown.id);
        bus_add_key(&call, keys[i].text);
        bus_add_key(&call, left_keys[i].text);
    }
    bus_end_keys(&call, &scratch);
    add(&call, config->gateway_id);
    add(&call, scratch.numbers->member_ttl);
    add(&call, scratch.numbers->most_members);
    add(&call, member_base.text);
    add(&call, gateway_base.text);
    add(&call, print_number(end, (uint64_t)find_end_ms(bus, &joins[0])));
    for (size_t i = 0; i < count; i++)
        add_join(&call, bus, &joins[i], &numbers[i]);
    return lane_run(bus_lane(bus), &call, weigh(count, JOINS_LIKE_A_CALL), done, arg);
}

static enum bus_join_status read_in(const struct redis_reply *answer, struct bus_joined *out)
{
    const char *id = redis_reply_string(redis_reply_at(answer, 1), NULL);
    const char *epoch = redis_reply_string(redis_reply_at(answer, 4), NULL);
    if (id == NULL || strlen(id) >= sizeof out->id || epoch == NULL || !lineage_is_epoch(epoch))
        return BUS_FAILED;
    memcpy(out->id, id, strlen(id) + 1);
    out->seq = redis_reply_number(redis_reply_at(answer, 2));
    out->floor = redis_reply_number(redis_reply_at(answer, 3));
    snprintf(out->epoch, sizeof out->epoch, "%s", epoch);
    return BUS_JOINED;
}

enum bus_join_status bus_read_joined(const struct redis_reply *reply, size_t index,
                                     struct bus_joined *out)
{
    const struct redis_reply *answer = redis_reply_at(reply, index);
    const char *status = redis_reply_string(redis_reply_at(answer, 0), NULL);
    if (status == NULL)
        return BUS_FAILED;
    if (strcmp(status, "full") == 0)
        return BUS_FULL;
    if (strcmp(status, "moved") == 0)
        return BUS_MOVED;
    if (strcmp(status, "late") == 0)
        return BUS_LATE;
    if (strcmp(status, "taken") == 0) {
        out->number = (unsigned)redis_reply_number(redis_reply_at(answer, 1));
        return BUS_TAKEN;
    }
    enum bus_join_status in = read_in(answer, out);
    return in == BUS_JOINED && strcmp(status, "resumed") == 0 ? BUS_RESUMED : in;
}

int bus_leave(struct feed *feed, const struct bus_leave *leaves, size_t count, redis_done done,
              void *arg)
{
    struct key keys[BUS_LEAVE_MOST];
    struct bus *bus = feed_bus(feed);
    const struct bus_room room = feed_room(feed);
    struct script_call call;
    struct bus_scratch scratch;
    struct key set = key_part(room.base, "members");
    struct key left_base = key_item(room.base, "left", "");
    struct key member_base = key_item(room.base, "member", "");
    assert(count > 0 && count <= BUS_LEAVE_MOST);
    script_begin(&call, "leave");
    bus_begin(bus, &call, &scratch, room);
    bus_add_key(&call, set.text);
    for (size_t i = 0; i < count; i++) {
        keys[i] = key_item(room.base, "member", leaves[i].member.folded);
        bus_add_key(&call, keys[i].text);
    }
    bus_end_keys(&call, &scratch);
    add(&call, bus_config(bus)->gateway_id);
    add(&call, left_base.text);
    add(&call, member_base.text);
    for (size_t i = 0; i < count; i++) {
        add(&call, leaves[i].member.session);
        add(&call, leaves[i].said ? "1" : "0");
        add(&call, leaves[i].spared);
    }
    outbox_flush(bus_outbox(bus)); /* what was said before is heard before */
    return lane_run(bus_lane(bus), &call, weigh(count, LEAVES_LIKE_A_CALL), done, arg);
}

int bus_refresh(struct feed *feed, const struct bus_member *members, size_t count, redis_done done,
                void *arg)
{
    struct key keys[BUS_REFRESH_MOST];
    struct bus *bus = feed_bus(feed);
    const struct bus_room room = feed_room(feed);
    struct script_call call;
    struct bus_scratch scratch;
    struct key set = key_part(room.base, "members");
    struct key member_base = key_item(room.base, "member", "");
    struct key left_base = key_item(room.base, "left", "");
    script_begin(&call, "refresh");
    bus_begin(bus, &call, &scratch, room);
    bus_add_key(&call, set.text);
    for (size_t i = 0; i < count; i++) {
        keys[i] = key_item(room.base, "member", members[i].folded);
        bus_add_key(&call, keys[i].text);
    }
    bus_end_keys(&call, &scratch);
    add(&call, scratch.numbers->member_ttl);
    add(&call, member_base.text);
    add(&call, left_base.text);
    for (size_t i = 0; i < count; i++)
        add(&call, members[i].session);
    return lane_run(bus_lane(bus), &call, 1, done, arg);
}

int bus_ours(struct feed *feed, const char *cursor, size_t most, redis_done done, void *arg)
{
    struct bus *bus = feed_bus(feed);
    const struct bus_room room = feed_room(feed);
    struct script_call call;
    struct bus_scratch scratch;
    struct key set = key_part(room.base, "members");
    struct key member_base = key_item(room.base, "member", "");
    char number[TEXT_NUMBER_BYTES];
    script_begin(&call, "ours");
    bus_begin(bus, &call, &scratch, room);
    bus_add_key(&call, set.text);
    bus_end_keys(&call, &scratch);
    add(&call, bus_config(bus)->gateway_id);
    add(&call, member_base.text);
    add(&call, cursor);
    add(&call, print_number(number, most));
    return lane_run(bus_lane(bus), &call, 1, done, arg);
}

void bus_trim(struct feed *feed, uint64_t seq)
{
    struct bus *bus = feed_bus(feed);
    struct script_call call;
    struct bus_scratch scratch;
    char number[TEXT_NUMBER_BYTES];
    script_begin(&call, "trim");
    bus_begin(bus, &call, &scratch, feed_room(feed));
    bus_end_keys(&call, &scratch);
    add(&call, print_number(number, seq));
    add(&call, feed_epoch(feed));
    script_run(bus_commands(bus), &call, NULL, NULL);
}

bool bus_is_other_epoch(const struct redis_reply *reply)
{
    static const char code[] = "OTHEREPOCH";
    return redis_reply_is_error(reply) && reply != NULL &&
           strncmp(redis_reply_string(reply, NULL), code, sizeof code - 1) == 0;
}

uint64_t bus_number(const struct redis_reply *reply)
{
    return redis_reply_is_error(reply) ? 0 : redis_reply_number(reply);
}
