#!/bin/bash
# The benchmark: Yukizuri, the floor, and similar servers that install from public packages run in turn on the
# same machine. The server has one core; Redis and the load generator share the other one.
#
#   tests/bench/run.sh [--rounds N] [--seconds S] [--only WORD,...] [--out DIRECTORY | --against BINARY]
#
# Writes results.jsonl and *.svg to docs/bench, and the tables to docs/benchmarks.md; or everything to DIRECTORY. With
# three rounds of four seconds it takes about an hour. On a virtual machine it takes longer, because a run is repeated
# once if the host took the cores away. --only selects experiments: fixed, full, million, idle,
# load, members, rooms, rate, apart or gateways; the results of the others stay. "apart" needs root, because it
# changes receive packet steering and the length of its queue, and restores them.
#
# --against BINARY compares this build with another build, in turn, and prints the ratios. It needs no peers and
# writes nothing to docs/.
set -euo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
. "$top/deploy/packages.sh"
cd "$top"
# shellcheck disable=SC2086
packages_install $packages_build $packages_run
# shellcheck disable=SC2086
[[ " $* " == *" --against "* ]] || packages_install libnginx-mod-nchan nats-server gnuplot-nox
command -v npm >/dev/null || packages_install nodejs npm
cmake --preset release -G Ninja -DYUKIZURI_BENCH=ON >/dev/null
cmake --build --preset release >/dev/null
[[ " $* " == *" --against "* ]] || (cd tests/bench/peers && npm install --no-audit --no-fund --no-package-lock --loglevel=error >/dev/null)
ulimit -n "$(ulimit -Hn)"
exec node tests/bench/run.mjs "$@"
