/* Commands find the node of their key, wherever that moves, and keep their order. */
#include "unit.h"

#include "cluster_stage.h"
#include "redis_stage.h"
#include "skipping_clock.h"

#include "redis/script.h"

static int open_stage(void **state)
{
    (void)state;
    clock_stop();
    cluster_stage_start(false);
    return 0;
}

static int close_stage(void **state)
{
    (void)state;
    cluster_stage_close();
    clock_restart();
    return 0;
}

/* --- Helpers --- */

static struct fake_redis_call *await_at(int node, const char *name)
{
    return fake_redis_await(cluster_stage_node(node), name);
}

static struct fake_redis_call *await_get(int node, const char *key)
{
    struct fake_redis_call *call = await_at(node, "GET");
    assert_string_equal(fake_redis_argument(call, 1), key);
    return call;
}

static size_t count_at(int node, const char *name)
{
    return fake_redis_count(cluster_stage_node(node), name);
}

static const char *told(void)
{
    cluster_stage_settle();
    return redis_stage_told();
}

/* It is tried again 50 ms later, on the loop's own clock. */
static void let_retry(void)
{
    clock_skip_ms(60);
}

/* A key in the slot of HIGH_KEY. */
#define SAME_SLOT(n) "{" HIGH_KEY "}" #n

/* --- Where commands go --- */

static void test_a_command_goes_to_the_node_of_its_key(void **state)
{
    (void)state;
    cluster_stage_get(LOW_KEY);
    cluster_stage_get(HIGH_KEY);
    fake_redis_answer(await_get(LOWER, LOW_KEY), "'low'");
    fake_redis_answer(await_get(UPPER, HIGH_KEY), "'high'");
    assert_string_equal(told(), LOW_KEY ":low " HIGH_KEY ":high");
}

static int run_script(const char *key)
{
    struct script_call call;
    script_begin(&call, "leave");
    script_add_key(&call, key, strlen(key));
    script_add(&call, LOW_KEY);
    return script_run(cluster_stage_client(), &call, redis_stage_tell, (void *)(uintptr_t)key);
}

static void test_a_script_goes_to_the_node_of_its_first_key(void **state)
{
    (void)state;
    run_script(HIGH_KEY);
    fake_redis_answer(await_at(UPPER, "leave"), "7");
    assert_string_equal(told(), HIGH_KEY ":7");
}

static void test_a_command_without_a_key_goes_to_the_node_of_the_home_key(void **state)
{
    (void)state;
    redis_send_strings(cluster_stage_client(), redis_stage_tell, "time", "TIME", NULL);
    assert_string_equal(told(), "time:[2]");
    assert_int_equal(count_at(UPPER, "TIME"), 1);
    assert_int_equal(count_at(LOWER, "TIME"), 0);
}

static void test_a_command_without_a_key_goes_beside_a_key_that_is_named(void **state)
{
    struct redis_words words = {0};
    (void)state;
    redis_words_add_string(&words, "WAIT");
    redis_send_beside(cluster_stage_client(), LOW_KEY, strlen(LOW_KEY), &words, redis_stage_tell,
                      "wait");
    redis_words_done(&words);
    fake_redis_answer(await_at(LOWER, "WAIT"), "1");
    assert_string_equal(told(), "wait:1");
}

static void test_a_script_that_a_node_does_not_know_is_loaded_there(void **state)
{
    (void)state;
    run_script(LOW_KEY);
    fake_redis_answer(await_at(LOWER, "leave"), "-NOSCRIPT No matching script.");
    await_at(LOWER, "SCRIPT");
    fake_redis_answer(await_at(LOWER, "leave"), "%s",
                      cluster_stage_redirect("MOVED", LOW_KEY, SPARE));
    fake_redis_answer(await_at(SPARE, "leave"), "-NOSCRIPT No matching script.");
    await_at(SPARE, "SCRIPT");
    fake_redis_answer(await_at(SPARE, "leave"), "8");
    assert_string_equal(told(), LOW_KEY ":8");
}

/* --- Slots that move --- */

