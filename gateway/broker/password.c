#include "broker/password.h"

#include "config/password_file.h"

#include <stdio.h>
#include <string.h>

static void log_password(const struct password *password, const char *what, const char *err)
{
    char message[128];
    snprintf(message, sizeof message, "%s %s", password->setting, what);
    log_write(password->log, &(struct log_line){
                                 .level = err == NULL ? LOG_LEVEL_INFO : LOG_LEVEL_WARN,
                                 .kind = "redis-password",
                                 .message = message,
                                 .err = err,
                             });
}

void password_reread(struct password *password)
{
    char text[PASSWORD_BYTES];
    char error[300];
    if (password->path == NULL)
        return;
    if (password_file_read(password->path, true, text, error, sizeof error) != 0) {
        if (!password->failure_logged)
            log_password(password, "could not be read again; the old password is kept", error);
        password->failure_logged = true;
        return;
    }
    if (strcmp(text, password->url->password) != 0) {
        memcpy(password->url->password, text, sizeof text);
        log_password(password, "has another password; it is used from now on", NULL);
    }
    explicit_bzero(text, sizeof text);
    password->failure_logged = false;
}
