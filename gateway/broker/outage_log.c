#include "broker/outage_log.h"

#include <stdio.h>

void outage_log_lost(struct log *log, const struct redis_url *url, bool reached, const char *why)
{
    char where[REDIS_URL_TEXT_BYTES];
    char message[REDIS_URL_TEXT_BYTES + 64];
    redis_url_format(url, where);
    snprintf(message, sizeof message, "%s %s; trying again until it is there", where,
             reached ? "is out of reach" : "has not been reached yet");
    log_write(log, &(struct log_line){
                       .level = LOG_LEVEL_WARN,
                       .kind = "redis-lost",
                       .message = message,
                       .err = why,
                   });
}

void outage_log_up(struct log *log, const struct redis_url *url, const char *version)
{
    char where[REDIS_URL_TEXT_BYTES];
    char message[REDIS_URL_TEXT_BYTES + 48];
    redis_url_format(url, where);
    snprintf(message, sizeof message, "%s is there%s%s", where,
             version[0] == '\0' ? "" : ": Redis ", version);
    log_write(log, &(struct log_line){.kind = "redis-up", .message = message});
}
