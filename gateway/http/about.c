#include "http/about.h"

#include "base/text.h"
#include "broker/script_settings.h"
#include "config/address.h"
#include "telemetry/metrics.h"

static const char *word_of_disk(const struct metrics *metrics)
{
    if (metrics->redis_writes_to_disk == METRICS_UNKNOWN)
        return "unknown";
    return metrics->redis_writes_to_disk ? "yes" : "no";
}

static const char *word_of_show(unsigned show)
{
    static const char *const words[] = {
        [ADDRESS_FULL] = "full",
        [ADDRESS_MASKED] = "masked",
        [ADDRESS_CLOAK] = "cloak",
        [ADDRESS_OFF] = "off",
    };
    return words[show];
}

static const char *word_of(bool yes)
{
    return yes ? "true" : "false";
}

void about_answer(const struct http_site *site, struct response *response)
{
    const struct config *config = site->config;
    struct text body = TEXT_EMPTY;
    text_print(
        &body,
        "{\"retention\":%llu,\"retention_messages\":%llu,\"lease\":%llu,\"leave_grace\":%llu,"
        "\"member_ttl\":%llu,"
        "\"disk\":\"%s\",\"logging\":%s,\"log_text\":%s,\"show_address\":\"%s\","
        "\"log_address\":\"%s\"}\n",
        (unsigned long long)config->retention, (unsigned long long)config->retention_messages,
        (unsigned long long)config->lease, (unsigned long long)config->leave_grace,
        (unsigned long long)script_settings_member_ttl(config), word_of_disk(site->metrics),
        word_of(config->logging), word_of(config->logging && config->log_text),
        word_of_show(config->show_address), word_of_show(config->log_address));
    response_begin(response, 200);
    response_add_headers(response, "Cache-Control: no-cache\r\n");
    response_end_text(response, "application/json", body.data, body.len);
    text_done(&body);
}
