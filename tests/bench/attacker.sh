#!/bin/bash
# What the bytes of one attacking address cost: the growth of Redis and of the gateway for each kind of attack,
# without the limits of an address and with the defaults.
#
#   tests/bench/attacker.sh [SECONDS] [ATTACK...]     (default: 10 seconds, all attacks)
#
# Prints the table of docs/operations.md. The attacker has one address behind a trusted proxy, and 16 sockets.
set -euo pipefail
cd "$(dirname "$0")/../.."
cmake --preset release -G Ninja >/dev/null
cmake --build --preset release --target yukizuri >/dev/null
TEST_BINARY=$PWD/build/release/yukizuri exec node tests/bench/attacker.mjs "$@"