static void test_a_moved_slot_is_followed_and_so_are_later_commands(void **state)
{
    (void)state;
    cluster_stage_get(HIGH_KEY);
    fake_redis_answer(await_get(UPPER, HIGH_KEY), "%s",
                      cluster_stage_redirect("MOVED", HIGH_KEY, SPARE));
    fake_redis_answer(await_get(SPARE, HIGH_KEY), "'here'");
    assert_string_equal(told(), HIGH_KEY ":here");
    cluster_stage_get(SAME_SLOT(1));
    fake_redis_answer(await_get(SPARE, SAME_SLOT(1)), "'and this'");
    assert_string_equal(told(), SAME_SLOT(1) ":and this");
    assert_int_equal(count_at(UPPER, "GET"), 1);
    assert_string_equal(cluster_stage_heard(), "ready "); /* of the new node; and no error */
    assert_int_equal(cluster_stage_metrics()->redis_redirections, 1);
}

/* "127.0.0.1", at length. */
static void test_a_redirection_to_a_host_of_a_long_name_is_followed(void **state)
{
    (void)state;
    cluster_stage_get(HIGH_KEY);
    fake_redis_answer(await_get(UPPER, HIGH_KEY), "-MOVED %u 127.0.0.%0200d:%d",
                      cluster_slot(HIGH_KEY, strlen(HIGH_KEY)), 1,
                      fake_redis_port(cluster_stage_node(SPARE)));
    fake_redis_answer(await_get(SPARE, HIGH_KEY), "'here'");
    assert_string_equal(told(), HIGH_KEY ":here");
}

static void test_a_moved_slot_makes_the_client_ask_for_the_map(void **state)
{
    (void)state;
    size_t before = count_at(LOWER, "CLUSTER");
    cluster_stage_tell_upper(SPARE);
    cluster_stage_get(HIGH_KEY);
    fake_redis_answer(await_get(UPPER, HIGH_KEY), "%s",
                      cluster_stage_redirect("MOVED", HIGH_KEY, SPARE));
    fake_redis_answer(await_get(SPARE, HIGH_KEY), "1");
    cluster_stage_await_count(LOWER, "CLUSTER", before + 2);
    cluster_stage_settle();
    cluster_stage_get(OTHER_HIGH_KEY); /* a slot of which nobody has said anything */
    fake_redis_answer(await_get(SPARE, OTHER_HIGH_KEY), "1");
}

static void test_an_asking_redirection_is_followed_once_behind_asking(void **state)
{
    (void)state;
    cluster_stage_get(HIGH_KEY);
    fake_redis_answer(await_get(UPPER, HIGH_KEY), "%s",
                      cluster_stage_redirect("ASK", HIGH_KEY, LOWER));
    struct fake_redis_call *asking = await_at(LOWER, "ASKING");
    struct fake_redis_call *call = await_get(LOWER, HIGH_KEY);
    assert_true(fake_redis_came_before(asking, call));
    fake_redis_answer(call, "'there'");
    assert_string_equal(told(), HIGH_KEY ":there");
    cluster_stage_get(HIGH_KEY);
    fake_redis_answer(await_get(UPPER, HIGH_KEY), "'back'");
    assert_string_equal(told(), HIGH_KEY ":back");
    assert_int_equal(count_at(LOWER, "ASKING"), 1);
}

static void test_what_cannot_be_done_yet_is_tried_again_until_it_can(void **state)
{
    static const char *const errors[] = {"-TRYAGAIN Multiple keys request during rehashing of slot",
                                         "-CLUSTERDOWN The cluster is down",
                                         "-LOADING Redis is loading the dataset in memory",
                                         "-MASTERDOWN Link with MASTER is down",
                                         "-READONLY You can't write against a read only replica."};
    (void)state;
    cluster_stage_get(HIGH_KEY);
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        fake_redis_answer(await_get(UPPER, HIGH_KEY), "%s", errors[i]);
        assert_string_equal(told(), "");
        let_retry();
    }
    fake_redis_answer(await_get(UPPER, HIGH_KEY), "'done'");
    assert_string_equal(told(), HIGH_KEY ":done");
    assert_string_equal(cluster_stage_heard(), ""); /* it was no error for anybody else */
}

