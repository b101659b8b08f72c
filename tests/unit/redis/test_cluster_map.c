/* The slots of keys, the maps that nodes tell, and where they redirect to: whatever comes. */
#include "unit.h"

#include "resp_value.h"

#include "redis/cluster_map.h"

#include <event2/buffer.h>

static const struct cluster_asked plain = {.host = "asked.example"};
static const struct cluster_asked secure = {.host = "asked.example", .tls = true};

/* --- Slots --- */

static void test_the_slot_of_a_key_is_that_of_the_specification(void **state)
{
    static const struct {
        const char *key;
        unsigned slot;
    } known[] = {
        {"", 0}, {"123456789", 0x31C3}, {"foo", 12182}, {"lobby", 10294}, {"a", 15495},
    };
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        assert_int_equal(cluster_slot(known[i].key, strlen(known[i].key)), known[i].slot);
}

static unsigned slot_of(const char *key)
{
    return cluster_slot(key, strlen(key));
}

static void test_keys_of_one_hash_tag_are_in_one_slot(void **state)
{
    (void)state;
    assert_int_equal(slot_of("yukizuri:{lobby}:head"), slot_of("lobby"));
    assert_int_equal(slot_of("yukizuri:{lobby}gateway-1}"), slot_of("lobby"));
    assert_int_equal(slot_of("{foo}{bar}"), slot_of("foo"));
    assert_int_equal(slot_of("a}{foo}"), slot_of("foo"));
    assert_int_equal(slot_of("{{foo}}"), slot_of("{foo"));
}

static void test_an_empty_or_open_tag_is_none(void **state)
{
    (void)state;
    assert_int_not_equal(slot_of("{}foo"), slot_of(""));
    assert_int_not_equal(slot_of("{}foo"), slot_of("foo"));
    assert_int_not_equal(slot_of("{foo"), slot_of("foo"));
    assert_int_equal(cluster_slot("lobby", 0), 0);
    assert_int_equal(cluster_slot("lobbyX", 5), slot_of("lobby"));
}

/* --- Maps --- */

typedef int (*reading)(const struct redis_reply *reply, const struct cluster_asked *asked,
                       struct cluster_map *out);

static int read_map(reading read, const char *value, const struct cluster_asked *asked,
                    struct cluster_map *out)
{
    static const struct redis_reply_limits limits = {1 << 20, 1 << 20};
    struct evbuffer *bytes = evbuffer_new();
    struct redis_replies *replies = redis_replies_new(&limits, NULL, NULL);
    const struct redis_reply *reply = NULL;
    resp_add_value(bytes, value);
    size_t len = evbuffer_get_length(bytes);
    redis_replies_feed(replies, (const char *)evbuffer_pullup(bytes, -1), len);
    assert_int_equal(redis_replies_next(replies, &reply), 0);
    int result = read(reply, asked, out);
    redis_replies_free(replies);
    evbuffer_free(bytes);
    return result;
}

/* "HOST:PORT" of who has the slot, or "" */
static const char *owner(const struct cluster_map *map, unsigned slot)
{
    static char text[300];
    uint16_t at = map->slots[slot];
    if (at == CLUSTER_NO_NODE)
        return "";
    assert_true(at < map->node_count);
    snprintf(text, sizeof text, "%s:%d", map->nodes[at].host, map->nodes[at].port);
    return text;
}

struct owned {
    unsigned slot;
    const char *owner;
};

/* The value is a map of so many nodes, in which these slots have these owners; up to one without an
 * owner. */
static void expect_map(reading read, const struct cluster_asked *asked, const char *value,
                       size_t nodes, const struct owned *expected)
{
    struct cluster_map map;
    assert_int_equal(read_map(read, value, asked, &map), 0);
    assert_int_equal(map.node_count, nodes);
    for (; expected->owner != NULL; expected++)
        assert_string_equal(owner(&map, expected->slot), expected->owner);
    cluster_map_done(&map);
}

#define MASTER(host, port)                                                                         \
    "['id', 'x', 'port', " port ", 'ip', '" host "', 'endpoint', '" host                           \
    "', 'role', 'master', 'health', 'online']"
