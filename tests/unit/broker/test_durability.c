/* The connection that asks replicas has reached another Redis than what people say. */
#include "unit.h"

#include "broker/durability.h"
#include "redis_stage.h"

/* What people say reaches the Redis of redis_stage. */
static struct {
    struct fake_redis *other;
    struct redis_url url; /* of the other one */
    struct durability *durability;
} stage;

static void on_error(void *arg, const struct redis_error *error)
{
    (void)arg;
    (void)error;
}

static void flush(void *arg)
{
    (void)arg;
    durability_flush(stage.durability);
    redis_flush(redis_stage_connection());
}

static bool is_ready(void *arg)
{
    (void)arg;
    return durability_why_not_ready(stage.durability) == NULL;
}

static int open_stage(void **state)
{
    (void)state;
    redis_stage_open();
    stage.other = fake_redis_new(redis_stage_options(NULL).base);
    assert_null(redis_url_parse(fake_redis_url(stage.other), &stage.url));
    fake_redis_always(stage.other, "INFO", "'run_id:other\r\nmaster_replid:first\r\n'");
    stage.durability = durability_new(&(struct durability_options){
        .commands = redis_stage_connection(),
        .server = redis_stage_options(&stage.url),
        .key = "key",
        .on_error = on_error,
    });
    fake_redis_follow(stage.other, flush, NULL);
    fake_redis_run_until(stage.other, is_ready, NULL);
    return 0;
}

static int close_stage(void **state)
{
    (void)state;
    redis_stage_stop();
    durability_free(stage.durability);
    fake_redis_free(stage.other);
    redis_stage_close();
    return 0;
}

static void on_answered(void *arg, const struct redis_reply *reply)
{
    durability_await(stage.durability, arg, reply);
}

static void wait_for_replica(struct durability_wait *wait)
{
    *wait = (struct durability_wait){.done = redis_stage_tell, .arg = "a", .says = 1};
    durability_begin(stage.durability, wait);
    redis_send_strings(redis_stage_connection(), on_answered, wait, "PING", NULL);
}

static void test_another_redis_is_not_asked_and_the_right_one_is_looked_for(void **state)
{
    struct durability_wait wait;
    (void)state;
    wait_for_replica(&wait);
    fake_redis_settle(stage.other);
    assert_string_equal(redis_stage_told(), "a:none");
    assert_int_equal(fake_redis_count(stage.other, "WAIT"), 0);
    assert_int_equal(redis_stage_options(NULL).metrics->replica_waits_failed, 1);
    /* behind that name is the right one by now */
    fake_redis_always(stage.other, "INFO", "'run_id:fake\r\nmaster_replid:first\r\n'");
    fake_redis_run_until(stage.other, is_ready, NULL);
    wait_for_replica(&wait);
    fake_redis_always(stage.other, "SET", "+OK");
    fake_redis_answer(fake_redis_await(stage.other, "WAIT"), "1");
    fake_redis_settle(stage.other);
    assert_string_equal(redis_stage_told(), "a:PONG");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_another_redis_is_not_asked_and_the_right_one_is_looked_for, open_stage,
            close_stage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
