#!/bin/bash
# Measures the bytes of a gateway's memory per joined idle member: 19,000 of them join a gateway that has just
# been started. The whole growth of its Pss counts: names and addresses, the room, and the first allocations of
# the libraries. This is a check: it fails above 450.
#
#   tests/bench/memory.sh
#
# Needs 20,000 descriptors per process (ulimit -Hn).
set -euo pipefail
cd "$(dirname "$0")/../.."
members=19000
most=450

ulimit -n "$(ulimit -Hn)"
if [ "$(ulimit -n)" != unlimited ] && [ "$(ulimit -n)" -lt $((members + 500)) ]; then
    echo "memory: $((members + 500)) descriptors are needed, there are $(ulimit -n): raise the hard limit" >&2
    exit 1
fi
# shellcheck source=tests/bench/check.sh
. tests/bench/check.sh
build/release/yukizuri --addr "127.0.0.1:$port" --redis "unix:$run/redis.sock" --drain 0 -logging=false &
gateway=$!
pids+=("$gateway")
await_ready
# kinds FILE: kilobytes of Pss, of anonymous memory, of files and their data
kinds() {
    awk '/^[0-9a-f]+-[0-9a-f]+ / {kind = NF < 6 || $6 ~ /^\[/ ? 1 : 2}
        /^Pss:/ {kb[kind] += $2} END {print kb[1] + 0, kb[2] + 0}' "$1"
}
cat "/proc/$gateway/smaps" >"$run/before"
build/release/load --ports "$port" --pids "$gateway" --members $members --pending 2000 --seconds 0 --warmup 0 \
    --wait "$run/go" >"$run/load" &
load=$!
pids+=("$load")
until [ -e "$run/go.in.$load" ]; do
    kill -0 "$load" 2>/dev/null || { cat "$run/load" >&2; exit 1; }
    read -r -t 0.1 <> <(:) || true
done
# Free memory returns to the system a second later. On a busy machine the last members join some seconds after the others.
for ((i = 0; i < 15; i++)); do
    cat "/proc/$gateway/smaps" >"$run/after"
    read -r memory files < <(paste <(kinds "$run/before" | tr ' ' '\n') <(kinds "$run/after" | tr ' ' '\n') |
        awk '{printf "%d ", ($2 - $1) * 1024} END {print ""}')
    [ $((memory + files)) -gt $((most * members)) ] || break
    read -r -t 1 <> <(:) || true
done
: >"$run/go"
wait "$load" || { cat "$run/load" >&2; exit 1; }

awk -v m="$memory" -v f="$files" -v n=$members -v most=$most 'BEGIN {
    each = (m + f) / n
    printf "%.0f bytes for each of %d members (at most %d): memory %.0f, libraries %.0f\n", each, n, most, m / n, f / n
    exit !(m > 0 && each <= most)
}'