static void test_another_error_is_the_answer(void **state)
{
    (void)state;
    cluster_stage_get(HIGH_KEY);
    fake_redis_answer(await_get(UPPER, HIGH_KEY), "-WRONGTYPE no");
    assert_string_equal(told(), HIGH_KEY ":WRONGTYPE no");
    assert_string_equal(cluster_stage_heard(), "error WRONGTYPE ");
}

/* --- Order --- */

static void
test_commands_of_a_slot_wait_behind_the_one_that_is_tried_and_others_do_not(void **state)
{
    (void)state;
    cluster_stage_get(SAME_SLOT(1));
    fake_redis_answer(await_get(UPPER, SAME_SLOT(1)), "-TRYAGAIN x");
    cluster_stage_settle();
    cluster_stage_get(SAME_SLOT(2));
    cluster_stage_get(SAME_SLOT(3));
    cluster_stage_get(OTHER_HIGH_KEY);
    fake_redis_answer(await_get(UPPER, OTHER_HIGH_KEY), "'at once'");
    assert_string_equal(told(), OTHER_HIGH_KEY ":at once");
    let_retry();
    fake_redis_answer(await_get(UPPER, SAME_SLOT(1)), "1");
    fake_redis_answer(await_get(UPPER, SAME_SLOT(2)), "2");
    fake_redis_answer(await_get(UPPER, SAME_SLOT(3)), "3");
    assert_string_equal(told(), SAME_SLOT(1) ":1 " SAME_SLOT(2) ":2 " SAME_SLOT(3) ":3");
}

static void test_what_was_under_way_when_a_slot_moved_goes_before_what_is_sent_later(void **state)
{
    struct fake_redis_call *calls[3];
    static const char *const keys[] = {SAME_SLOT(1), SAME_SLOT(2), SAME_SLOT(3)};
    (void)state;
    for (size_t i = 0; i < 3; i++)
        cluster_stage_get(keys[i]);
    for (size_t i = 0; i < 3; i++)
        calls[i] = await_get(UPPER, keys[i]);
    fake_redis_answer(calls[0], "%s", cluster_stage_redirect("MOVED", HIGH_KEY, LOWER));
    fake_redis_answer(await_get(LOWER, SAME_SLOT(1)), "1");
    assert_string_equal(told(), SAME_SLOT(1) ":1");
    cluster_stage_get(SAME_SLOT(4)); /* while the old node has not sent the others back */
    fake_redis_answer(calls[1], "%s", cluster_stage_redirect("MOVED", HIGH_KEY, LOWER));
    fake_redis_answer(calls[2], "%s", cluster_stage_redirect("MOVED", HIGH_KEY, LOWER));
    fake_redis_answer(await_get(LOWER, SAME_SLOT(2)), "2");
    fake_redis_answer(await_get(LOWER, SAME_SLOT(3)), "3");
    fake_redis_answer(await_get(LOWER, SAME_SLOT(4)), "4");
    assert_string_equal(told(), SAME_SLOT(2) ":2 " SAME_SLOT(3) ":3 " SAME_SLOT(4) ":4");
}

/* A node publishes whatever slots it has: that overtakes those that it sends elsewhere, and is no
 * reason to refuse them. */
static void
test_what_is_sent_elsewhere_again_is_followed_again_whatever_was_answered_before(void **state)
{
    struct fake_redis_call *calls[2];
    (void)state;
    cluster_stage_get(SAME_SLOT(1));
    cluster_stage_get(SAME_SLOT(2));
    redis_send_strings(cluster_stage_client(), redis_stage_tell, "typing", "PUBLISH", HIGH_KEY,
                       "typing", NULL);
    calls[0] = await_get(UPPER, SAME_SLOT(1));
    calls[1] = await_get(UPPER, SAME_SLOT(2));
    fake_redis_answer(calls[0], "%s", cluster_stage_redirect("ASK", HIGH_KEY, LOWER));
    fake_redis_answer(calls[1], "%s", cluster_stage_redirect("ASK", HIGH_KEY, LOWER));
    assert_string_equal(told(), "typing:1");
    fake_redis_answer(await_get(LOWER, SAME_SLOT(1)), "1");
    fake_redis_answer(await_get(UPPER, SAME_SLOT(2)), "%s",
                      cluster_stage_redirect("ASK", HIGH_KEY, LOWER));
    assert_string_equal(told(), SAME_SLOT(1) ":1");
    fake_redis_answer(await_get(LOWER, SAME_SLOT(2)), "2");
    assert_string_equal(told(), SAME_SLOT(2) ":2");
}

