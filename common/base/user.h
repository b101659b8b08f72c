/* user: the user that a process started as root becomes, and what a process gives up from its first
 * instruction on, whoever started it. Owns nothing. Calls nobody back. */
#ifndef YUKIZURI_BASE_USER_H
#define YUKIZURI_BASE_USER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { USER_NAME_BYTES = 64 };

struct user {
    char name[USER_NAME_BYTES]; /* "": nobody is to be become */
    uid_t uid;
    gid_t gid;
};

/* Looks the name up, however long whoever answers for users takes. 0; or -1 when there is none. */
int user_find(const char *name, struct user *out);

bool user_is_root(void);

/* Do the real, effective and saved ids belong to this user? */
bool user_is_current(const struct user *user);

/* Becomes the user with all its groups, in every thread, for good: it is tried whether root comes
 * back. A signal that was asked for at the parent's end (PR_SET_PDEATHSIG) is still sent. Does
 * nothing for a name of "", and for the user that the process is. 0; or -1 with a sentence in
 * `error`: the process must end then. */
int user_become(const struct user *user, char *error, size_t error_size);

/* Makes an empty file at `path` for the user, if there is nothing yet. What cannot be made shows
 * when it is opened. Does nothing for a name of "". */
void user_make_file(const struct user *user, const char *path, mode_t mode);

/* Gives the user a file that was made for it; a link is not followed. Does nothing for a name of
 * "". 0; or -1 with errno. */
int user_own(const struct user *user, const char *path);

/* The first thing that a process does: no program that it starts gets more rights than it has
 * (PR_SET_NO_NEW_PRIVS), and its memory, with members' texts and passwords in it, is dumped to no
 * file or program and read by no other process of its user. What it starts writes no core file
 * either (RLIMIT_CORE). A build with sanitizers can be read: tests look at its descriptors. */
void user_limit_process(void);

#endif
