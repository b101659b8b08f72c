#include "session/address_key.h"

#include "base/clock.h"
#include "base/digest.h"
#include "base/memory.h"
#include "base/text.h"
#include "broker/topic.h"
#include "redis/error_log.h"

#include <stdlib.h>
#include <string.h>

enum {
    DAY_MS = 86400000,
    RANDOM_BYTES = 32,
    TEXT_LEN = 43, /* of so many bytes, in base64url */
    DAYS = 2,      /* today and tomorrow */
};

struct day_key {
    int64_t day; /* since 1970, UTC */
    bool agreed; /* Redis has it */
    char text[TEXT_LEN + 1];
    uint8_t hash[DIGEST_SHA256_BYTES]; /* of the text: what addresses are hashed with */
    int64_t asked_ms;                  /* monotonic; 0: never */
};

struct address_key {
    struct broker *broker;
    const struct commands *commands; /* its own */
    void (*on_agreed)(void *arg);
    void *arg;
    bool repair_logged;
    struct day_key days[DAYS]; /* by the day's number */
};

static int64_t today(void)
{
    return clock_wall_ms() / DAY_MS;
}

static const struct day_key *find_key(const struct address_key *keys, int64_t day)
{
    const struct day_key *key = &keys->days[day % DAYS];
    return key->agreed && key->day == day ? key : NULL;
}

/* The key of that day, made up should there be none yet. */
static struct day_key *make_key(struct address_key *keys, int64_t day)
{
    uint8_t random[RANDOM_BYTES];
    struct day_key *key = &keys->days[day % DAYS];
    if (key->day == day)
        return key;
    *key = (struct day_key){.day = day};
    digest_random(random, sizeof random);
    digest_base64url(random, sizeof random, key->text);
    return key;
}

static struct key name_key(const struct address_key *keys, int64_t day)
{
    char number[TEXT_NUMBER_BYTES];
    text_number((uint64_t)day, number);
    return key_item(keys->commands->config->redis_prefix, "cloak", number);
}

/* --- Asking --- */

struct question {
    struct address_key *keys;
    int64_t day;
};

static void adopt(struct address_key *keys, struct day_key *key, const char *text)
{
    bool is_news = !key->agreed;
    memcpy(key->text, text, TEXT_LEN);
    digest_sha256(key->text, TEXT_LEN, key->hash);
    key->agreed = true;
    if (is_news)
        keys->on_agreed(keys->arg);
}

/* Somebody has put something else there by hand. */
static void repair(struct address_key *keys, const struct day_key *key)
{
    struct key name = name_key(keys, key->day);
    char ttl[TEXT_NUMBER_BYTES];
    text_number(script_settings_member_ttl(keys->commands->config), ttl);
    error_log_repair(keys->commands->log, name.text, &keys->repair_logged);
    redis_send_strings(keys->commands->redis, NULL, NULL, "SET", name.text, key->text, "EX", ttl,
                       NULL);
}

static void on_key(void *arg, const struct redis_reply *reply)
{
    struct question *question = arg;
    struct address_key *keys = question->keys;
    struct day_key *key = &keys->days[question->day % DAYS];
    size_t len = 0;
    const char *text = redis_reply_is_error(reply) ? NULL : redis_reply_string(reply, &len);
    if (key->day != question->day)
        ; /* that day is over */
    else if (text != NULL && len == TEXT_LEN)
        adopt(keys, key, text);
    else if (text != NULL || redis_reply_has_error(reply, "WRONGTYPE"))
        repair(keys, key);
    free(question);
}

/* Whoever writes first decides; whoever knows the day's key writes that. */
static void ask_for(struct address_key *keys, int64_t day)
{
    struct redis *redis = keys->commands->redis;
    struct day_key *key = make_key(keys, day);
    struct key name = name_key(keys, day);
    char ttl[TEXT_NUMBER_BYTES];
    struct question *question = memory_new(sizeof *question);
    *question = (struct question){keys, day};
    text_number(script_settings_member_ttl(keys->commands->config), ttl);
    redis_send_strings(redis, NULL, NULL, "SET", name.text, key->text, "NX", "EX", ttl, NULL);
    redis_send_strings(redis, NULL, NULL, "EXPIRE", name.text, ttl, NULL);
    if (redis_send_strings(redis, on_key, question, "GET", name.text, NULL) != 0)
        free(question);
    key->asked_ms = clock_monotonic_ms();
}

void address_key_ask(struct address_key *keys)
{
    for (int64_t day = today(), last = day + DAYS; day < last; day++)
        ask_for(keys, day);
}

static bool is_key_due(const struct address_key *keys, int64_t day)
{
    const struct day_key *key = find_key(keys, day);
    int64_t every_ms = (int64_t)keys->commands->config->lease * 1000 / 3;
    return key == NULL || clock_monotonic_ms() - key->asked_ms >= every_ms;
}

void address_key_tick(struct address_key *keys)
{
    if (!broker_is_up(keys->broker))
        return;
    for (int64_t day = today(), last = day + DAYS; day < last; day++)
        if (is_key_due(keys, day))
            ask_for(keys, day);
}

/* --- Using --- */

bool address_key_is_ready(const struct address_key *keys)
{
    return find_key(keys, today()) != NULL;
}

const uint8_t *address_key_today(const struct address_key *keys)
{
    const struct day_key *key = find_key(keys, today());
    return key == NULL ? NULL : key->hash;
}

void address_key_display(const struct address_key *keys, const struct address *address,
                         unsigned show, char out[ADDRESS_TEXT_BYTES])
{
    static const uint8_t none[DIGEST_SHA256_BYTES];
    int64_t day = today();
    const struct day_key *key = find_key(keys, day);
    out[0] = '\0';
    if (show != ADDRESS_CLOAK)
        address_display(address, show, none, day, out);
    else if (key != NULL)
        address_display(address, show, key->hash, day, out);
}

void address_key_mark(const struct address_key *keys, const struct address *address,
                      char out[ADDRESS_MARK_BYTES])
{
    const struct day_key *key = find_key(keys, today());
    out[0] = '\0';
    if (key != NULL)
        address_mark(address, key->hash, out);
}

/* --- Life --- */

struct address_key *address_key_new(struct broker *broker, void (*on_agreed)(void *arg), void *arg)
{
    struct address_key *keys = memory_new(sizeof *keys);
    keys->broker = broker;
    keys->commands = broker_commands(broker);
    keys->on_agreed = on_agreed;
    keys->arg = arg;
    return keys;
}

void address_key_free(struct address_key *keys)
{
    free(keys);
}
