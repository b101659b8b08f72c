#include "base/user.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

/* --- Who --- */

int user_find(const char *name, struct user *out)
{
    /* cppcheck-suppress getpwnamCalled ; before there is a thread */
    const struct passwd *found = strlen(name) < USER_NAME_BYTES ? getpwnam(name) : NULL;
    if (found == NULL)
        return -1;
    *out = (struct user){.uid = found->pw_uid, .gid = found->pw_gid};
    memcpy(out->name, name, strlen(name) + 1);
    return 0;
}

bool user_is_root(void)
{
    return geteuid() == 0;
}

bool user_is_current(const struct user *user)
{
    uid_t real, effective, saved;
    return getresuid(&real, &effective, &saved) == 0 && real == user->uid &&
           effective == user->uid && saved == user->uid;
}

/* --- Becoming it --- */

static int change_ids(const struct user *user)
{
    if (initgroups(user->name, user->gid) != 0 || setresgid(user->gid, user->gid, user->gid) != 0 ||
        setresuid(user->uid, user->uid, user->uid) != 0)
        return -1;
    return 0;
}

/* Root by any of its ids, or by a right that outlived them (capabilities(7), SECBIT_KEEP_CAPS). */
static bool can_come_back(void)
{
    return setresuid((uid_t)-1, 0, (uid_t)-1) == 0 || setresgid((gid_t)-1, 0, (gid_t)-1) == 0 ||
           setgroups(0, NULL) == 0;
}

static void forbid_dumps(void)
{
#ifndef YUKIZURI_SANITIZED
    prctl(PR_SET_DUMPABLE, 0);
#endif
}

/* The kernel forgets the signal with the ids (prctl(2)). A parent that ended in between has sent
 * none. */
static void keep_parents_signal(pid_t parent, int number)
{
    if (number == 0)
        return;
    prctl(PR_SET_PDEATHSIG, number);
    if (getppid() != parent)
        kill(getpid(), number);
}

int user_become(const struct user *user, char *error, size_t error_size)
{
    int number = 0;
    pid_t parent = getppid();
    if (user->name[0] == '\0' || user_is_current(user))
        return 0;
    prctl(PR_GET_PDEATHSIG, &number);
    if (change_ids(user) != 0) {
        snprintf(error, error_size, "cannot become the user %s: %s", user->name, strerror(errno));
        return -1;
    }
    if (!user_is_current(user) || can_come_back()) {
        snprintf(error, error_size, "became the user %s, and could be root again", user->name);
        return -1;
    }
    forbid_dumps(); /* with the ids, fs.suid_dumpable took its place */
    keep_parents_signal(parent, number);
    return 0;
}

/* --- Its files --- */

/* What somebody else has made, or a link leads to, stays as it is. */
void user_make_file(const struct user *user, const char *path, mode_t mode)
{
    if (user->name[0] == '\0')
        return;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0)
        return;
    if (fchown(fd, user->uid, user->gid) != 0)
        unlink(path);
    close(fd);
}

int user_own(const struct user *user, const char *path)
{
    return user->name[0] == '\0' ? 0 : lchown(path, user->uid, user->gid);
}

/* --- Everybody --- */

void user_limit_process(void)
{
    const struct rlimit none = {0, 0};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    setrlimit(RLIMIT_CORE, &none);
    forbid_dumps();
}
