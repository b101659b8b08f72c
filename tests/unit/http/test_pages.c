/* The pages: in which language and coding they come, and what is said where there is none. */
#include "unit.h"

#include "http_stage.h"

static bool has(struct stage_bytes answer, const char *words)
{
    struct stage_bytes body = stage_body(answer);
    return memmem(body.data, body.len, words, strlen(words)) != NULL;
}

/* --- Language --- */

static void test_the_language_is_the_querys_or_else_what_the_browser_likes_best(void **state)
{
    static const struct {
        const char *target, *header, *language;
    } cases[] = {
        {"/", "", "en"},
        {"/", "Accept-Language: ja\r\n", "ja"},
        {"/", "Accept-Language: ja-JP\r\n", "ja"},
        {"/", "Accept-Language: JA-jp,en;q=0.9\r\n", "ja"},
        {"/", "Accept-Language: en-GB, ja;q=0.9\r\n", "en"},
        {"/", "Accept-Language: en;q=0.3, ja-JP;q=0.7\r\n", "ja"},
        {"/", "Accept-Language: fr, ja;q=0.2\r\n", "ja"},
        {"/", "Accept-Language: ja;q=0\r\n", "en"},
        {"/", "Accept-Language: fr, de\r\n", "en"},
        {"/", "Accept-Language: en, ja\r\n", "en"},
        {"/", "Accept-Language: ja, en\r\n", "ja"},
        {"/", "Accept-Language: ja;q=x\r\n", "en"},
        {"/", "Accept-Language: jav, jax-JP\r\n", "en"},
        {"/?lang=ja", "Accept-Language: en\r\n", "ja"},
        {"/?lang=en", "Accept-Language: ja\r\n", "en"},
        {"/?lang=fr", "Accept-Language: ja\r\n", "ja"},
        {"/?lang=", "", "en"},
        {"/?a=1&lang=ja", "", "ja"},
        {"/?lang=ja&a=1", "", "ja"},
        {"/?&&lang=ja", "", "ja"},
        {"/?xlang=ja", "", "en"},
        {"/?lang=japan", "", "en"},
        {"/r/tea?lang=ja", "", "ja"},
        {"/about?lang=ja", "", "ja"},
        {"/offline", "Accept-Language: ja\r\n", "ja"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char tag[32];
        snprintf(tag, sizeof tag, "<html lang=\"%s\">", cases[i].language);
        struct stage_bytes answer = stage_get(cases[i].target, cases[i].header);
        if (!has(answer, tag))
            fail_msg("%s %sis not in %s", cases[i].target, cases[i].header, cases[i].language);
        assert_false(has(answer, "{{"));
        assert_string_equal(stage_header(answer, "Vary"), "Accept-Encoding, Accept-Language");
    }
}

static void test_the_page_for_nothing_is_in_that_language_too_and_varies_by_accept(void **state)
{
    static const char *const targets[] = {"/r/a/b?lang=ja", "/nothing?lang=ja",
                                          "/assets/none?lang=ja"};
    (void)state;
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        struct stage_bytes page = stage_get(targets[i], "Accept: text/html\r\n");
        assert_true(has(page, "<html lang=\"ja\">"));
        assert_string_equal(stage_header(page, "Vary"), "Accept, Accept-Encoding, Accept-Language");
        assert_string_equal(stage_header(stage_get(targets[i], ""), "Vary"), "Accept");
    }
}

/* --- Coding --- */

static void check_coding(const char *target, const char *accepted, const char *coding)
{
    char header[128];
    snprintf(header, sizeof header, "Accept-Encoding: %s\r\n", accepted);
    struct stage_bytes answer = stage_get(target, header);
    assert_string_equal(stage_statuses(answer), "200");
    const char *got = stage_header(answer, "Content-Encoding");
    if (strcmp(got == NULL ? "" : got, coding) != 0)
        fail_msg("%s for %s came as '%s'", target, accepted, got == NULL ? "" : got);
}

