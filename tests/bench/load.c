/* load: the load generator. Clients connect (phase 1), come in (phase 2), and talk (phase 3), and
 * each phase prints what it cost the processes under test; one JSON object on one line.
 *
 *   load --ports P[,P...] --pids PID[,PID...] [--NAME VALUE]...
 *
 *   --redis PID                                also prints what this process cost for each text
 *   --dialect yukizuri|relay|socketio|nats     how the server is spoken to (dialect.c)
 *   --members N  --rooms N  --room NAME        clients, in so many rooms (default 1000 in 1)
 *   --spread 1                                 a room's clients connect to all ports in turn
 *   --proxied 1                                the ports want a PROXY header: each client gets an
 *                                              address of its own
 *   --source K                                 client addresses are 127.K.x.y
 *   --rate R                                   texts a second, over all rooms, whatever the server
 * does
 *   --window W                                 instead: so many texts under way per room, always
 *   --seconds S  --warmup S                    how long they talk, and before that uncounted
 *   --bytes B  --payload B                     of a text; of a frame of a server that relays as is
 *   --pending N                                clients coming in at the same time (default 64)
 *   --deaf N                                   further clients who never read
 *   --storms N  --storm-members M              before they talk, M people come and go, N times
 *   --impolite 1                               those just close, without a leave
 *   --hold S                                   everybody stays silently for so long before the end
 *   --wait FILE                                when all are in, makes FILE.in.PID, waits for FILE
 * to talk
 *
 * Latency counts from when a text was due, so a generator or server that is late is not excused. */
#include "crowd.h"
#include "machine.h"
#include "processes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { DOZE_MS = 20 };

static struct options {
    struct crowd_options crowd;
    const char *dialect;
    const char *ports;
    const char *pids;
    int members, rate, window, seconds, warmup, pending, deaf, storms, storm_members, impolite;
    int hold, rooms, spread, proxied, source, bytes, payload;
    const char *room, *wait, *redis;
} options = {
    .dialect = "yukizuri",
    .ports = "",
    .pids = "",
    .members = 1000,
    .seconds = 10,
    .warmup = 2,
    .pending = 64,
    .rooms = 1,
    .bytes = 100,
    .room = "bench",
};

static struct processes servers, redis;
static struct histogram histogram;
static struct crowd *crowd;

/* --- Phases --- */

struct phase {
    double cpu_s, wall_s;
};

static struct phase begin_phase(void)
{
    return (struct phase){processes_cpu_s(&servers), (double)machine_now_us() / 1e6};
}

static struct phase end_phase(struct phase begun)
{
    return (struct phase){processes_cpu_s(&servers) - begun.cpu_s,
                          (double)machine_now_us() / 1e6 - begun.wall_s};
}

static void be_silent_for(double seconds)
{
    int64_t end = machine_now_us() + (int64_t)(seconds * 1e6);
    while (machine_now_us() < end)
        crowd_doze(crowd, DOZE_MS);
}

/* Polls until the count has come so far; gives up when it has not moved for half a minute. */
static void await(const int *count, int wanted, const char *what)
{
    int seen = *count;
    int64_t deadline = machine_now_us() + 30000000;
    while (*count < wanted) {
        crowd_poll(crowd, 10);
        if (*count != seen)
            deadline = machine_now_us() + 30000000;
        seen = *count;
        if (machine_now_us() > deadline) {
            fprintf(stderr,
                    "load: only %d of %d %s; %" PRIu64 " asked again, %" PRIu64 " were refused\n",
                    *count, wanted, what, crowd_counts(crowd)->again, crowd_counts(crowd)->refused);
            exit(1);
        }
    }
}

static struct phase connect_all(int count)
{
    const struct crowd_counts *counts = crowd_counts(crowd);
    struct phase phase = begin_phase();
    for (int i = 0; i < count; i++) {
        crowd_connect(crowd, false);
        await(&counts->upgraded, i + 1 - options.pending, "were upgraded");
        crowd_poll(crowd, 0);
    }
    await(&counts->upgraded, count, "were upgraded");
    return end_phase(phase);
}

static struct phase come_in_all(int count)
{
    const struct crowd_counts *counts = crowd_counts(crowd);
    struct phase phase = begin_phase();
    for (int i = 0; i < count; i++) {
        crowd_come_in(crowd, i);
        await(&counts->inside, i + 1 - options.pending, "came in");
        crowd_poll(crowd, 0);
    }
    await(&counts->inside, count, "came in");
    return end_phase(phase);
}

static void leave_all(int count)
{
    const struct crowd_counts *counts = crowd_counts(crowd);
    for (int i = 0; i < count; i++) {
        crowd_leave(crowd, i, !options.impolite);
        crowd_poll(crowd, 0);
    }
    if (!options.impolite)
        await(&counts->closed, count, "were closed");
    crowd_empty(crowd);
}

/* So many texts a second, whatever comes back. The schedule goes on from call to call: what was due
 * meanwhile is said late, and counts from when it was due. */
