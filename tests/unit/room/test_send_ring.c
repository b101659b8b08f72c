#include "unit.h"

#include "room/send_ring.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

static int complete(struct io_uring *ring)
{
    struct io_uring_cqe *done;
    assert_int_equal(io_uring_submit_and_wait(ring, 1), 1);
    assert_int_equal(io_uring_peek_cqe(ring, &done), 0);
    int result = done->res;
    io_uring_cqe_seen(ring, done);
    return result;
}

static void test_it_sends_and_does_nothing_else(void **state)
{
    (void)state;
    struct io_uring ring;
    int sides[2];
    char byte = 0;
    if (send_ring_init(&ring, 4) != 0)
        skip(); /* containers often forbid io_uring */
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sides), 0);
    io_uring_prep_send(io_uring_get_sqe(&ring), sides[0], "x", 1, 0);
    assert_int_equal(complete(&ring), 1);
    assert_int_equal(read(sides[1], &byte, 1), 1);
    assert_int_equal(byte, 'x');
    io_uring_prep_openat(io_uring_get_sqe(&ring), AT_FDCWD, "/", O_RDONLY, 0);
    assert_int_equal(complete(&ring), -EACCES);
    io_uring_prep_recv(io_uring_get_sqe(&ring), sides[1], &byte, 1, MSG_DONTWAIT);
    assert_int_equal(complete(&ring), -EACCES);
    assert_true(io_uring_register_files(&ring, sides, 2) < 0);
    io_uring_queue_exit(&ring);
    close(sides[0]);
    close(sides[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_it_sends_and_does_nothing_else)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
