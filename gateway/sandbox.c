#include "sandbox.h"

#include <asm/termbits.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- What is allowed --- */

enum { GROUP_BYTES = 512 };

/* By name: one that this machine does not have (poll and open on arm64) is left out. */
static const char *const allowed[] = {
    /* what is open */
    "read readv pread64 write writev pwrite64 close lseek _llseek fcntl fcntl64 fstat fstat64 "
    "dup dup3 pipe pipe2 eventfd2",
    /* files: the log, passwords, what getaddrinfo and OpenSSL read, what goes at the end */
    "open openat access faccessat faccessat2 stat stat64 lstat lstat64 newfstatat fstatat64 statx "
    "fstatfs fstatfs64 statfs statfs64 readlink readlinkat getcwd getdents64 unlink unlinkat rmdir "
    "umask",
    /* sockets, of the kinds below */
    "socketpair connect bind accept accept4 shutdown getsockname getpeername getsockopt setsockopt "
    "send sendto sendmsg sendmmsg recv recvfrom recvmsg recvmmsg recvmmsg_time64 io_uring_enter",
    /* waiting */
    "poll ppoll ppoll_time64 select pselect6 pselect6_time64 epoll_create epoll_create1 epoll_ctl "
    "epoll_wait epoll_pwait epoll_pwait2 timerfd_create timerfd_settime timerfd_settime64 "
    "nanosleep clock_nanosleep clock_nanosleep_time64 restart_syscall",
    /* time, where the vDSO leaves it to the kernel */
    "clock_gettime clock_gettime64 clock_getres clock_getres_time64 gettimeofday time times "
    "getrusage",
    /* memory and threads */
    "brk mmap mmap2 munmap mremap mprotect madvise mincore futex futex_time64 futex_waitv "
    "membarrier set_robust_list get_robust_list set_tid_address rseq sched_yield "
    "sched_getaffinity sched_getparam sched_getscheduler getcpu exit exit_group",
    /* signals and children: keepers are waited for, and killed when they hang */
    "rt_sigaction rt_sigprocmask rt_sigreturn sigreturn rt_sigpending rt_sigtimedwait "
    "rt_sigtimedwait_time64 sigaltstack kill tkill tgkill wait4 waitid",
    /* what the process is */
    "getpid getppid gettid getpgrp getpgid getuid geteuid getgid getegid getuid32 geteuid32 "
    "getgid32 getegid32 getresuid getresgid getgroups getrandom uname sysinfo getrlimit ugetrlimit "
    "prlimit64",
#ifdef YUKIZURI_SANITIZED
    /* LeakSanitizer looks at the memory of all threads at the end: it clones a process that shares
     * it and traces them */
    "clone getdents ptrace prctl process_vm_readv arch_prctl",
#endif
};

/* Of these calls, one with such an argument. */
static const struct {
    const char *name;
    unsigned argument;
    unsigned long value;
} limited[] = {
    {"socket", 0, AF_UNIX},
    {"socket", 0, AF_INET},
    {"socket", 0, AF_INET6},
    {"socket", 0, AF_NETLINK}, /* getaddrinfo asks which addresses this machine has */
    {"ioctl", 1, FIONREAD},
    {"ioctl", 1, FIONBIO},
    {"ioctl", 1, TIOCOUTQ}, /* how much a peer has not taken */
    {"ioctl", 1, TCGETS},   /* is it a terminal? */
#ifdef TCGETS2
    {"ioctl", 1, TCGETS2}, /* and since glibc 2.42 */
#endif
    {"ioctl", 1, SIOCGIFINDEX}, /* the zone of a nameserver, or of Redis: fe80::1%eth0 */
    {"prctl", 0, PR_SET_NAME},
    {"prctl", 0, PR_SET_VMA}, /* names for debuggers */
};

#ifdef __s390__
enum { CLONE_FLAGS_ARGUMENT = 1 };
#else
enum { CLONE_FLAGS_ARGUMENT = 0 };
#endif

static int allow_call(scmp_filter_ctx filter, const char *name)
{
    int number = seccomp_syscall_resolve_name(name);
    int result =
        number == __NR_SCMP_ERROR ? 0 : seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0);
    return number < 0 ? 0 : result;
}

static int allow_all(scmp_filter_ctx filter)
{
    int result = 0;
    for (size_t i = 0; result == 0 && i < sizeof allowed / sizeof *allowed; i++) {
        char group[GROUP_BYTES];
        char *rest = group;
        const char *name;
        snprintf(group, sizeof group, "%s", allowed[i]);
        while (result == 0 && (name = strsep(&rest, " ")) != NULL)
            result = allow_call(filter, name);
    }
    return result;
}

