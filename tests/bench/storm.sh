#!/bin/bash
# Bursts of members, with a real Redis: the cost of joining, leaving and staying.
#
#   tests/bench/storm.sh [rooms] [crowd] [memory]        (default: all three, some eight minutes)
#
# rooms   100,000 idle members on six gateways: the cost of their keys for Redis. Then 100,000
#         deliveries a second: in 10,000 rooms of 10, in 100 rooms of 1,000, and in one room of 1,000.
# crowd   900 members on three gateways talk while 50,000 more join: p99 of the 900, and the cost of a
#         handshake and a join.
# memory  10,000 members join and leave ten times while 5,000 stay: the gateway's memory before and after.
#
# All gateways share one core; Redis and the load generators share the other one. Needs 20,000 descriptors per
# process (ulimit -Hn), and root for the priority of the generators.
set -euo pipefail
cd "$(dirname "$0")/../.."
ulimit -n "$(ulimit -Hn)"
cmake --preset release -G Ninja -DYUKIZURI_BENCH=ON >/dev/null
cmake --build --preset release >/dev/null
run=$(mktemp -d)
started=()
gateways=()
ports=()

pause() { read -r -t "$1" <> <(:) || true; }
cpu_ms() { awk '{total += $1} END {printf "%d", total / 1e6}' /proc/"$1"/task/*/schedstat; }
field() { grep -o "\"$1\":-\?[0-9.]*" "$2" | head -1 | cut -d: -f2; }
median() { sort -n | awk '{at[NR] = $1} END {print at[int((NR + 1) / 2)]}'; }
stop_all() {
    [ ${#started[@]} -eq 0 ] || kill "${started[@]}" 2>/dev/null || true
    wait 2>/dev/null || true
    started=() gateways=() ports=()
}
trap 'stop_all; rm -rf "$run"' EXIT
trap 'exit 1' INT TERM

# start_chat COUNT: starts Redis and COUNT gateways
start_chat() {
    rm -f "$run"/*
    taskset -c 1 nice -n -10 redis-server --port 0 --unixsocket "$run/redis.sock" --save '' --appendonly no >/dev/null &
    redis=$!
    started+=("$redis")
    until [ -S "$run/redis.sock" ]; do pause 0.05; done
    for ((i = 0; i < $1; i++)); do
        ports+=($((20000 + RANDOM % 10000)))
        taskset -c 0 build/release/yukizuri --addr "127.0.0.1:${ports[i]}" --redis "unix:$run/redis.sock" \
            --rate 0 --drain 0 -logging=false &
        gateways+=($!)
        started+=($!)
        until curl -sf -o /dev/null "http://127.0.0.1:${ports[i]}/readyz"; do
            kill -0 "${gateways[i]}" 2>/dev/null || { echo "gateway $i did not start" >&2; exit 1; }
            pause 0.05
        done
    done
}

# load NAME [OPTION VALUE]...: starts a generator in the background; its output is in $run/NAME
load() {
    local name=$1
    shift
    taskset -c 1 build/release/load --room "$name-" "$@" >"$run/$name" 2>"$run/$name.error" &
    last=$!
    started+=("$last")
}
# waits until all its members have joined
await_in() {
    until compgen -G "$run/go.in.$1" >/dev/null; do
        kill -0 "$1" 2>/dev/null || { cat "$run"/*.error >&2; exit 1; }
        pause 0.2
    done
}

# talk TITLE MEMBERS ROOMS RATE [FIRST]: runs a load on every gateway and prints the cost of a delivery. After all
# joins and before the first message, it calls FIRST with the number of members.
talk() {
    local title=$1 members=$2 rooms=$3 rate=$4 first=${5:-:} loads=() lost=0 i
    for i in "${!gateways[@]}"; do
        load "talk$i" --ports "${ports[i]}" --pids "${gateways[i]}" --members "$members" --rooms "$rooms" --rate "$rate" \
            --source "$((i + 1))" --pending 2000 --seconds 8 --warmup 2 --wait "$run/go"
        loads+=("$last")
        await_in "$last"
    done
    $first $((members * ${#gateways[@]}))
    touch "$run/go"
    for i in "${loads[@]}"; do wait "$i" || lost=1; done
    echo "$title: $(for i in "${!gateways[@]}"; do field cpu_ns_per_delivery "$run/talk$i"; done | median) ns of CPU a delivery," \
        "p99 $(for i in "${!gateways[@]}"; do field p99_ms "$run/talk$i"; done | sort -n | tail -1) ms," \
        "$([ $lost = 0 ] && echo "nothing lost" || echo "something lost, or late by seconds")"
}

# share MS SECONDS: the percentage of a core
share() { awk -v ms="$1" -v s="$2" 'BEGIN {printf "%.2f", ms / s / 10}'; }

# redis_takes SECONDS: the CPU time of Redis in that time, in ms
redis_takes() {
    local before
    before=$(cpu_ms "$redis")
    pause "$1"
    echo $(($(cpu_ms "$redis") - before))
}

leases() {
    local seconds=120 taken
    pause 60 # the work that follows the joins is done
    taken=$(redis_takes $seconds) # each member is refreshed once
    echo "keys of $1 members on ${#gateways[@]} gateways: $(share "$taken" $seconds) % of a core for Redis," \
        "of which $(share "$alone" 20) % is for Redis and the gateways themselves, with nobody there"
}

rooms() {
    start_chat 6
    pause 5
    alone=$(redis_takes 20)
    talk "10,000 rooms of 10 on six gateways" 16700 1670 1670 leases
    stop_all
    start_chat 6
    talk "100 rooms of 1,000 on six gateways" 17000 17 17
    stop_all
    start_chat 1
    talk "one room of 1,000" 1000 1 100
    stop_all
}

crowd() {
    local i coming=() staying
    start_chat 3
    taskset -c 1 nice -n -10 build/release/load --ports "$(IFS=,; echo "${ports[*]}")" --spread 1 --members 900 --rate 20 \
        --source 9 --seconds 25 --warmup 0 --wait "$run/go" >"$run/staying" &
    staying=$!
    started+=("$staying")
    await_in "$staying"
    touch "$run/go"
    pause 2
    for i in 0 1 2; do
        load "coming$i" --ports "${ports[i]}" --pids "${gateways[i]}" --members 16700 --rooms 17 --source "$((i + 1))" --pending 1300 --seconds 1
        coming+=("$last")
    done
    for i in "${coming[@]}"; do wait "$i"; done
    if ! kill -0 "$staying"; then echo "the 900 members stopped talking too early" >&2; fi
    wait "$staying" || { echo "the 900 members missed messages" >&2; exit 1; }
    echo "50,100 members joined on three gateways: handshake $(field handshake_cpu_us "$run/coming1") us, join $(field join_cpu_us "$run/coming1") us;" \
        "$(field handshakes_per_s "$run/coming1") handshakes and $(field joins_per_s "$run/coming1") joins a second on each, a third of a core"
    echo "900 talking members over the 25 s around it: p99 $(field p99_ms "$run/staying") ms, most $(field max_ms "$run/staying") ms, lost $(field lost "$run/staying")"
    stop_all
}

memory() {
    start_chat 1
    load staying --ports "${ports[0]}" --pids "${gateways[0]}" --members 5000 --source 1 --pending 500 --seconds 600 --wait "$run/go"
    await_in "$last"
    pause 10
    taskset -c 1 build/release/load --ports "${ports[0]}" --pids "${gateways[0]}" --room bench --members 1 --storms 10 --storm-members 10000 \
        --source 3 --pending 1000 --seconds 1 >"$run/storms"
    awk -v before="$(field storm_pss_before "$run/storms")" -v after="$(field storm_pss_after "$run/storms")" -v each="$(field storm_cpu_us_each "$run/storms")" \
        'BEGIN {printf "ten bursts of 10,000 while 5,000 stay: Pss %.2f MB before, %.2f MB after (%+.1f %%); %s us of CPU per join and leave\n", before / 1e6, after / 1e6, (after / before - 1) * 100, each}'
    stop_all
}

parts=("$@")
[ ${#parts[@]} -gt 0 ] || parts=(rooms crowd memory)
for part in "${parts[@]}"; do
    case $part in
    rooms | crowd | memory) "$part" ;;
    *) sed -n 2,14p "$0"; exit 2 ;;
    esac
done
