#!/bin/bash
# Injects faults under load and checks that the five promises hold.
#
#   tests/chaos/run.sh [--seed N | --seeds FROM-TO] [--seconds S | --minutes M] [chaos.mjs' options]
#   tests/chaos/run.sh outage|rolling|bots [its options] one kind of fault, with its figures
#
# The same seed repeats the schedule of faults. With root and nftables each run has a network namespace
# of its own, in which packets can be dropped. Without them, or with CHAOS_PROXIES=1, proxies simulate this.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
from=1 to=1 seconds=60 others=() scenario=
case ${1:-} in
outage | rolling | bots) scenario=$1; shift ;;
esac
[ -z "$scenario" ] || others=("$@")
while [ -z "$scenario" ] && [ $# -gt 0 ]; do
    case $1 in
    --seed) from=$2 to=$2; shift 2 ;;
    --seeds) from=${2%-*} to=${2#*-}; shift 2 ;;
    --seconds) seconds=$2; shift 2 ;;
    --minutes) seconds=$(($2 * 60)); shift 2 ;;
    *) others+=("$1"); shift ;;
    esac
done

# Small socket buffers, so that a member that does not read is noticed within seconds.
inside='ip link set lo up &&
    sysctl -qw net.ipv4.tcp_rmem="4096 16384 65536" net.ipv4.tcp_wmem="4096 16384 65536" &&
    CHAOS_NAMESPACE=1 exec "$@"'
if [ -z "${CHAOS_PROXIES:-}" ] && command -v nft >/dev/null && unshare -n true 2>/dev/null; then
    namespace=(unshare -n sh -c "$inside" sh)
else
    namespace=()
fi

if [ -n "$scenario" ]; then
    exec "${namespace[@]}" node "$here/$scenario.mjs" "${others[@]}"
fi
failed=()
for ((seed = from; seed <= to; seed++)); do
    "${namespace[@]}" node "$here/chaos.mjs" --seed "$seed" --seconds "$seconds" "${others[@]}" || failed+=("$seed")
done
if [ ${#failed[@]} -gt 0 ]; then
    printf '\nSeeds that broke a promise: %s\n' "${failed[*]}"
    exit 1
fi
printf '\nEvery promise was kept: seeds %s to %s, %s s each.\n' "$from" "$to" "$seconds"