static int allow_limited(scmp_filter_ctx filter)
{
    for (size_t i = 0; i < sizeof limited / sizeof *limited; i++) {
        int number = seccomp_syscall_resolve_name(limited[i].name);
        /* an argument is an int there: what is above it is not the kernel's to look at */
        const struct scmp_arg_cmp equal = {limited[i].argument, SCMP_CMP_MASKED_EQ, UINT32_MAX,
                                           (uint32_t)limited[i].value};
        int result = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, number, 1, &equal);
        if (result != 0 && result != -EEXIST)
            return result;
    }
    return 0;
}

/* Threads, and no processes. The flags of clone3 lie in memory, where no filter can see them: the C
 * library takes its absence for an old kernel, and makes do with clone. */
static int allow_threads(scmp_filter_ctx filter)
{
    const struct scmp_arg_cmp thread = {CLONE_FLAGS_ARGUMENT, SCMP_CMP_MASKED_EQ, CLONE_THREAD,
                                        CLONE_THREAD};
    int result = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1, &thread);
    if (result != 0 && result != -EEXIST)
        return result;
    return seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
}

/* --- What is not --- */

enum { MOST_CALLS = 1024, NAME_BYTES = 32, MESSAGE_BYTES = 160, TIMEOUT_MS = 1000 };

/* Made before: a handler may not allocate. */
static char (*names)[NAME_BYTES];

static int list_names(void)
{
    names = calloc(MOST_CALLS, sizeof *names);
    for (int i = 0; names != NULL && i < MOST_CALLS; i++) {
        char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, i);
        if (name != NULL)
            snprintf(names[i], NAME_BYTES, "%s", name);
        free(name);
    }
    return names == NULL ? -ENOMEM : 0;
}

static size_t append(char *line, size_t len, const char *text)
{
    while (*text != '\0' && len < MESSAGE_BYTES)
        line[len++] = *text++;
    return len;
}

static size_t append_number(char *line, size_t len, unsigned number)
{
    char digits[16];
    size_t at = sizeof digits - 1;
    digits[at] = '\0';
    do
        digits[--at] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    return append(line, len, digits + at);
}

/* In whatever thread, in the middle of whatever it did: nothing but system calls. */
static void on_forbidden(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)context;
    char line[MESSAGE_BYTES];
    unsigned number = (unsigned)info->si_syscall;
    struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};
    size_t len = append(line, 0, "yukizuri: the sandbox does not allow the system call ");
    if (number < MOST_CALLS && names[number][0] != '\0') {
        len = append(line, len, names[number]);
        len = append(line, len, ", ");
    }
    len = append(line, len, "number ");
    len = append_number(line, len, number);
    len = append(line, len, ": the process ends\n");
    if (poll(&out, 1, TIMEOUT_MS) > 0 && write(STDERR_FILENO, line, len) < 0)
        _exit(EXIT_FAILURE);
    _exit(EXIT_FAILURE);
}

static void handle_forbidden(void)
{
    struct sigaction action = {.sa_sigaction = on_forbidden, .sa_flags = SA_SIGINFO};
    sigfillset(&action.sa_mask);
    sigaction(SIGSYS, &action, NULL);
}

/* --- Entering --- */

static int load(scmp_filter_ctx filter)
{
    int result = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    if (result == 0)
        result = allow_all(filter);
    if (result == 0)
        result = allow_limited(filter);
    if (result == 0)
        result = allow_threads(filter);
    if (result == 0)
        result = list_names();
    if (result != 0)
        return result;
    handle_forbidden();
    return seccomp_load(filter);
}

static bool has_seccomp(void)
{
    return prctl(PR_GET_SECCOMP) >= 0 && seccomp_api_get() >= 2; /* 2: with TSYNC */
}

int sandbox_enter(char *error, size_t error_size)
{
    int result = -ENOSYS;
    scmp_filter_ctx filter = has_seccomp() ? seccomp_init(SCMP_ACT_TRAP) : NULL;
    if (filter != NULL)
        result = load(filter);
    seccomp_release(filter);
    if (result == 0)
        return 0;
    if (filter == NULL)
        snprintf(error, error_size,
                 "sandbox: this kernel has no seccomp filters, or something forbids them; start "
                 "without --sandbox");
    else
        snprintf(error, error_size, "sandbox: the filter cannot be loaded: %s", strerror(-result));
    return -1;
}