/* Keys of a slot move one by one: where a command is asked for tells nothing of another's keys.
 * Asked there, it would find nothing, and begin anew. */
static void test_a_command_is_asked_only_where_it_was_sent_itself(void **state)
{
    struct fake_redis_call *calls[2];
    (void)state;
    cluster_stage_get(SAME_SLOT(1));
    cluster_stage_get(SAME_SLOT(2));
    calls[0] = await_get(UPPER, SAME_SLOT(1));
    calls[1] = await_get(UPPER, SAME_SLOT(2));
    fake_redis_answer(calls[0], "-TRYAGAIN x");
    fake_redis_answer(calls[1], "%s", cluster_stage_redirect("ASK", HIGH_KEY, LOWER));
    assert_string_equal(told(), "");
    let_retry();
    fake_redis_answer(await_get(UPPER, SAME_SLOT(1)), "1");
    fake_redis_answer(await_get(UPPER, SAME_SLOT(2)), "%s",
                      cluster_stage_redirect("ASK", HIGH_KEY, LOWER));
    fake_redis_answer(await_get(LOWER, SAME_SLOT(2)), "2");
    assert_string_equal(told(), SAME_SLOT(1) ":1 " SAME_SLOT(2) ":2");
    assert_int_equal(count_at(LOWER, "ASKING"), 1);
}

/* --- Nodes that are away --- */

static bool is_lost(void *arg)
{
    (void)arg;
    return !redis_is_whole(cluster_stage_client());
}

static void lose(int node)
{
    fake_redis_set_away(cluster_stage_node(node), true);
    fake_redis_run_until(cluster_stage_node(node), is_lost, NULL);
}

static void test_who_waits_when_a_node_is_lost_is_told_at_once(void **state)
{
    (void)state;
    cluster_stage_get(HIGH_KEY);
    cluster_stage_get(LOW_KEY);
    await_get(UPPER, HIGH_KEY);
    lose(UPPER);
    assert_string_equal(told(), HIGH_KEY ":none");
    fake_redis_answer(await_get(LOWER, LOW_KEY), "'still here'");
    assert_string_equal(told(), LOW_KEY ":still here");
    assert_true(redis_is_ready(cluster_stage_client()));
}

static bool has_moved(void *place)
{
    uint64_t now = redis_place(cluster_stage_client(), HIGH_KEY);
    return now != 0 && now != *(const uint64_t *)place;
}

static void test_what_a_master_says_that_was_replaced_meanwhile_is_no_answer(void **state)
{
    uint64_t place = redis_place(cluster_stage_client(), HIGH_KEY);
    (void)state;
    cluster_stage_get(HIGH_KEY);
    struct fake_redis_call *late = await_get(UPPER, HIGH_KEY);
    cluster_stage_tell_upper(SPARE);
    redis_look_again(cluster_stage_client());
    clock_skip_ms(200);
    fake_redis_run_until(cluster_stage_node(SPARE), has_moved, &place);
    fake_redis_answer(late, "'written'");
    assert_string_equal(told(), HIGH_KEY ":none");
}

