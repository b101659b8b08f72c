#!/bin/bash
# What the bytes of one attacking address cost: the growth of Redis and of the gateway for each kind of attack,
# without the limits of an address and with the defaults; and for all attacks together, with the defaults.
#
#   tests/bench/attacker.sh [SECONDS] [TOGETHER] [ATTACK...]     (default: 10 seconds each, 130 together, all attacks)
#
# Prints the table of docs/operations.md; ten minutes. The attacker comes through a listener with ?proxy=on, whose
# PROXY header gives all of its sockets one address. TOGETHER is more than `retention`, so that the most is reached;
# 0 leaves it out.
set -euo pipefail
cd "$(dirname "$0")/../.."
cmake --preset release -G Ninja >/dev/null
cmake --build --preset release --target yukizuri >/dev/null
TEST_BINARY=$PWD/build/release/yukizuri exec node tests/bench/attacker.mjs "$@"
