#!/bin/bash
# Counts the instructions of the gateway's code per delivery, without the system call, in the flush of a room
# of 500 under callgrind. The number of instructions is repeatable, so this is a check. It fails above
# the number `most`.
#
#   tests/bench/instructions.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
most=96

command -v valgrind >/dev/null || { echo "instructions: valgrind is needed" >&2; exit 1; }
# shellcheck source=tests/bench/check.sh
. tests/bench/check.sh
valgrind --tool=callgrind --callgrind-out-file="$run/out" --collect-atstart=no --toggle-collect=fanout_flush \
    build/release/yukizuri --addr "127.0.0.1:$port" --redis "unix:$run/redis.sock" --send writev --rate 0 \
    --drain 0 --retention-messages 100 -logging=false 2>"$run/errors" &
gateway=$!
pids+=("$gateway")
await_ready
build/release/load --ports "$port" --pids "$gateway" --members 500 --rate 20 --seconds 5 --warmup 1 >"$run/load" ||
    { cat "$run/load" "$run/errors" >&2; exit 1; }
frames=$(curl -sf "http://127.0.0.1:$port/metrics" | awk '$1 == "yukizuri_messages_out_total" {print $2}')
kill "$gateway"
wait "$gateway" || true
instructions=$(awk '/Collected/ {print $NF}' "$run/errors")
awk -v i="$instructions" -v f="$frames" -v most=$most 'BEGIN {
    each = i / f
    printf "%d instructions for %d frames: %.1f each (at most %d)\n", i, f, each, most
    exit !(f > 10000 && each > 5 && each <= most)
}'