/* Were it sent again, it would be carried out behind what was said after it. */
static void test_what_comes_back_after_later_commands_went_elsewhere_is_refused(void **state)
{
    uint64_t place = redis_place(cluster_stage_client(), HIGH_KEY);
    (void)state;
    cluster_stage_get(SAME_SLOT(1));
    struct fake_redis_call *late = await_get(UPPER, SAME_SLOT(1));
    cluster_stage_tell_upper(SPARE);
    redis_look_again(cluster_stage_client());
    clock_skip_ms(200);
    fake_redis_run_until(cluster_stage_node(SPARE), has_moved, &place);
    cluster_stage_get(SAME_SLOT(2));
    fake_redis_answer(await_get(SPARE, SAME_SLOT(2)), "2");
    assert_string_equal(told(), SAME_SLOT(2) ":2");
    fake_redis_answer(late, "-MOVED 12182 127.0.0.1:%d",
                      fake_redis_port(cluster_stage_node(SPARE)));
    assert_memory_equal(told(), SAME_SLOT(1) ":MOVED", strlen(SAME_SLOT(1) ":MOVED"));
    assert_int_equal(count_at(SPARE, "GET"), 1);
}

static void test_what_a_new_master_answers_counts_while_others_do_not_know_it_yet(void **state)
{
    (void)state;
    cluster_stage_get(HIGH_KEY);
    fake_redis_answer(await_get(UPPER, HIGH_KEY), "%s",
                      cluster_stage_redirect("MOVED", HIGH_KEY, SPARE));
    struct fake_redis_call *call = await_get(SPARE, HIGH_KEY);
    redis_look_again(cluster_stage_client());
    cluster_stage_await_count(LOWER, "CLUSTER", count_at(LOWER, "CLUSTER") + 1);
    cluster_stage_settle(); /* the map names UPPER again */
    fake_redis_answer(call, "'written'");
    assert_string_equal(told(), HIGH_KEY ":written");
}

static void test_a_node_that_has_no_slot_yet_answers_what_it_is_asked(void **state)
{
    (void)state;
    cluster_stage_get(HIGH_KEY);
    fake_redis_answer(await_get(UPPER, HIGH_KEY), "%s",
                      cluster_stage_redirect("ASK", HIGH_KEY, SPARE));
    let_retry(); /* it is connected to first */
    fake_redis_answer(await_get(UPPER, HIGH_KEY), "%s",
                      cluster_stage_redirect("ASK", HIGH_KEY, SPARE));
    fake_redis_answer(await_get(SPARE, HIGH_KEY), "'there'");
    assert_string_equal(told(), HIGH_KEY ":there");
}

static bool is_whole(void *arg)
{
    (void)arg;
    return redis_is_whole(cluster_stage_client());
}

/* The whole cluster's, once UPPER has come back and said this. */
static const char *run_id_after(const char *info)
{
    fake_redis_always(cluster_stage_node(UPPER), "INFO", info);
    lose(UPPER);
    fake_redis_set_away(cluster_stage_node(UPPER), false);
    fake_redis_run_until(cluster_stage_node(UPPER), is_whole, NULL);
    return redis_server(cluster_stage_client())->run_id;
}

static void
test_it_is_another_redis_when_a_node_is_another_one_and_not_when_it_hides_that(void **state)
{
    char first[48], second[48];
    (void)state;
    snprintf(first, sizeof first, "%s", redis_server(cluster_stage_client())->run_id);
    assert_string_not_equal(first, "");
    assert_string_equal(run_id_after("-NOPERM no"), first);
    snprintf(second, sizeof second, "%s", run_id_after("'run_id:another\r\n'"));
    assert_string_not_equal(second, first);
    assert_string_equal(run_id_after("'redis_version:7.0.0\r\n'"), second);
}

static void test_commands_wait_for_a_node_that_is_away(void **state)
{
    (void)state;
    lose(UPPER);
    assert_int_equal(cluster_stage_get(HIGH_KEY), 0);
    assert_string_equal(told(), "");
    fake_redis_set_away(cluster_stage_node(UPPER), false);
    fake_redis_answer(await_get(UPPER, HIGH_KEY), "'back'");
    assert_string_equal(told(), HIGH_KEY ":back");
}

static void test_commands_go_to_the_node_that_takes_the_place_of_a_lost_one(void **state)
{
    (void)state;
    lose(UPPER);
    cluster_stage_get(HIGH_KEY);
    cluster_stage_tell_upper(SPARE);
    clock_skip_ms(200);
    fake_redis_answer(await_get(SPARE, HIGH_KEY), "'replaced'");
    assert_string_equal(told(), HIGH_KEY ":replaced");
}