static void test_a_file_comes_in_the_coding_that_is_liked_best(void **state)
{
    (void)state;
    check_coding("/worker.js", "gzip, deflate, br", "br");
    check_coding("/worker.js", "br", "br");
    check_coding("/worker.js", "gzip, br;q=0.5", "gzip");
    check_coding("/worker.js", "gzip, br;q=0", "gzip");
    check_coding("/worker.js", "*", "gzip");
    check_coding("/worker.js", "identity, br;q=0.1", "");
    check_coding("/worker.js", "", "");
}

/* It is written when the gateway starts, where there is no brotli. */
static void test_a_page_with_figures_comes_with_gzip_at_best(void **state)
{
    (void)state;
    check_coding("/", "gzip, deflate, br", "gzip");
    check_coding("/", "br", "");
    check_coding("/about", "gzip, deflate, br", "br");
}

static void test_a_file_that_no_coding_makes_smaller_comes_as_it_is(void **state)
{
    char path[64];
    (void)state;
    struct stage_bytes page = stage_get("/", "");
    const char *icon = strstr(stage_body(page).data, "/assets/icon-180.");
    assert_non_null(icon);
    snprintf(path, sizeof path, "%.*s", (int)strcspn(icon, "\""), icon);
    check_coding(path, "gzip, br", "");
    struct stage_bytes answer = stage_get(path, "Accept-Encoding: gzip, br\r\n");
    assert_string_equal(stage_header(answer, "Content-Type"), "image/png");
    assert_memory_equal(stage_body(answer).data, "\x89PNG", 4);
}

static void test_what_varies_says_by_what(void **state)
{
    (void)state;
    struct stage_bytes worker = stage_get("/worker.js", "");
    assert_string_equal(stage_header(worker, "Vary"), "Accept-Encoding");
    assert_string_equal(stage_header(worker, "Cache-Control"), "no-cache");
    assert_string_equal(stage_header(worker, "Content-Type"), "text/javascript; charset=utf-8");
}

/* --- What a page may do --- */

static void test_a_page_may_load_and_ask_only_what_is_here(void **state)
{
    static const char *const targets[] = {"/", "/r/tea", "/about", "/offline", "/r/a/b"};
    static const char *const parts[] = {"default-src 'none'",     "script-src 'self'",
                                        "style-src 'self'",       "connect-src 'self';",
                                        "frame-ancestors 'none'", "form-action 'none'"};
    (void)state;
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        struct stage_bytes page = stage_get(targets[i], "Accept: text/html\r\n");
        const char *policy = stage_header(page, "Content-Security-Policy");
        assert_non_null(policy);
        for (size_t part = 0; part < sizeof parts / sizeof *parts; part++)
            assert_non_null(strstr(policy, parts[part]));
        assert_null(strstr(policy, "unsafe"));
    }
}

/* --- Figures --- */

static void check_minutes(const char *retention, const char *english, const char *japanese)
{
    stage_open_with("--retention", retention, NULL);
    assert_true(has(stage_get("/?lang=en", ""), english));
    assert_true(has(stage_get("/?lang=ja", ""), japanese));
    assert_false(has(stage_get("/", ""), "@minutes@"));
}

static void test_the_page_says_for_how_long_something_is_kept(void **state)
{
    (void)state;
    check_minutes("120", "forgotten after 2 min", "2 分で");
    check_minutes("3600", "forgotten after 60 min", "60 分で");
    check_minutes("89", "forgotten after 2 min", "2 分で");
    check_minutes("20", "forgotten after 1 min", "1 分で");
    check_minutes("0", "forgotten after 1 min", "1 分で");
}

