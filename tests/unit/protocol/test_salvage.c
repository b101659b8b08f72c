#include "unit.h"

#include "protocol/salvage.h"

#include <stdlib.h>

/* The bytes found, without the quotes; NULL for none. */
static const char *find(const char *data, size_t len)
{
    static char value[100];
    struct scan_string found = salvage_find_string(data, len, "nonce");
    if (found.data == NULL)
        return NULL;
    assert_true(found.len >= 2 && found.len < sizeof value);
    assert_true(found.data[0] == '"' && found.data[found.len - 1] == '"');
    snprintf(value, sizeof value, "%.*s", (int)(found.len - 2), found.data + 1);
    return value;
}

static void test_find_string_beside_anything(void **state)
{
    static const char *const texts[] = {
        "{\"nonce\":\"n\"}",
        " \t\r\n{ \"nonce\" :\n\"n\" }",
        "{\"text\":\"\\ud83d\",\"nonce\":\"n\"}",
        "{\"text\":\"a\\u0000b\",\"nonce\":\"n\"}",
        "{\"text\":\"\\q \x01\",\"nonce\":\"n\"}",
        "{\"text\":\"\\\\\",\"nonce\":\"n\"}",
        "{\"text\":\"\\\"nonce\\\":\\\"x\\\"\",\"nonce\":\"n\"}",
        "{\"big\":99999999999999999999,\"nonce\":\"n\"}",
        "{\"nonce\":\"n\",\"text\":\"cut of",
        "{\"nonce\":\"n\"} {\"nonce\":\"x\"}",
        "{\"nonce\":\"n\"}}\"nonce\":\"x\"",
        "{\"a\":{\"nonce\":\"x\"},\"b\":[\"nonce\",{\"nonce\":\"x\"}],\"nonce\":\"n\"}",
        "{\"nonce\":\"n\",\"a\":{\"nonce\":\"x\"}}",
        "{\"nonce\":5,\"nonce\":\"n\"}",
        "{\"x\":\"nonce\",\"nonce\":\"n\"}",
        "{\"nonce\",\"nonce\":\"n\"}",
        "{nonsense \"nonce\":\"n\"",
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const char *found = find(texts[i], strlen(texts[i]));
        if (found == NULL || strcmp(found, "n") != 0)
            fail_msg("%s: %s", texts[i], found == NULL ? "none" : found);
    }
}

static void test_find_string_where_there_is_none(void **state)
{
    static const char *const texts[] = {
        "",
        " ",
        "x",
        "[\"nonce\",\"n\"]",
        "\"nonce\":\"n\"",
        "{",
        "{}",
        "{}\"nonce\":\"n\"",
        "{\"nonce\":5}",
        "{\"nonce\":null}",
        "{\"nonce\":{\"nonce\":\"n\"}}",
        "{\"nonce\":[\"n\"]}",
        "{\"nonce\":\"n\",\"nonce\":5}",
        "{\"nonces\":\"n\",\"nonc\":\"n\",\"Nonce\":\"n\"}",
        "{\"text\":\"\\\",\"nonce\":\"n\"}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (find(texts[i], strlen(texts[i])) != NULL)
            fail_msg("%s", texts[i]);
}

static void test_find_string_in_every_cut(void **state)
{
    static const char text[] = "{\"a\":[1,{\"b\":\"\\\"\"}],\"nonce\" : \"n\\\\\",\"c\":\"\\u00\"}";
    size_t complete = (size_t)(strstr(text, ",\"c\"") - text);
    (void)state;
    for (size_t len = 0; len < sizeof text; len++) {
        char *copy = malloc(len == 0 ? 1 : len); /* so that a byte too far is noticed */
        memcpy(copy, text, len);
        const char *found = find(copy, len);
        assert_int_equal(found != NULL, len >= complete);
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find_string_beside_anything),
        cmocka_unit_test(test_find_string_where_there_is_none),
        cmocka_unit_test(test_find_string_in_every_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
