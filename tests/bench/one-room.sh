#!/bin/bash
# One room on one gateway: CPU of the gateway per delivered message, and latency, beside those of the
# floor (floor.c), measured in turn so that a noisy machine is noisy for both.
#
#   tests/bench/one-room.sh [members] [messages a second] [seconds] [rounds]     (default 1000 100 10 3)
#
# The server is pinned to the first core, Redis and the load to the second. Prints a JSON object per
# run, and at the end the ratio of the medians.
set -euo pipefail
cd "$(dirname "$0")/../.."
members=${1:-1000} rate=${2:-100} seconds=${3:-10} rounds=${4:-3}
cmake --preset release -G Ninja -DYUKIZURI_BENCH=ON >/dev/null
cmake --build --preset release >/dev/null
run=$(mktemp -d)
pids=()
cleanup() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
    rm -rf "$run"
}
trap cleanup EXIT
pause() { read -r -t 0.05 <> <(:) || true; }
is_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

taskset -c 1 redis-server --port 0 --unixsocket "$run/redis.sock" --save '' --appendonly no >/dev/null &
pids+=($!)
port=$((20000 + RANDOM % 20000))

# Runs the load against a server that is started for it; its JSON gets the server's name.
measure() {
    local name=$1
    shift
    taskset -c 0 "$@" &
    local server=$!
    pids+=("$server")
    until is_open "$port"; do pause; done
    [ "$name" = floor ] || until curl -sf -o /dev/null "http://127.0.0.1:$port/readyz"; do pause; done
    taskset -c 1 build/release/load --port "$port" --members "$members" --rate "$rate" --seconds "$seconds" \
        --pid "$server" --room "bench$RANDOM" | sed "s/^{/{\"system\":\"$name\",/" | tee -a "$run/results"
    kill "$server"
    wait "$server" 2>/dev/null || true
}
for ((round = 0; round < rounds; round++)); do
    measure floor build/release/floor "$port"
    measure yukizuri build/release/yukizuri --addr "127.0.0.1:$port" --redis "unix:$run/redis.sock" --rate 0 --drain 0 -logging=false
    port=$((port + 1))
done
median() { # of a field of a system
    grep "\"$1\"" "$run/results" | sed -E "s/.*\"$2\":([0-9.]+).*/\1/" | sort -n | sed -n "$(((rounds + 1) / 2))p"
}
for field in cpu_ns_per_delivery p99_ms; do
    awk -v f="$(median floor $field)" -v y="$(median yukizuri $field)" -v name=$field \
        'BEGIN { printf "%s: floor %s, yukizuri %s, ratio %.2f\n", name, f, y, y / f }'
done