static void test_the_page_does_not_say_that_something_is_forgotten_which_is_logged(void **state)
{
    (void)state;
    stage_open_with("--logging=true", "--log-text=true", NULL);
    assert_true(has(stage_get("/", ""), "class=\"hint logs\""));
    stage_open_with("--logging=false", "--log-text=true", NULL);
    assert_true(has(stage_get("/", ""), "class=\"hint forgets\""));
}

/* --- What a browser has already --- */

static void check_tag(const char *target, const char *headers, const char *list, const char *status)
{
    char line[256];
    snprintf(line, sizeof line, "%sIf-None-Match: %s\r\n", headers, list);
    struct stage_bytes answer = stage_get(target, line);
    if (strcmp(stage_statuses(answer), status) != 0)
        fail_msg("%s with %s: %s", target, line, stage_statuses(answer));
    if (strcmp(status, "304") == 0)
        assert_int_equal(stage_body(answer).len, 0);
}

static void test_a_browser_that_has_a_page_is_told_so(void **state)
{
    static const char *const targets[] = {"/", "/about", "/worker.js"};
    (void)state;
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        char tag[64], list[128];
        const char *got = stage_header(stage_get(targets[i], ""), "ETag");
        assert_non_null(got);
        snprintf(tag, sizeof tag, "%s", got);
        check_tag(targets[i], "", tag, "304");
        check_tag(targets[i], "", tag + 2, "304"); /* without W/ */
        snprintf(list, sizeof list, "\"a\", %s", tag);
        check_tag(targets[i], "", list, "304");
        check_tag(targets[i], "", "\"a\"", "200");
        check_tag(targets[i], "Accept-Encoding: gzip\r\n", tag, "200"); /* other bytes */
    }
    char english[64];
    snprintf(english, sizeof english, "%s", stage_header(stage_get("/?lang=en", ""), "ETag"));
    check_tag("/?lang=ja", "", english, "200");
    check_tag("/nothing", "Accept: text/html\r\n", "*", "404");
    snprintf(english, sizeof english, "%s", stage_header(stage_get("/", ""), "ETag"));
    stage_open_with("--retention", "600", NULL);
    check_tag("/", "", english, "200");
}

/* --- Nothing there --- */

static void test_where_nothing_is_a_browser_gets_a_page_and_others_a_sentence(void **state)
{
    static const char *const targets[] = {"/nothing", "/r/a/b"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct stage_bytes page =
            stage_get(targets[i], "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n");
        assert_string_equal(stage_statuses(page), "404");
        assert_string_equal(stage_header(page, "Content-Type"), "text/html; charset=utf-8");
        assert_true(has(page, "Nothing is here."));
        static const char *const others[] = {"", "Accept: */*\r\n", "Accept: application/json\r\n",
                                             "Accept: text/html;q=0\r\n"};
        for (size_t j = 0; j < sizeof others / sizeof *others; j++) {
            struct stage_bytes sentence = stage_get(targets[i], others[j]);
            assert_string_equal(stage_statuses(sentence), "404");
            assert_string_equal(stage_header(sentence, "Content-Type"),
                                "text/plain; charset=utf-8");
            assert_true(has(sentence, "There is no"));
        }
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, stage_setup, stage_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_language_is_the_querys_or_else_what_the_browser_likes_best),
        TEST(test_the_page_for_nothing_is_in_that_language_too_and_varies_by_accept),
        TEST(test_a_file_comes_in_the_coding_that_is_liked_best),
        TEST(test_a_page_with_figures_comes_with_gzip_at_best),
        TEST(test_a_file_that_no_coding_makes_smaller_comes_as_it_is),
        TEST(test_what_varies_says_by_what),
        TEST(test_a_page_may_load_and_ask_only_what_is_here),
        TEST(test_the_page_says_for_how_long_something_is_kept),
        TEST(test_the_page_does_not_say_that_something_is_forgotten_which_is_logged),
        TEST(test_a_browser_that_has_a_page_is_told_so),
        TEST(test_where_nothing_is_a_browser_gets_a_page_and_others_a_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
