#include "unit.h"

#include "room/batch_send.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

static char bytes[4096];

static void fill(int fd)
{
    while (send(fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0)
        ;
}

/* A socket that is full, one that takes all, and one whose peer has gone. */
static void check(bool uring)
{
    int full[2];
    int good[2];
    int broken[2];
    struct batch_send *sender = batch_send_new(uring);
    if (sender == NULL) /* no io_uring here */
        return;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, full), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, good), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, broken), 0);
    fill(full[0]);
    close(broken[1]);
    struct sending sendings[BATCH_SEND_MOST];
    for (int i = 0; i < BATCH_SEND_MOST; i++)
        sendings[i] = (struct sending){.data = (const uint8_t *)(i % 2 == 0 ? "hello" : "you"),
                                       .len = i % 2 == 0 ? 5 : 3,
                                       .fd = i == 0   ? full[0]
                                             : i == 1 ? broken[0]
                                                      : good[0],
                                       .sent = 7};
    errno = ENOENT; /* left over from something else */
    batch_send_all(sender, sendings, BATCH_SEND_MOST);
    assert_int_equal(sendings[0].sent, 0);
    assert_int_equal(sendings[1].sent, -1);
    for (int i = 2; i < BATCH_SEND_MOST; i++)
        assert_int_equal(sendings[i].sent, sendings[i].len);
    char received[17] = "";
    assert_int_equal(read(good[1], received, 16), 16);
    assert_string_equal(received, "helloyouhelloyou");
    errno = ENOENT;
    batch_send_all(sender, sendings, 1);
    assert_int_equal(sendings[0].sent, 0);
    batch_send_all(sender, sendings, 0);
    for (int i = 0; i < 2; i++)
        close(full[i]), close(good[i]);
    close(broken[0]);
    batch_send_free(sender);
}

static void test_a_full_socket_is_not_taken_for_a_broken_one(void **state)
{
    (void)state;
    check(false);
    check(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_full_socket_is_not_taken_for_a_broken_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