static void pass_ms(int64_t ms)
{
    for (; ms > 0; ms -= 500) {
        clock_skip_ms(500);
        cluster_stage_pass_a_while();
    }
}

static void test_who_waits_for_a_node_is_told_at_the_deadline(void **state)
{
    (void)state;
    lose(UPPER);
    cluster_stage_get(HIGH_KEY);
    pass_ms(REDIS_DEADLINE_MS - 1000);
    assert_string_equal(told(), "");
    pass_ms(1500);
    assert_string_equal(told(), HIGH_KEY ":none");
    assert_int_equal(cluster_stage_metrics()->redis_timeouts, 1);
    fake_redis_set_away(cluster_stage_node(UPPER), false);
    cluster_stage_get(HIGH_KEY);
    await_get(UPPER, HIGH_KEY);
    assert_int_equal(count_at(UPPER, "GET"), 1); /* the late one never comes */
}

static void tell_what_is_certain(void *who, const struct redis_reply *reply)
{
    redis_stage_tell(redis_not_carried_out(cluster_stage_client()) ? "not done" : who, reply);
}

static void test_what_has_only_waited_was_certainly_not_carried_out(void **state)
{
    (void)state;
    redis_send_strings(cluster_stage_client(), tell_what_is_certain, "sent", "GET", HIGH_KEY, NULL);
    await_get(UPPER, HIGH_KEY);
    lose(UPPER);
    assert_string_equal(told(), "sent:none");
    redis_send_strings(cluster_stage_client(), tell_what_is_certain, "held", "GET", HIGH_KEY, NULL);
    pass_ms(REDIS_DEADLINE_MS + 500);
    assert_string_equal(told(), "not done:none");
    assert_false(redis_not_carried_out(cluster_stage_client()));
}

static void test_so_many_commands_wait_at_most_and_more_are_refused(void **state)
{
    enum { MOST = 65536 };
    struct redis *client = cluster_stage_client();
    (void)state;
    lose(UPPER);
    for (int i = 0; i < MOST; i++)
        assert_int_equal(redis_send_strings(client, NULL, NULL, "GET", HIGH_KEY, NULL), 0);
    assert_int_equal(cluster_stage_get(HIGH_KEY), -1);
    assert_int_equal(cluster_stage_get(LOW_KEY), 0); /* need not wait */
    fake_redis_answer(await_get(LOWER, LOW_KEY), "'low'");
    assert_string_equal(told(), LOW_KEY ":low");
    pass_ms(REDIS_DEADLINE_MS + 500);
    assert_int_equal(cluster_stage_get(HIGH_KEY), 0);
}

static void test_nodes_that_send_a_command_to_each_other_are_not_kept_busy(void **state)
{
    static char upper[100], lower[100];
    (void)state;
    snprintf(upper, sizeof upper, "%s", cluster_stage_redirect("MOVED", HIGH_KEY, LOWER));
    snprintf(lower, sizeof lower, "%s", cluster_stage_redirect("MOVED", HIGH_KEY, UPPER));
    fake_redis_always(cluster_stage_node(UPPER), "GET", upper);
    fake_redis_always(cluster_stage_node(LOWER), "GET", lower);
    cluster_stage_get(HIGH_KEY);
    assert_string_equal(told(), "");
    assert_in_range(count_at(UPPER, "GET") + count_at(LOWER, "GET"), 1, 8);
}

static void test_who_waits_when_the_client_is_stopped_is_told_from_within(void **state)
{
    (void)state;
    lose(UPPER);
    cluster_stage_get(HIGH_KEY);
    cluster_stage_get(SAME_SLOT(2));
    cluster_stage_get(LOW_KEY);
    await_get(LOWER, LOW_KEY);
    cluster_stage_stop();
    assert_string_equal(redis_stage_told(),
                        LOW_KEY ":none " HIGH_KEY ":none " SAME_SLOT(2) ":none");
    assert_int_equal(cluster_stage_get(HIGH_KEY), -1);
}

/* --- Seeds --- */

static int close_only(void **state)
{
    (void)state;
    cluster_stage_close();
    return 0;
}