#define REPLICA(host, port)                                                                        \
    "['id', 'y', 'port', " port ", 'ip', '" host "', 'endpoint', '" host                           \
    "', 'role', 'replica', 'health', 'online']"

#define FIRST       MASTER("10.0.0.1", "6379")
#define ITS_REPLICA REPLICA("10.0.0.9", "6379")
#define SECOND      MASTER("::1", "7000")
#define IDLE        MASTER("10.0.0.3", "6379")

static void test_a_map_of_shards_has_the_masters_of_the_slots(void **state)
{
    static const char value[] = "[['slots', [0, 5, 10, 10], 'nodes', [" ITS_REPLICA ", " FIRST "]],"
                                " ['slots', [6, 9, 11, 16383], 'nodes', [" SECOND "]],"
                                " ['slots', [], 'nodes', [" IDLE "]]]";
    (void)state;
    expect_map(cluster_map_read_shards, &plain, value, 2,
               (const struct owned[]){{0, "10.0.0.1:6379"},
                                      {5, "10.0.0.1:6379"},
                                      {6, "::1:7000"},
                                      {10, "10.0.0.1:6379"},
                                      {16383, "::1:7000"},
                                      {0}});
}

static void test_of_two_masters_of_a_shard_the_one_that_lives_has_the_slots(void **state)
{
    static const char value[] = "[['slots', [0, 16383], 'nodes', [['port', 1, 'endpoint', 'dead', "
                                "'role', 'master', 'health', 'fail'], " MASTER("new", "2") "]]]";
    (void)state;
    expect_map(cluster_map_read_shards, &plain, value, 1,
               (const struct owned[]){{7, "new:2"}, {0}});
}

static void test_a_node_without_an_endpoint_is_where_the_question_was_sent(void **state)
{
    static const char value[] =
        "[['slots', [0, 9], 'nodes', [['port', 7, 'ip', '10.0.0.1', 'endpoint', null, "
        "'role', 'master']]], ['slots', [10, 19], 'nodes', [['port', 8, 'ip', '10.0.0.2', "
        "'endpoint', '?', 'role', 'master']]]]";
    (void)state;
    expect_map(cluster_map_read_shards, &plain, value, 2,
               (const struct owned[]){{3, "asked.example:7"}, {13, "10.0.0.2:8"}, {20, ""}, {0}});
}

static void test_a_node_that_does_not_know_its_host_name_is_at_its_address(void **state)
{
    static const char slots[] = "[[0, 9, ['?', 6379, 'id', ['ip', '10.0.0.1']]],"
                                " [10, 19, ['?', 6380, 'id', []]], [20, 29, ['', 6381, 'id']]]";
    static const char shards[] = "[['slots', [0, 9], 'nodes', [['port', 7, 'ip', '', 'endpoint', "
                                 "'?', 'role', 'master']]]]";
    (void)state;
    expect_map(
        cluster_map_read_slots, &plain, slots, 3,
        (const struct owned[]){
            {0, "10.0.0.1:6379"}, {10, "asked.example:6380"}, {20, "asked.example:6381"}, {0}});
    expect_map(cluster_map_read_shards, &plain, shards, 1,
               (const struct owned[]){{0, "asked.example:7"}, {0}});
}

static void test_with_tls_it_is_the_port_for_tls(void **state)
{
    static const char value[] = "[['slots', [0, 1], 'nodes', [['port', 7, 'tls-port', 8, "
                                "'endpoint', 'h', 'role', 'master']]]]";
    (void)state;
    expect_map(cluster_map_read_shards, &secure, value, 1, (const struct owned[]){{0, "h:8"}, {0}});
    expect_map(cluster_map_read_shards, &plain, value, 1, (const struct owned[]){{0, "h:7"}, {0}});
}

static void test_a_map_of_slots_has_the_first_node_of_each_range(void **state)
{
    static const char value[] = "[[0, 8191, ['10.0.0.1', 6379, 'id', []], ['10.0.0.9', 6379, 'x']],"
                                " [8192, 16383, [null, 6380, 'id']]]";
    (void)state;
    expect_map(cluster_map_read_slots, &plain, value, 2,
               (const struct owned[]){{8191, "10.0.0.1:6379"}, {8192, "asked.example:6380"}, {0}});
}

