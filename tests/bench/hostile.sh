#!/bin/bash
# Honest members of a gateway while it is attacked: how long their lines take, whether newcomers get in, and what the
# attack costs in memory, beside the bound that the settings give.
#
#   tests/bench/hostile.sh [--seconds N] [ATTACK...]       (default: 15 seconds each; all attacks, some four minutes)
#
# Prints the table of docs/benchmarks.md. 52 members in 13 rooms say a line a second each; four newcomers a second join
# and leave. All come through a listener with ?proxy=on, whose PROXY header gives each of them, and each of the
# attackers, an address of its own: no proxy takes part. The gateway has its production settings, Redis the shipped ones.
#
# With VERBOSE=1 in the environment, what each attacker did, what it was refused for, and the times of the loop go to
# standard error.
#
# The gateway and Redis share one core; the attacker and the honest members share the other one, where the honest ones
# have the higher priority. Needs 20,000 descriptors per process (ulimit -Hn), and root for the priority.
set -euo pipefail
cd "$(dirname "$0")/../.."
ulimit -n "$(ulimit -Hn)"
cmake --preset release -G Ninja -DYUKIZURI_BENCH=ON >/dev/null
cmake --build --preset release >/dev/null
TEST_BINARY=$PWD/build/release/yukizuri exec nice -n -10 taskset -c 1 node tests/bench/hostile.mjs "$@"
