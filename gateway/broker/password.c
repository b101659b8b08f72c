/* The password of Redis, read again: it may have been changed since the start. */
#include "broker/internal.h"

#include "config/password_file.h"

#include <string.h>

static void tell(const struct broker *broker, const char *message, const char *err)
{
    log_write(broker->options.log, &(struct log_line){
                                       .level = err == NULL ? LOG_LEVEL_INFO : LOG_LEVEL_WARN,
                                       .kind = "redis-password",
                                       .message = message,
                                       .err = err,
                                   });
}

/* A failure is told once, until it goes well again. */
static void reread(struct broker *broker)
{
    char password[PASSWORD_BYTES];
    char error[300];
    const char *path = broker->options.config->redis_password_file;
    if (password_file_read(path, true, password, error, sizeof error) != 0) {
        if (!broker->password_told)
            tell(broker, "redis-password-file could not be read again; the old password is kept",
                 error);
        broker->password_told = true;
        return;
    }
    if (strcmp(password, broker->url.password) != 0) {
        memcpy(broker->url.password, password, sizeof password);
        tell(broker, "redis-password-file has another password; it is used from now on", NULL);
    }
    explicit_bzero(password, sizeof password);
    broker->password_told = false;
}

void broker_reread_password(struct broker *broker)
{
    if (broker->options.config->redis_password_file == NULL)
        return;
    broker->password_told = false;
    reread(broker);
}

void broker_check_password(struct broker *broker, const struct redis_error *error)
{
    if (broker->options.config->redis_password_file != NULL &&
        strcmp(error->word, "WRONGPASS") == 0)
        reread(broker);
}