/* As of one that was started anew without its nodes.conf, and is another node since. */
static void
test_slots_of_a_node_that_nobody_can_reach_are_nobodys_and_others_are_served(void **state)
{
    static const char shards[] =
        "[['slots', [0, 9], 'nodes', [['id', 'x', 'ip', '', 'endpoint', '', 'role', 'master', "
        "'health', 'online']]], ['slots', [10, 19], 'nodes', [" FIRST "]]]";
    static const char slots[] = "[[0, 9, ['', 0, 'id', []]], [10, 19, ['10.0.0.1', 6379, 'id']]]";
    static const struct owned owned[] = {{5, ""}, {15, "10.0.0.1:6379"}, {0}};
    (void)state;
    expect_map(cluster_map_read_shards, &plain, shards, 1, owned);
    expect_map(cluster_map_read_slots, &plain, slots, 1, owned);
}

static void test_what_is_no_map_is_refused_and_leaves_none(void **state)
{
    static const char *const shards[] = {
        "null",
        "7",
        "[]",
        "-ERR This instance has cluster support disabled",
        "['slots', [0, 1]]",
        "[['slots', [0, 16384], 'nodes', [" MASTER("h", "1") "]]]",
        "[['slots', [-1, 5], 'nodes', [" MASTER("h", "1") "]]]",
        "[['slots', [9, 5], 'nodes', [" MASTER("h", "1") "]]]",
        "[['slots', [0, 5], 'nodes', [" MASTER("h", "0") "]]]",
        "[['slots', [0, 5], 'nodes', [" MASTER("h", "65536") "]]]",
        "[['slots', [0, 5], 'nodes', [" MASTER("h h", "1") "]]]",
        "[['slots', [0, 5], 'nodes', [" REPLICA("h", "1") "]]]",
        "[['slots', [0, 5], 'nodes', []]]",
        "[['slots', [0], 'nodes', 7]]",
        "[['slots', [0, 5, 5, 6], 'nodes', [" MASTER("h", "1") "]]]",
    };
    static const char *const slots[] = {
        "null",
        "[]",
        "[7]",
        "[[0, 5]]",
        "[[0, 5, ['h', 0]]]",
        "[[5, 0, ['h', 1]]]",
        "[[]]",
        "[[0, 5, 7]]",
        "[[0, 5, ['h h', 1]]]",
        "[[0, 5, ['a', 1]], [5, 9, ['b', 1]]]",
    };
    struct cluster_map map;
    (void)state;
    for (size_t i = 0; i < sizeof shards / sizeof *shards; i++) {
        assert_int_equal(read_map(cluster_map_read_shards, shards[i], &plain, &map), -1);
        assert_int_equal(map.node_count, 0);
        assert_string_equal(owner(&map, 0), "");
    }
    for (size_t i = 0; i < sizeof slots / sizeof *slots; i++)
        assert_int_equal(read_map(cluster_map_read_slots, slots[i], &plain, &map), -1);
}

static void test_a_map_has_a_thousand_nodes_at_most(void **state)
{
    struct cluster_map map;
    (void)state;
    cluster_map_init(&map);
    for (int port = 1; port <= CLUSTER_NODES_MOST; port++)
        assert_int_equal(cluster_map_find(&map, "h", port), port - 1);
    assert_int_equal(cluster_map_find(&map, "h", 60000), CLUSTER_NO_NODE);
    assert_int_equal(cluster_map_find(&map, "h", 7), 6);
    assert_int_equal(map.node_count, CLUSTER_NODES_MOST);
    cluster_map_done(&map);
}

static void test_maps_are_the_same_whatever_order_their_nodes_have(void **state)
{
    struct cluster_map a, b;
    (void)state;
    read_map(cluster_map_read_slots, "[[0, 9, ['a', 1]], [10, 19, ['b', 1]]]", &plain, &a);
    read_map(cluster_map_read_slots, "[[10, 19, ['b', 1]], [0, 9, ['a', 1]]]", &plain, &b);
    assert_true(cluster_map_is_same(&a, &b));
    a.slots[5] = a.slots[15];
    assert_false(cluster_map_is_same(&a, &b));
    a.slots[5] = CLUSTER_NO_NODE;
    assert_false(cluster_map_is_same(&a, &b));
    cluster_map_done(&a);
    cluster_map_done(&b);
}