static void test_a_wrong_seed_does_no_harm_while_another_is_good(void **state)
{
    (void)state;
    cluster_stage_open("127.0.0.1:1,", false);
    cluster_stage_await_heard("ready ");
    cluster_stage_get(HIGH_KEY);
    fake_redis_answer(await_get(UPPER, HIGH_KEY), "1");
    assert_string_equal(told(), HIGH_KEY ":1");
    assert_string_equal(cluster_stage_why(), "");
}

static void test_a_seed_at_which_nobody_listens_is_named(void **state)
{
    (void)state;
    cluster_stage_open("127.0.0.1:1", false);
    cluster_stage_await_heard("lost ");
    assert_string_equal(cluster_stage_why(), "no node of the cluster can be used; 127.0.0.1:1: "
                                             "Connection refused; nobody listens there");
    assert_int_equal(cluster_stage_get(HIGH_KEY), -1);
}

static void test_a_seed_that_is_no_cluster_is_named_with_what_it_said(void **state)
{
    (void)state;
    cluster_stage_open("", false);
    for (int i = 0; i < CLUSTER_STAGE_NODES; i++)
        fake_redis_always(cluster_stage_node(i), "CLUSTER",
                          "-ERR This instance has cluster support disabled");
    cluster_stage_await_heard("lost ");
    assert_non_null(strstr(cluster_stage_why(),
                           "Redis refused: ERR This instance has cluster support disabled"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_stage, close_stage)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_command_goes_to_the_node_of_its_key),
        TEST(test_a_script_goes_to_the_node_of_its_first_key),
        TEST(test_a_command_without_a_key_goes_to_the_node_of_the_home_key),
        TEST(test_a_command_without_a_key_goes_beside_a_key_that_is_named),
        TEST(test_a_script_that_a_node_does_not_know_is_loaded_there),
        TEST(test_a_moved_slot_is_followed_and_so_are_later_commands),
        TEST(test_a_redirection_to_a_host_of_a_long_name_is_followed),
        TEST(test_a_moved_slot_makes_the_client_ask_for_the_map),
        TEST(test_an_asking_redirection_is_followed_once_behind_asking),
        TEST(test_what_cannot_be_done_yet_is_tried_again_until_it_can),
        TEST(test_another_error_is_the_answer),
        TEST(test_commands_of_a_slot_wait_behind_the_one_that_is_tried_and_others_do_not),
        TEST(test_what_was_under_way_when_a_slot_moved_goes_before_what_is_sent_later),
        TEST(test_what_is_sent_elsewhere_again_is_followed_again_whatever_was_answered_before),
        TEST(test_a_command_is_asked_only_where_it_was_sent_itself),
        TEST(test_who_waits_when_a_node_is_lost_is_told_at_once),
        TEST(test_what_a_master_says_that_was_replaced_meanwhile_is_no_answer),
        TEST(test_what_comes_back_after_later_commands_went_elsewhere_is_refused),
        TEST(test_what_a_new_master_answers_counts_while_others_do_not_know_it_yet),
        TEST(test_a_node_that_has_no_slot_yet_answers_what_it_is_asked),
        TEST(test_it_is_another_redis_when_a_node_is_another_one_and_not_when_it_hides_that),
        TEST(test_commands_wait_for_a_node_that_is_away),
        TEST(test_commands_go_to_the_node_that_takes_the_place_of_a_lost_one),
        TEST(test_who_waits_for_a_node_is_told_at_the_deadline),
        TEST(test_what_has_only_waited_was_certainly_not_carried_out),
        TEST(test_so_many_commands_wait_at_most_and_more_are_refused),
        TEST(test_nodes_that_send_a_command_to_each_other_are_not_kept_busy),
        TEST(test_who_waits_when_the_client_is_stopped_is_told_from_within),
        cmocka_unit_test_teardown(test_a_wrong_seed_does_no_harm_while_another_is_good, close_only),
        cmocka_unit_test_teardown(test_a_seed_at_which_nobody_listens_is_named, close_only),
        cmocka_unit_test_teardown(test_a_seed_that_is_no_cluster_is_named_with_what_it_said,
                                  close_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
