#!/bin/bash
# A million members on one small machine: the given number of joined connections, in rooms of 1,000, on
# as many gateways as the file limit requires, all on one Redis. They stay with pings, at 10 messages a second
# in different rooms. Prints the memory and CPU of each part, the losses, and p99.
#
# Each room is on one gateway, as behind a balancer that selects by the room's name (nginx: hash $uri). With
# the fourth argument "workers", the gateways are the workers of one program (--workers) on one port: the kernel
# spreads each room over all of them, and every event wakes all of them.
#
#   tests/bench/million.sh [MEMBERS] [SECONDS] [PING] [workers]        (default: 1000000 300 50)
#
# PING is the gateways' setting, in seconds. With its default of 25, a million members cause 40,000 pings a second
# and as many pongs, on sockets that exceed the caches. Each costs about 30 us of CPU for both ends, which is more
# than two cores have left.
#
# With KEEP=DIRECTORY in the environment, that directory gets the gateways' logs (long, because they contain all
# joins and leaves), the log of Redis, its INFO every 5 seconds, and its latency events of more than 100 ms.
#
# Redis has a higher priority than the others, as if it had its own core. Otherwise it would get one of 113 shares
# of two cores at the moment of the highest load.
#
# Needs root. Runs in a network namespace of its own, whose socket table in the kernel is large enough (the usual
# one has a quarter of a million entries). The kernel limits that all namespaces share are raised, and restored
# at the end. It ends after 40 minutes at most. With a higher file limit (ulimit -Hn) it needs fewer gateways.
set -uo pipefail
[ -z "${KEEP:-}" ] || KEEP=$(realpath -m "$KEEP")
cd "$(dirname "$0")/../.." || exit 1
pause() { read -r -t "$1" <> <(:); }

# The limits and the namespace. (They are functions because bash reads a script while it runs, and this one runs long.)
outside() {
    members=${1:-1000000}
    [[ "${4:-}" =~ ^(workers)?$ ]] || { echo "million: \"workers\" or nothing is wanted, not \"$4\"" >&2; exit 2; }
    cmake --preset release -G Ninja -DYUKIZURI_BENCH=ON >/dev/null && cmake --build --preset release >/dev/null || exit 1
    declare -gA before
    set_sysctl() { [ ! -e "/proc/sys/${1//.//}" ] || { before[$1]=$(sysctl -n "$1") && sysctl -qw "$1=$2"; }; }
    inside=
    finish() {
        trap - EXIT
        trap '' INT TERM # a second signal would leave the limits raised
        [ -z "$inside" ] || kill "$inside" 2>/dev/null
        wait 2>/dev/null
        for name in "${!before[@]}"; do sysctl -qw "$name=${before[$name]}"; done
    }
    trap finish EXIT
    trap 'exit 1' INT TERM
    set_sysctl net.ipv4.tcp_mem "4000000 5000000 6000000"
    set_sysctl fs.file-max $((members * 2 + 1000000))
    set_sysctl net.ipv4.tcp_child_ehash_entries 4194304
    set_sysctl net.netfilter.nf_conntrack_max $((members * 2 + 100000))
    timeout --kill-after=30 2400 unshare --net -- bash "tests/bench/$(basename "$0")" --inside "$members" "${2:-300}" "${3:-50}" "${4:-}" &
    inside=$!
    wait "$inside"
    status=$?
    [ $status -ne 124 ] || echo "it took longer than 40 minutes"
    inside=
    exit $status
}