static void talk_at_rate(double seconds)
{
    static int64_t start, said;
    if (start == 0)
        start = machine_now_us();
    int64_t end = machine_now_us() + (int64_t)(seconds * 1e6);
    while (machine_now_us() < end) {
        for (;; said++) {
            int64_t due = start + said * 1000000 / options.rate;
            if (due > machine_now_us())
                break;
            int room = (int)(said % options.rooms);
            crowd_say(crowd, room, (int)(said / options.rooms % CROWD_SPEAKERS), due);
        }
        crowd_poll(crowd, 1);
    }
}

/* As many as come back: the window is always full. */
static void talk_in_window(double seconds)
{
    static uint64_t said;
    int64_t end = machine_now_us() + (int64_t)(seconds * 1e6);
    uint64_t most = (uint64_t)options.window * (uint64_t)options.rooms;
    const struct crowd_counts *counts = crowd_counts(crowd);
    while (machine_now_us() < end) {
        for (; said - counts->own < most; said++) {
            int room = (int)(said % (uint64_t)options.rooms);
            crowd_say(crowd, room, (int)(said / (uint64_t)options.rooms % CROWD_SPEAKERS),
                      machine_now_us());
        }
        crowd_poll(crowd, 1);
    }
}

static void talk(double seconds)
{
    if (options.window > 0)
        talk_in_window(seconds);
    else if (options.rate > 0)
        talk_at_rate(seconds);
    else
        be_silent_for(seconds);
}

static double resident_most, redis_cpu_s;

/* Talks, and looks at the memory of the servers every tenth of the time. */
static struct phase talk_counted(void)
{
    const struct crowd_counts *counts = crowd_counts(crowd);
    talk(options.warmup);
    for (int i = 0; i < options.deaf; i++) {
        crowd_connect(crowd, true);
        await(&counts->upgraded, options.members + i + 1, "were upgraded");
        crowd_come_in(crowd, options.members + i);
    }
    crowd_count(crowd, &histogram);
    redis_cpu_s = processes_cpu_s(&redis);
    struct phase phase = begin_phase();
    for (int i = 0; i < 10; i++) {
        talk(options.seconds / 10.0);
        double pss = processes_pss(&servers);
        resident_most = pss > resident_most ? pss : resident_most;
    }
    /* what is still under way is part of the work */
    int64_t deadline = machine_now_us() + 5000000;
    while (counts->delivered < counts->expected && machine_now_us() < deadline)
        crowd_poll(crowd, 10);
    redis_cpu_s = processes_cpu_s(&redis) - redis_cpu_s;
    phase = end_phase(phase);
    if (counts->delivered < counts->expected)
        crowd_tell_missing(crowd);
    return phase;
}

static void print_talk(struct phase phase)
{
    const struct crowd_counts *counts = crowd_counts(crowd);
    double delivered = counts->delivered > 0 ? (double)counts->delivered : 1;
    printf(",\"expected\":%" PRIu64 ",\"delivered\":%" PRIu64 ",\"lost\":%" PRId64
           ",\"doubled\":%" PRIu64 ",\"disordered\":%" PRIu64 ",\"skipped\":%" PRIu64
           ",\"refused\":%" PRIu64
           ",\"frame_bytes\":%.0f,\"deliveries_per_s\":%.0f,\"cpu_ns_per_delivery\":%.0f"
           ",\"cpu_percent\":%.1f,\"p50_ms\":%.2f,\"p99_ms\":%.2f,\"p999_ms\":%.2f,\"max_ms\":%.2f"
           ",\"pss_talking\":%.0f",
           counts->expected, counts->delivered, (int64_t)(counts->expected - counts->delivered),
           counts->doubled, counts->disordered, counts->skipped, counts->refused,
           (double)counts->frame_bytes / delivered, (double)counts->delivered / phase.wall_s,
           phase.cpu_s * 1e9 / delivered, phase.cpu_s / phase.wall_s * 100,
           histogram_ms(&histogram, 0.5), histogram_ms(&histogram, 0.99),
           histogram_ms(&histogram, 0.999), histogram_ms(&histogram, 1), resident_most);
    if (redis.count > 0)
        printf(",\"redis_cpu_us_per_message\":%.2f",
               redis_cpu_s * 1e6 * options.members / options.rooms / delivered);
}

static void storm(void)
{
    int people = options.storm_members;
    double before = processes_pss(&servers);
    struct phase phase = begin_phase();
    for (int i = 0; i < options.storms; i++) {
        connect_all(people);
        come_in_all(people);
        leave_all(people);
    }
    phase = end_phase(phase);
    be_silent_for(5);
    printf("\"storms\":%d,\"storm_members\":%d,\"storm_pss_before\":%.0f,\"storm_pss_after\":%.0f"
           ",\"storm_cpu_us_each\":%.1f,\"storm_each_per_s\":%.0f,",
           options.storms, people, before, processes_pss(&servers),
           phase.cpu_s * 1e6 / options.storms / people, options.storms * people / phase.wall_s);
}

