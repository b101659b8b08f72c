#!/bin/bash
# Checks that bots that implement only the rules of docs/protocol.md lose no message and show none twice under faults.
#
#   tests/chaos/bots.sh [--rounds N] [--jobs N] [--from SEED] [bots.mjs' options]
#
# A round takes about 30 s. The exit status is 1 if a promise was broken.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
rounds=1 jobs=1 from=1 others=()
while [ $# -gt 0 ]; do
    case $1 in
    --rounds) rounds=$2; shift 2 ;;
    --jobs) jobs=$2; shift 2 ;;
    --from) from=$2; shift 2 ;;
    *) others+=("$1"); shift ;;
    esac
done
export ROUND_LIMIT=${ROUND_LIMIT:-240}
seq "$from" $((from + rounds - 1)) | xargs -P "$jobs" -I{} bash -c 'said=$(timeout "$ROUND_LIMIT" bash "$0"/run.sh bots --seed {} "$@" 2>&1); status=$?; printf "%s\n" "$said"; exit $status' "$here" "${others[@]+"${others[@]}"}"
status=$?
[ $status -eq 0 ] && printf '\nNothing lost, nothing doubled: %s rounds.\n' "$rounds"
exit $((status != 0))