inside() {
    members=$1 seconds=$2 ping=$3 workers=${4:-}
    limit=$(ulimit -Hn)
    per_process=$((limit - 500 < 1000000 ? limit - 500 : 1000000))
    per_load=$((per_process > 18000 ? 18000 : per_process / 1000 * 1000))
    loads=$(((members + per_load - 1) / per_load)) # one per gateway
    # at most as many pending joins as complete within five seconds, after which a join is given up
    programs=$loads pending=4000
    [ -z "$workers" ] || programs=1 pending=1000
    ulimit -n "$limit"
    run=$(mktemp -d)
    keep=${KEEP:-}
    logging=(-logging=false) redis_log=/dev/null
    if [ -n "$keep" ]; then
        mkdir -p "$keep" || exit 1
        logging=(--log-file "$keep/gateways.ltsv") redis_log=$keep/redis.log
    fi
    ask() { redis-cli -s "$run/redis.sock" "$@"; }
    say_what_redis_says() {
        while :; do
            date "+# %FT%T"
            ask INFO everything
            pause 5
        done
    }
    say_what_held_up_redis() {
        local event
        for event in $(ask LATENCY LATEST | grep '[a-z]'); do
            echo "$event: when, how many ms"
            ask LATENCY HISTORY "$event" | paste - -
        done
        ask SLOWLOG GET 100
    }
    pids=()
    finish() {
        trap - EXIT INT TERM
        [ -z "$keep" ] || say_what_held_up_redis >"$keep/redis-held-up.txt"
        [ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null
        wait 2>/dev/null
        rm -rf "$run"
    }
    trap finish EXIT
    trap 'exit 1' INT TERM
    ip link set lo up
    # these belong to the namespace and end with it
    sysctl -qw net.ipv4.ip_local_port_range="1024 65000" net.core.somaxconn=65535 net.ipv4.tcp_max_syn_backlog=65535

    kib() { awk -v name="$1:" '$1 == name {print $2}' /proc/meminfo; }
    pss_of() { local total=0 pid; for pid in "$@"; do total=$((total + $(awk '/^Pss:/ {print $2}' "/proc/$pid/smaps_rollup"))); done; echo $((total * 1024)); }
    cpu_of() { local pid; for pid in "$@"; do cat /proc/"$pid"/task/*/schedstat; done | awk '{total += $1} END {printf "%.2f", total / 1e9}'; }
    # counts the connections to Redis that are younger than number $1, without the asking one: these are reconnects
    made_since() { ask CLIENT LIST | awk -v mark="$1" '{split($1, id, "="); n += id[2] > mark} END {print n - 1}'; }
    inhabited() { ask EXISTS "${rooms[@]}"; } # the number of rooms with members (KEYS would block Redis for a second)
    connected() { ask EVAL "local n = 0 for _, id in ipairs(redis.call('SMEMBERS', 'yukizuri:gateways')) do n = n + (redis.call('HGET', 'yukizuri:gateway:' .. id, 'connections') or 0) end return n" 0; }
    busy() { awk '/^cpu / {print ($2 + $3 + $4 + $7 + $8) / 100}' /proc/stat; } # CPU time of the machine, in seconds

    available_before=$(kib MemAvailable) slab_before=$(kib Slab)
    nice -n -10 redis-server --port 0 --unixsocket "$run/redis.sock" --save '' --appendonly no --maxclients 10000 \
        --latency-monitor-threshold 100 --slowlog-log-slower-than 100000 >"$redis_log" &
    redis=$!
    pids+=($redis)
    until [ -S "$run/redis.sock" ]; do pause 0.1; done
    if [ -n "$keep" ]; then
        say_what_redis_says >"$keep/redis-info.txt" &
        pids+=($!)
    fi
    port=$((20000 + RANDOM % 5000))
    gateways=()
    for ((i = 0; i < programs; i++)); do
        build/release/yukizuri --addr "127.0.0.1:$((port + i))" --redis "unix:$run/redis.sock" --ping "$ping" --drain 0 "${logging[@]}" \
            --workers $((loads / programs)) &
        gateways+=($!)
        pids+=($!)
    done
    until [ "$(ask SCARD yukizuri:gateways)" = "$loads" ]; do pause 0.2; done
    [ -z "$workers" ] || mapfile -t -O 1 gateways < <(pgrep -P "${gateways[0]}")
    first=$(ask CLIENT ID)
    gateways_before=$(pss_of "${gateways[@]}")
    redis_before=$(pss_of $redis)
    echo "$members members, $loads gateways, as many load generators, file limit $limit; $(uname -sr), $(nproc) cores, $(($(kib MemTotal) / 1048576)) GiB, $(date -u +%F); a ping to each every $ping s"

    started=$(date +%s)
    left=$members
    load_pids=()
    rooms=()
    for ((i = 0; i < loads; i++)); do
        count=$((left < per_load ? left : per_load))
        left=$((left - count))
        for ((n = 0; n < (count + 999) / 1000; n++)); do rooms+=("yukizuri:{room$i-$n}:members"); done
        # nobody leaves before all have received everything: 18,000 leaves at once delay the last messages of others
        rate=0 stay=$((seconds + 20)) hold=0
        [ $((i % (loads / 10 + 1))) -ne 0 ] || { rate=1 stay=$seconds hold=10; }
        build/release/load --ports "$((port + i % programs))" --members $count --rooms $n --room "room$i-" --source "$i" \
            --pending $pending --rate $rate --seconds "$stay" --hold $hold --warmup 0 --wait "$run/go" >"$run/load.$i" 2>"$run/error.$i" &
        load=$! # a process substitution, as in pause, changes $!
        load_pids+=($load)
        pids+=($load)
        until compgen -G "$run/go.in.$load" >/dev/null; do
            kill -0 $load 2>/dev/null || { cat "$run/error.$i" "$run/load.$i"; echo "load generator $i ended; $((members - left - count)) people are in"; exit 1; }
            [ "$(kib MemAvailable)" -gt 1000000 ] || { echo "the memory is full with $((members - left - count)) people in"; exit 1; }
            pause 0.5
        done
        [ $(((i + 1) % 5)) -ne 0 ] || echo "  $((members - left)) are in after $(($(date +%s) - started)) s"
    done
    pause 5
    seconds_to_join=$(($(date +%s) - started))
    cpu_gateways=$(cpu_of "${gateways[@]}") cpu_redis=$(cpu_of $redis) cpu_loads=$(cpu_of "${load_pids[@]}") cpu_all=$(busy)
    echo "all are in after $seconds_to_join s; CPU so far: gateways $cpu_gateways s, Redis $cpu_redis s"
    again_coming=$(made_since "$first")
    all_in=$(ask CLIENT ID)
    touch "$run/go"
    pause $((seconds - 10))
    connections=$(connected)
    gateways_after=$(pss_of "${gateways[@]}") redis_after=$(pss_of $redis)
    slab_after=$(kib Slab) available_after=$(kib MemAvailable)
    hold_gateways=$(cpu_of "${gateways[@]}") hold_redis=$(cpu_of $redis) hold_loads=$(cpu_of "${load_pids[@]}") hold_all=$(busy)
    pause 20 # no more messages, and all members are still there
    again_held=$(made_since "$all_in")
    going=$(ask CLIENT ID)
    status=0
    for pid in "${load_pids[@]}"; do wait "$pid" || status=1; done
    gone=$(date +%s)
    for ((i = 0; i < 60 && $(connected) + $(inhabited) > 0; i++)); do pause 2; done # a million leaves at once
    again_going=$(made_since "$going") inhabited_still=$(inhabited) seconds_to_go=$(($(date +%s) - gone))

    share() { awk -v a="$1" -v b="$2" -v s=$((seconds - 10)) 'BEGIN {printf "%.1f %%", (b - a) / s * 100}'; }
    each() { echo $((($2 - $1) / members)); }
    sum() { grep -ho "\"$1\":-\?[0-9]*" "$run"/load.* | awk -F: '{total += $2} END {print total + 0}'; }
    cat <<REPORT
connections (as the gateways' leases say)  $connections
bytes per member: gateways                 $(each "$gateways_before" "$gateways_after")
bytes per member: Redis                    $(each "$redis_before" "$redis_after")
bytes per member: kernel, both ends        $(each $((slab_before * 1024)) $((slab_after * 1024)))
bytes per member: the machine, all counted $(each $((available_after * 1024)) $((available_before * 1024)))
CPU while they stay: gateways              $(share "$cpu_gateways" "$hold_gateways") of a core, all together
CPU while they stay: Redis                 $(share "$cpu_redis" "$hold_redis") of a core
CPU while they stay: load generators       $(share "$cpu_loads" "$hold_loads") of a core, all together
CPU while they stay: the machine           $(share "$cpu_all" "$hold_all"), of $(nproc)00 %
delivered, lost, doubled, disordered       $(sum delivered), $(sum lost), $(sum doubled), $(sum disordered)
texts answered with an error               $(sum refused)
closed by the gateways                     $(sum closed)
connections to Redis made again            $again_coming while they came in, $again_held while they stayed, $again_going when all went at once
rooms not empty, after how long            $inhabited_still, $seconds_to_go s (a grace of 15 s in it)
p99 in ms, of each talking generator       $(grep -ho '"p99_ms":[0-9.]*' "$run"/load.* | cut -d: -f2 | sort -n | tr '\n' ' ')
REPORT
    [ $status -eq 0 ] || { echo "a generator found something wrong:"; cat "$run"/error.* "$run"/load.* | head -20; }
    exit $status
}

if [ "${1:-}" = --inside ]; then
    shift
    inside "$@"
else
    outside "$@"
fi
exit