/* One FILE for many generators: whoever starts them makes it when all are ready. */
static void wait_for_others(void)
{
    char ready[512];
    snprintf(ready, sizeof ready, "%s.in.%d", options.wait, (int)getpid());
    FILE *file = fopen(ready, "w");
    if (file == NULL)
        perror(ready);
    else
        fclose(file);
    while (access(options.wait, F_OK) != 0)
        crowd_doze(crowd, DOZE_MS);
}

static void run(void)
{
    double people = options.members > 0 ? options.members : 1;
    if (options.storms > 0)
        storm();
    double pss = processes_pss(&servers);
    struct phase connecting = connect_all(options.members);
    double pss_connected = processes_pss(&servers);
    struct phase coming = come_in_all(options.members);
    if (servers.count > 0)
        be_silent_for(3); /* the servers tidy up */
    double pss_inside = processes_pss(&servers);
    printf("\"dialect\":\"%s\",\"members\":%d,\"rooms\":%d,\"rate\":%d,\"window\":%d,\"deaf\":%d"
           ",\"pss_before\":%.0f,\"bytes_per_connection\":%.0f,\"bytes_per_member\":%.0f"
           ",\"handshake_cpu_us\":%.2f,\"handshakes_per_s\":%.0f"
           ",\"join_cpu_us\":%.2f,\"joins_per_s\":%.0f",
           options.dialect, options.members, options.rooms, options.rate, options.window,
           options.deaf, pss, (pss_connected - pss) / people, (pss_inside - pss) / people,
           connecting.cpu_s * 1e6 / people, people / connecting.wall_s, coming.cpu_s * 1e6 / people,
           people / coming.wall_s);
    if (options.wait != NULL)
        wait_for_others();
    if (options.rate > 0 || options.window > 0)
        print_talk(talk_counted());
    else
        be_silent_for(options.seconds);
    be_silent_for(options.hold);
}

/* --- Options --- */

static const struct {
    const char *name;
    int *number;
    const char **word;
} names[] = {
    {"--dialect", NULL, &options.dialect}, {"--ports", NULL, &options.ports},
    {"--pids", NULL, &options.pids},       {"--room", NULL, &options.room},
    {"--wait", NULL, &options.wait},       {"--redis", NULL, &options.redis},
    {"--members", &options.members, NULL}, {"--rooms", &options.rooms, NULL},
    {"--spread", &options.spread, NULL},   {"--source", &options.source, NULL},
    {"--rate", &options.rate, NULL},       {"--window", &options.window, NULL},
    {"--seconds", &options.seconds, NULL}, {"--warmup", &options.warmup, NULL},
    {"--bytes", &options.bytes, NULL},     {"--payload", &options.payload, NULL},
    {"--pending", &options.pending, NULL}, {"--deaf", &options.deaf, NULL},
    {"--storms", &options.storms, NULL},   {"--storm-members", &options.storm_members, NULL},
    {"--proxied", &options.proxied, NULL}, {"--impolite", &options.impolite, NULL},
    {"--hold", &options.hold, NULL},
};

static void read_option(const char *name, const char *value)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i].name, name) != 0)
            continue;
        if (names[i].word != NULL)
            *names[i].word = value;
        else
            *names[i].number = atoi(value);
        return;
    }
    fprintf(stderr, "load: unknown option %s\n", name);
    exit(2);
}

static struct crowd_options crowd_options(void)
{
    struct crowd_options of = {
        .dialect = dialect_find(options.dialect),
        .spread = options.spread != 0,
        .proxied = options.proxied != 0,
        .source = options.source,
        .rooms = options.rooms > 0 ? options.rooms : 1,
        .room = options.room,
        .bytes = options.bytes,
        .payload = options.payload,
    };
    struct processes ports = processes_parse(options.ports); /* numbers with commas, too */
    of.port_count = ports.count;
    memcpy(of.ports, ports.pids, sizeof of.ports);
    if (of.dialect == NULL || of.port_count == 0) {
        fprintf(stderr, "load: --dialect is unknown or --ports is missing\n");
        exit(2);
    }
    return of;
}

int main(int argc, char **argv)
{
    struct rlimit files = {0};
    for (int i = 1; i + 1 < argc; i += 2)
        read_option(argv[i], argv[i + 1]);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    servers = processes_parse(options.pids);
    redis = processes_parse(options.redis != NULL ? options.redis : "");
    const struct crowd_options of = crowd_options();
    int most = options.members + options.deaf;
    crowd = crowd_new(&of, most > options.storm_members ? most : options.storm_members);
    printf("{");
    run();
    const struct crowd_counts counts = *crowd_counts(crowd);
    printf(",\"asked_again\":%" PRIu64 ",\"closed\":%d}\n", counts.again, counts.closed);
    crowd_free(crowd);
    return counts.expected != counts.delivered || counts.doubled + counts.disordered > 0 ||
           counts.closed > options.deaf;
}
