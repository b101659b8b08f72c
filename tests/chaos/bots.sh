#!/bin/bash
# Bots written from the rules for clients in docs/protocol.md lose nothing and show nothing twice, whatever is broken.
#
#   tests/chaos/bots.sh [--rounds N] [--jobs N] [--from SEED] [bots.mjs' options]
#
# A round takes about half a minute. Ends with 1 if one of them broke a promise.
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
