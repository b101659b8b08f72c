/* What people are told of what is kept: each word follows its setting. */
#include "unit.h"

#include "http_stage.h"
#include "telemetry/metrics.h"

static void check_says(const char *word)
{
    struct stage_bytes answer = stage_get("/api/about", "");
    struct stage_bytes body = stage_body(answer);
    assert_string_equal(stage_statuses(answer), "200");
    assert_string_equal(stage_header(answer, "Content-Type"), "application/json");
    assert_string_equal(stage_header(answer, "Cache-Control"), "no-cache");
    if (memmem(body.data, body.len, word, strlen(word)) == NULL)
        fail_msg("%s is not in %s", word, body.data);
}

static void test_it_tells_of_the_settings_as_they_are(void **state)
{
    (void)state;
    stage_open();
    check_says("{\"retention\":120,\"retention_messages\":10000,\"lease\":");
    check_says("\"disk\":\"unknown\",");
    check_says("\"log_text\":false,\"show_address\":\"masked\",\"log_address\":\"full\"}");
}

static void test_each_setting_changes_its_word(void **state)
{
    static const struct {
        const char *setting, *value, *word;
    } cases[] = {
        {"--retention", "7", "\"retention\":7,"},
        {"--retention-messages", "77", "\"retention_messages\":77,"},
        {"--lease", "8", "\"lease\":8,"},
        {"--leave-grace", "9", "\"leave_grace\":9,\"member_ttl\":240,"},
        {"--lease", "20", "\"member_ttl\":480,"},
        {"--logging=true", "--log-text=true", "\"logging\":true,\"log_text\":true,"},
        {"--logging=true", "--log-text=false", "\"logging\":true,\"log_text\":false,"},
        {"--logging=false", "--log-text=true", "\"logging\":false,\"log_text\":false,"},
        {"--show-address", "full", "\"show_address\":\"full\","},
        {"--show-address", "cloak", "\"show_address\":\"cloak\","},
        {"--show-address", "off", "\"show_address\":\"off\","},
        {"--log-address", "masked", "\"log_address\":\"masked\"}"},
        {"--log-address", "cloak", "\"log_address\":\"cloak\"}"},
        {"--log-address", "off", "\"log_address\":\"off\"}"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        stage_open_with(cases[i].setting, cases[i].value, NULL);
        check_says(cases[i].word);
    }
}

static void test_it_tells_whether_redis_writes_to_disk(void **state)
{
    (void)state;
    stage_open();
    stage_metrics()->redis_writes_to_disk = 0;
    check_says("\"disk\":\"no\",");
    stage_metrics()->redis_writes_to_disk = 1;
    check_says("\"disk\":\"yes\",");
}

#define TEST(name) cmocka_unit_test_teardown(name, stage_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_it_tells_of_the_settings_as_they_are),
        TEST(test_each_setting_changes_its_word),
        TEST(test_it_tells_whether_redis_writes_to_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
