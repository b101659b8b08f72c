/* yukizuri: settings, a log, a server (or several), an exit status. */
#include "base/cores.h"
#include "base/file_limit.h"
#include "base/library_memory.h"
#include "base/service.h"
#include "base/signals.h"
#include "base/standard_files.h"
#include "base/stderr_line.h"
#include "base/user.h"
#include "config/config.h"
#include "config/help.h"
#include "http/given_sockets.h"
#include "sandbox.h"
#include "server.h"
#include "supervisor.h"
#include "telemetry/log.h"

#include <errno.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { EXIT_USAGE = 2, LOG_FILE_MODE = 0640 };

/* errno tells why. */
static void print_no_log(const struct config *config)
{
    if (config->log_file != NULL)
        stderr_line_print("log-file: cannot open %s: %s", config->log_file, strerror(errno));
    else
        stderr_line_print("the log cannot go to standard output: %s; name a file with --log-file, "
                          "or have none with --logging false",
                          strerror(errno));
}

static bool has_output; /* the process was started with a standard output */

static struct log *open_log(const struct config *config)
{
    errno = EBADF;
    if (config->logging && config->log_file == NULL && !has_output)
        return NULL;
    if (config->logging && config->log_file != NULL)
        user_make_file(&config->run_as, config->log_file, LOG_FILE_MODE);
    return log_open(config->log_file, config->logging, config->gateway_id);
}

static int run_gateway(const struct config *config, struct service *service)
{
    char error[512];
    struct log *log = open_log(config);
    if (log == NULL) {
        print_no_log(config);
        return EXIT_USAGE;
    }
    struct server *server = server_new(config, log, service, error, sizeof error);
    int status = 1;
    if (server == NULL || (config->sandbox && sandbox_enter(error, sizeof error) != 0))
        stderr_line_print("%s", error);
    else
        status = server_run(server);
    server_free(server);
    log_close(log);
    return status;
}

/* Does the file limit allow for connections? */
static bool has_files(const struct config *config)
{
    char what[256];
    const struct file_limit_wish wish = {config->max_connections, config->max_connections_given};
    int verdict = file_limit_judge(file_limit_raise(), &wish, what, sizeof what);
    if (verdict != 0)
        stderr_line_print("%s", what);
    return verdict >= 0;
}

static int run_all(struct config *config)
{
    char error[256];
    struct service *service = service_take(error, sizeof error);
    int status = EXIT_USAGE;
    if (config->workers == 0)
        config->workers = (uint64_t)cores_allowed();
    if (service == NULL ||
        given_sockets_announce(service_sockets(service), config, error, sizeof error) != 0)
        stderr_line_print("%s", error);
    else if (has_files(config))
        status = config->workers == 1 ? run_gateway(config, service)
                                      : supervisor_run(config, service, run_gateway);
    service_free(service);
    return status;
}

int main(int argc, char **argv)
{
    struct config config;
    signals_begin();
    library_memory_take_over(event_set_mem_functions);
    user_limit_process();
    if (standard_files_hold(&has_output) != 0) {
        stderr_line_print("cannot open /dev/null: %s", strerror(errno));
        return EXIT_USAGE;
    }
    struct config_result result = config_load(&config, argc, argv, environ);
    int status = 0;
    for (size_t i = 0; i < result.warning_count; i++)
        stderr_line_print("%s", result.warnings[i]);
    if (result.action == CONFIG_FAILED) {
        stderr_line_print("%s", result.error);
        status = EXIT_USAGE;
    } else if (result.action == CONFIG_HELP) {
        config_print_help(stdout, result.format);
    } else if (result.action == CONFIG_VERSION) {
        puts("yukizuri " YUKIZURI_VERSION);
    } else if (result.action == CONFIG_CHECK) {
        puts("The settings are fine.");
    } else {
        status = run_all(&config);
    }
    config_done(&config);
    if (status == 0 && fflush(stdout) != 0) { /* a help that nobody got */
        stderr_line_print("cannot write to standard output: %s", strerror(errno));
        status = 1;
    }
    return status;
}
