#!/bin/bash
# Installs the packages for the tests, builds with ASan+UBSan, and runs everything: style, unit, integration and
# browser tests, a short run of each fuzzer, the chaos runs, and the quick tests of deploy/. A test that cannot run fails. If the machine lacks
# a feature that no package provides (namespaces, io_uring), the test is skipped with the reason. The output ends
# with the summaries of the test runners.
#
#   tests/run.sh [style|unit|fuzz|integration|browser|deploy|chaos|instructions|memory]...   (default: all)
set -uo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/deploy/packages.sh"
cd "$top" || exit 1

jobs=("$@")
[ ${#jobs[@]} -gt 0 ] || jobs=(style unit fuzz integration browser deploy chaos instructions memory)
wants() { [[ " ${jobs[*]} " == *" $1 "* ]]; }

packages="$packages_build $packages_run libcmocka-dev universal-ctags procps"
# Debian 12 has Node.js 18. Newer releases of playwright-core need 20, so its version is pinned.
# An installed Node.js of version 18 or newer is used, whatever its source.
node_is_good() { command -v npm >/dev/null && [ "$(node -p 'Number(process.versions.node.split(".")[0])' 2>/dev/null || echo 0)" -ge 18 ]; }
node_is_good || packages="$packages nodejs npm"
# CHROMIUM names another browser than Debian's (Ubuntu has none outside of snap).
if wants browser && [ -z "${CHROMIUM:-}" ]; then packages="$packages chromium fonts-noto-cjk fonts-noto-color-emoji"; fi
# chaos drops packets with root and nftables; otherwise proxies simulate this
if wants chaos && [ "$(id -u)" = 0 ]; then packages="$packages nftables iproute2"; fi
if wants instructions; then packages="$packages valgrind"; fi
if wants fuzz; then packages="$packages clang libclang-rt-dev"; fi
if wants style; then packages="$packages clang-format clang-tidy git"; fi
# shellcheck disable=SC2086
packages_install $packages
node_is_good || die "Node.js 18 or newer and npm are needed"

failed=()
job() {
    local name=$1
    shift
    printf '\n=== %s\n' "$name"
    "$@" || failed+=("$name")
}

build() { cmake --preset asan -G Ninja >/dev/null && cmake --build --preset asan; }
printf '\n=== build\n'
build || die "the build failed"
npm_said=$(cd tests && npm ci --no-audit --no-fund --loglevel=error 2>&1) || die "npm could not install the tests' packages: $npm_said"

export UBSAN_OPTIONS=print_stacktrace=1
style() {
    bash tests/check-style.sh || return 1
    git ls-files '*.c' '*.h' | xargs clang-format --dry-run -Werror || return 1
    local said
    said=$(run-clang-tidy -p build/asan -j"$(nproc)" -quiet '/(gateway|common)/' 2>/dev/null) && return
    grep -E 'error:' <<<"$said" | sort -u
    return 1
}
if wants style; then job style style; fi
if wants unit; then job unit ctest --test-dir build/asan --output-on-failure --timeout 120; fi
if wants fuzz; then job fuzz bash tests/fuzz/run.sh 12; fi
if wants integration; then job integration node --test --test-concurrency=2 tests/integration/*.test.mjs; fi
if wants browser; then job browser node --test --test-concurrency=1 tests/browser/*.test.mjs; fi
if wants deploy; then job deploy bash tests/deploy/run.sh; fi
chaos() {
    node --test tests/chaos/judge.test.mjs &&
        bash tests/chaos/run.sh --seed 1 --seconds 45 --every 1500 &&
        bash tests/chaos/bots.sh --rounds 1 &&
        bash tests/chaos/run.sh outage --rounds 1 --within 10000 &&
        bash tests/chaos/run.sh rolling --members 60 --drain 3
}
if wants chaos; then job chaos chaos; fi
if wants instructions; then job instructions bash tests/bench/instructions.sh; fi
if wants memory; then job memory bash tests/bench/memory.sh; fi

if [ ${#failed[@]} -gt 0 ]; then
    printf '\nFailed: %s\n' "${failed[*]}"
    exit 1
fi
printf '\nAll green: %s\n' "${jobs[*]}"