static void test_a_map_that_has_lost_a_node_is_another_one(void **state)
{
    struct cluster_map hinted, map;
    (void)state;
    read_map(cluster_map_read_slots, "[[0, 9, ['a', 1]], [10, 10, ['b', 1]]]", &plain, &hinted);
    read_map(cluster_map_read_slots, "[[0, 10, ['a', 1]]]", &plain, &map);
    hinted.slots[10] = hinted.slots[0]; /* its last slot has moved */
    assert_false(cluster_map_is_same(&map, &hinted));
    cluster_map_done(&hinted);
    cluster_map_done(&map);
}

/* --- Redirections --- */

static void test_a_redirection_names_the_slot_and_the_node(void **state)
{
    struct cluster_redirection to;
    (void)state;
    assert_true(cluster_redirection_read("MOVED 3999 127.0.0.1:6381", "a", &to));
    assert_false(to.ask);
    assert_int_equal(to.slot, 3999);
    assert_string_equal(to.node.host, "127.0.0.1");
    assert_int_equal(to.node.port, 6381);
    assert_true(cluster_redirection_read("ASK 16383 ::1:6379", "a", &to));
    assert_true(to.ask);
    assert_string_equal(to.node.host, "::1");
    assert_true(cluster_redirection_read("MOVED 0 :6379", "asked.example", &to));
    assert_string_equal(to.node.host, "asked.example");
}

static void test_whatever_else_is_no_redirection(void **state)
{
    static const char *const texts[] = {
        "",          "MOVED",           "MOVED ",        "MOVED 1",
        "MOVED 1 ",  "MOVED 1 h",       "MOVED 1 h:",    "MOVED 1 h:0",
        "ASK 1 h:x", "MOVED 16384 h:1", "MOVED -1 h:1",  "MOVED  h:1",
        "ASKING",    "MOVED 1:2 h",     "MOVED 1 ?:1",   "MOVED 1 h:65536",
        "ERR MOVED", "TRYAGAIN 1 h:1",  "MOVED 1 h h:1", "MOVED 99999999999999999999 h:1",
    };
    struct cluster_redirection to;
    char longest[400] = "MOVED 1 ";
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_false(cluster_redirection_read(texts[i], "a", &to));
    memset(longest + 8, 'h', 300);
    snprintf(longest + 308, sizeof longest - 308, ":1");
    assert_false(cluster_redirection_read(longest, "a", &to));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_slot_of_a_key_is_that_of_the_specification),
        cmocka_unit_test(test_keys_of_one_hash_tag_are_in_one_slot),
        cmocka_unit_test(test_an_empty_or_open_tag_is_none),
        cmocka_unit_test(test_a_map_of_shards_has_the_masters_of_the_slots),
        cmocka_unit_test(test_of_two_masters_of_a_shard_the_one_that_lives_has_the_slots),
        cmocka_unit_test(test_a_node_without_an_endpoint_is_where_the_question_was_sent),
        cmocka_unit_test(test_a_node_that_does_not_know_its_host_name_is_at_its_address),
        cmocka_unit_test(test_with_tls_it_is_the_port_for_tls),
        cmocka_unit_test(test_a_map_of_slots_has_the_first_node_of_each_range),
        cmocka_unit_test(
            test_slots_of_a_node_that_nobody_can_reach_are_nobodys_and_others_are_served),
        cmocka_unit_test(test_what_is_no_map_is_refused_and_leaves_none),
        cmocka_unit_test(test_a_map_has_a_thousand_nodes_at_most),
        cmocka_unit_test(test_maps_are_the_same_whatever_order_their_nodes_have),
        cmocka_unit_test(test_a_map_that_has_lost_a_node_is_another_one),
        cmocka_unit_test(test_a_redirection_names_the_slot_and_the_node),
        cmocka_unit_test(test_whatever_else_is_no_redirection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
