#include "config/password_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_BYTES = PASSWORD_BYTES + 2 }; /* room for one too long, with CRLF, to be seen as such */

static int fail_with(char *error, size_t error_size, const char *path, const char *why)
{
    snprintf(error, error_size, "%.200s %s", path, why);
    return -1;
}

static int fail_to_read(char *error, size_t error_size, const char *path)
{
    snprintf(error, error_size, "cannot read %.200s: %s", path, strerror(errno));
    return -1;
}

/* As much as there is, up to `size`. A pipe gives it in pieces. */
static ssize_t read_whole(int fd, char *out, size_t size)
{
    size_t len = 0;
    while (len < size) {
        ssize_t got = read(fd, out + len, size - len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        len += (size_t)got;
    }
    return (ssize_t)len;
}

/* Is there anything behind the first line but its end, and empty lines? */
static bool has_more_lines(const char *bytes, size_t len)
{
    const char *at = memchr(bytes, '\n', len);
    while (at != NULL && at < bytes + len && (*at == '\n' || *at == '\r'))
        at++;
    return at != NULL && at < bytes + len;
}

static const char *judge_line(const char *bytes, size_t len, size_t password_len)
{
    static const char byte_order_mark[] = "\xef\xbb\xbf";
    if (password_len == 0)
        return "is empty: the password is its only line";
    if (memchr(bytes, '\0', len) != NULL)
        return "has a NUL byte: the password is a line of text";
    if (len >= 3 && memcmp(bytes, byte_order_mark, 3) == 0)
        return "begins with a byte order mark, which would be part of the password: save it "
               "without";
    if (password_len >= PASSWORD_BYTES)
        return "has a longer line than a password may be: 255 bytes at most";
    if (has_more_lines(bytes, len))
        return "has more than one line: the password is its only line";
    return NULL;
}

static size_t line_len(const char *bytes, size_t len)
{
    const char *end = memchr(bytes, '\n', len);
    size_t line = end == NULL ? len : (size_t)(end - bytes);
    return line > 0 && bytes[line - 1] == '\r' ? line - 1 : line;
}

static int read_open(int fd, const char *path, char out[PASSWORD_BYTES], char *error,
                     size_t error_size)
{
    char bytes[MOST_BYTES];
    ssize_t got = read_whole(fd, bytes, sizeof bytes);
    if (got < 0)
        return fail_to_read(error, error_size, path);
    size_t len = line_len(bytes, (size_t)got);
    const char *wrong = judge_line(bytes, (size_t)got, len);
    if (wrong == NULL) {
        memcpy(out, bytes, len);
        out[len] = '\0';
    }
    explicit_bzero(bytes, sizeof bytes);
    return wrong == NULL ? 0 : fail_with(error, error_size, path, wrong);
}

int password_file_read(const char *path, bool again, char out[PASSWORD_BYTES], char *error,
                       size_t error_size)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | (again ? O_NONBLOCK : 0));
    if (fd < 0)
        return fail_to_read(error, error_size, path);
    int result;
    if (again && (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)))
        result =
            fail_with(error, error_size, path, "cannot be read a second time: it is no plain file");
    else
        result = read_open(fd, path, out, error, error_size);
    close(fd);
    return result;
}
