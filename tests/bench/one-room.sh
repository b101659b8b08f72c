#!/bin/bash
# One room on one gateway: CPU of the gateway per delivered message, and latency.
#
#   tests/bench/one-room.sh [members] [messages a second] [seconds]     (default 1000 100 10)
#
# The gateway is pinned to the first core, Redis and the load to the second. Prints one JSON object.
set -euo pipefail
cd "$(dirname "$0")/../.."
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
taskset -c 1 redis-server --port 0 --unixsocket "$run/redis.sock" --save '' --appendonly no >/dev/null &
pids+=($!)
port=$((20000 + RANDOM % 20000))
taskset -c 0 build/release/yukizuri --addr "127.0.0.1:$port" --redis "unix:$run/redis.sock" --rate 0 --drain 0 \
    -logging=false &
gateway=$!
pids+=("$gateway")
until curl -sf -o /dev/null "http://127.0.0.1:$port/readyz"; do read -r -t 0.05 <> <(:) || true; done
taskset -c 1 build/release/load --port "$port" --members "${1:-1000}" --rate "${2:-100}" --seconds "${3:-10}" --pid "$gateway"
