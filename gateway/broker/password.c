/* The password of Redis, read again: it may have been changed since the start. */
#include "broker/internal.h"

#include "config/password_file.h"

#include <string.h>

static void tell(const struct bus *bus, const char *message, const char *err)
{
    log_write(bus->options.log, &(struct log_line){
                                    .level = err == NULL ? LOG_LEVEL_INFO : LOG_LEVEL_WARN,
                                    .kind = "redis-password",
                                    .message = message,
                                    .err = err,
                                });
}

/* A failure is told once, until it goes well again. */
static void reread(struct bus *bus)
{
    char password[PASSWORD_BYTES];
    char error[300];
    const char *path = bus->options.config->redis_password_file;
    if (password_file_read(path, true, password, error, sizeof error) != 0) {
        if (!bus->password_told)
            tell(bus, "redis-password-file could not be read again; the old password is kept",
                 error);
        bus->password_told = true;
        return;
    }
    if (strcmp(password, bus->url.password) != 0) {
        memcpy(bus->url.password, password, sizeof password);
        tell(bus, "redis-password-file has another password; it is used from now on", NULL);
    }
    explicit_bzero(password, sizeof password);
    bus->password_told = false;
}

void bus_reread_password(struct bus *bus)
{
    if (bus->options.config->redis_password_file == NULL)
        return;
    bus->password_told = false;
    reread(bus);
}

void bus_doubt_password(struct bus *bus, const struct redis_error *error)
{
    if (bus->options.config->redis_password_file != NULL && strcmp(error->word, "WRONGPASS") == 0)
        reread(bus);
}
