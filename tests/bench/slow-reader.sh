#!/bin/bash
# One member that never reads, in a room with many others: its cost for them, and for the gateway's memory.
#
#   tests/bench/slow-reader.sh [MEMBERS] [RATE] [SECONDS] [ROUNDS]     (default: 1000 20 60 2)
#
# Runs alternate without and with it, so that the machine's noise affects both. Messages have 1,400 bytes, so that
# a minute fills the kernel's buffer and `backlog`, and the member is closed with 4408. (With the default --ping it
# would be closed earlier, because it does not answer.)
set -euo pipefail
cd "$(dirname "$0")/../.."
members=${1:-1000} rate=${2:-20} seconds=${3:-60} rounds=${4:-2}

cmake --preset release -G Ninja -DYUKIZURI_BENCH=ON >/dev/null
cmake --build --preset release >/dev/null
scratch=$(mktemp -d)
pids=()
finish() {
    [ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null || true
    rm -rf "$scratch"
}
trap finish EXIT
port=$((20000 + RANDOM % 10000))
build/release/yukizuri --addr "127.0.0.1:$port" --rate 0 --drain 0 --ping 300 >"$scratch/log" &
pids+=($!)
for _ in $(seq 100); do curl -fs "http://127.0.0.1:$port/readyz" >/dev/null && break; sleep 0.1; done

for ((round = 1; round <= rounds; round++)); do
    for deaf in 0 1; do
        closed=$(curl -s "http://127.0.0.1:$port/api/stats" | grep -o '"slow_readers":[0-9]*')
        build/release/load --ports "$port" --members "$members" --rate "$rate" --seconds "$seconds" \
            --bytes 1400 --deaf "$deaf" --pids "${pids[0]}" --room "r$round$deaf"
        echo "  slow readers closed so far: before $closed, after $(curl -s "http://127.0.0.1:$port/api/stats" | grep -o '"slow_readers":[0-9]*')"
    done
done
