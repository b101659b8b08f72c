#include "unit.h"

#include "session/identity.h"

static struct identity_parts parts_of(const char *name, const char *folded)
{
    return (struct identity_parts){
        .number = 7,
        .name = name,
        .folded = folded,
        .shown = "203.0.113.x",
        .mark = "Ab_",
    };
}

static void test_new_keeps_all_parts(void **state)
{
    const struct identity_parts parts = parts_of("Zoë", "zoë");
    struct identity *identity = identity_new(&parts);
    (void)state;
    memcpy(identity->id, "AAAAAAAAAAA", sizeof identity->id);
    assert_string_equal(identity_name(identity), "Zoë");
    assert_string_equal(identity_folded(identity), "zoë");
    assert_string_equal(identity_shown(identity), "203.0.113.x");
    assert_string_equal(identity_mark(identity), "Ab_");
    char *person = identity_person_json(identity);
    assert_string_equal(person,
                        "{\"id\":\"AAAAAAAAAAA\",\"name\":\"Zoë\",\"address\":\"203.0.113.x\","
                        "\"mark\":\"Ab_\"}");
    free(person);
    assert_int_equal(identity->number, 7);
    free(identity);
}

static void test_new_shares_a_name_that_is_its_own_folding(void **state)
{
    const struct identity_parts parts = parts_of("alice", "alice");
    struct identity *identity = identity_new(&parts);
    (void)state;
    assert_ptr_equal(identity_name(identity), identity_folded(identity));
    assert_string_equal(identity_shown(identity), "203.0.113.x");
    free(identity);
}

static void test_new_is_nobody_yet(void **state)
{
    const struct identity_parts parts = parts_of("A", "a");
    struct identity *identity = identity_new(&parts);
    (void)state;
    assert_string_equal(identity->id, "");
    assert_string_equal(identity->hash, "");
    assert_string_equal(identity_name(identity), "A");
    free(identity);
}

static void test_set_floor_forgets_an_epoch_of_another_length(void **state)
{
    const struct identity_parts parts = parts_of("a", "a");
    struct identity *identity = identity_new(&parts);
    (void)state;
    identity_set_floor(identity, 5, "abcdefghijkl");
    assert_int_equal(identity->floor, 5);
    assert_string_equal(identity->floor_epoch, "abcdefghijkl");
    identity_set_floor(identity, 6, "an-epoch-set-by-hand");
    assert_string_equal(identity->floor_epoch, "");
    free(identity);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_new_keeps_all_parts),
        cmocka_unit_test(test_new_shares_a_name_that_is_its_own_folding),
        cmocka_unit_test(test_new_is_nobody_yet),
        cmocka_unit_test(test_set_floor_forgets_an_epoch_of_another_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
