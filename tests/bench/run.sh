#!/bin/bash
# The benchmark: Yukizuri, the floor, and servers of the same kind that install from public packages, in
# turn on the same machine. The server has one core, Redis and the load generator the other one.
#
#   tests/bench/run.sh [--rounds N] [--seconds S] [--only WORD,...] [--out DIRECTORY]
#
# Writes results.jsonl and *.svg to docs/bench, and the tables into docs/benchmarks.md; or all to DIRECTORY. With
# three rounds of four seconds it takes about an hour, and longer on a virtual machine whose host has the cores for
# others meanwhile: such runs are repeated once. --only takes parts of it: fixed, full, million, idle,
# load, members, rooms, rate, apart or gateways; the others' results stay. "apart" needs root, for receive
# packet steering and the length of its queue, which it sets back.
set -euo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
. "$top/deploy/packages.sh"
cd "$top"
# shellcheck disable=SC2086
packages_install $packages_build $packages_run libnginx-mod-nchan nats-server gnuplot-nox
command -v npm >/dev/null || packages_install nodejs npm
cmake --preset release -G Ninja -DYUKIZURI_BENCH=ON >/dev/null
cmake --build --preset release >/dev/null
(cd tests/bench/peers && npm install --no-audit --no-fund --no-package-lock --loglevel=error >/dev/null)
ulimit -n "$(ulimit -Hn)"
exec node tests/bench/run.mjs "$@"
