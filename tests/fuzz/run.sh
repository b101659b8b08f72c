#!/bin/bash
# Builds the fuzzers and runs each of them, two at a time. Failing inputs stay in build/fuzz/found.
#
#   tests/fuzz/run.sh [SECONDS, default 60] [NAME...]
set -uo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
cd "$top" || exit 1
seconds=${1:-60}
shift $(($# > 0 ? 1 : 0))
names=("$@")
cmake --preset fuzz -G Ninja >/dev/null && cmake --build --preset fuzz >/dev/null || {
    cmake --build --preset fuzz | tail -n 20
    exit 1
}
[ ${#names[@]} -gt 0 ] || mapfile -t names < <(for source in tests/fuzz/fuzz_*.c; do basename "$source" .c; done)

found=build/fuzz/found
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p $found

# New inputs go into a separate folder, so that the seeds do not change.
run() {
    local name=$1
    mkdir "$work/$name"
    timeout $((seconds + 60)) "build/fuzz/tests/fuzz/$name" -max_total_time="$seconds" -rss_limit_mb=1024 \
        -timeout=10 -artifact_prefix="$found/$name-" -print_final_stats=1 \
        "$work/$name" "tests/fuzz/corpus/$name" >"$work/$name.log" 2>&1
    echo $? >"$work/$name.status"
}

for name in "${names[@]}"; do
    while [ "$(jobs -rp | wc -l)" -ge 2 ]; do wait -n; done
    run "$name" &
done
wait

failed=()
total=0
for name in "${names[@]}"; do
    runs=$(sed -n 's/^stat::number_of_executed_units: //p' "$work/$name.log")
    printf '%-20s %s runs\n' "$name" "${runs:-no}"
    total=$((total + ${runs:-0}))
    if [ "$(cat "$work/$name.status")" != 0 ]; then
        tail -n 40 "$work/$name.log"
        failed+=("$name")
    fi
done
if [ ${#failed[@]} -gt 0 ]; then
    printf 'Fuzzers that found something: %s (see %s)\n' "${failed[*]}" $found
    exit 1
fi
printf '%d fuzzers, %s s each, %d runs: no finding\n' ${#names[@]} "$seconds" "$total"
