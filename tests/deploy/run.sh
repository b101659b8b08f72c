#!/bin/bash
# Runs the tests of deploy/, compose/ and debian/: installs the packages that the chosen ones need, builds, and ends with the summary of
# the test runner. If the machine lacks a feature that no package provides (namespaces, root), a test is skipped with the reason.
#
#   tests/deploy/run.sh [--all] [--prepare] [NAME...]
#
#   --all       also those that need minutes: systems that boot, containers
#   --prepare   only install and build
#   NAME        tests/deploy/NAME.test.mjs, whether quick or not
set -euo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
. "$top/deploy/packages.sh"
cd "$top"

build=$(tr -s '\n ' ' ' <<<"$packages_build")
tree="debootstrap systemd-container util-linux iproute2 apt-utils procps"
# The name; when it runs (quick: always, all: with --all or by its name); for how many minutes at most; the builds it needs, or
# a dash; Debian packages. COMMAND:PACKAGE is a package that is only needed where the command is missing.
parts="
conversation     quick  5  asan     nginx-light
nginx            quick  10 asan     nginx-light openssl
logrotate        quick  5  asan     logrotate procps
fluentd          quick  5  asan     nginx-light
mackerel         quick  5  asan     nginx-light
prometheus       quick  10 asan     prometheus prometheus-alertmanager python3-yaml
kubernetes       quick  5  asan     kubectl:kubernetes-client
compose          quick  5  asan     nginx-light shellcheck
ansible          quick  10 -        ansible-core ansible-lint yamllint
balancers        all    10 asan     haproxy caddy openssl
certbot          all    15 asan     nginx-light certbot pebble openssl
supervisor       all    15 asan     supervisor
release          all    30 asan     openssh-server rsync supervisor nginx-light
package          all    30 -        debhelper lintian mandoc shellcheck dpkg-dev binutils git bash-completion $build
tree             all    10 -        $tree
systemd          all    20 release  $tree
release-trees    all    30 release  openssh-client rsync $tree
package-install  all    60 -        debhelper lintian dpkg-dev git piuparts openssl $build $tree
ansible-trees    all    90 release  ansible-core openssh-client debhelper dpkg-dev $build $tree
compose-up       all    60 -        util-linux
"

row() { awk -v name="$1" '$1 == name' <<<"$parts"; }

# Each test has a row, and each row a test.
check_table() {
    local name file
    while read -r name _; do
        [ -z "$name" ] || [ -e "tests/deploy/$name.test.mjs" ] || die "tests/deploy/$name.test.mjs is missing"
    done <<<"$parts"
    for file in tests/deploy/*.test.mjs; do
        name=$(basename "$file" .test.mjs)
        [ -n "$(row "$name")" ] || die "$file has no row in the table of this script"
    done
}

all='' prepare=''
while [ $# -gt 0 ]; do
    case $1 in
    --all) all=yes ;;
    --prepare) prepare=yes ;;
    -h | --help) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
    -*) die "unknown argument $1; see --help" ;;
    *) break ;;
    esac
    shift
done
check_table
names=("$@")
[ $# -gt 0 ] || mapfile -t names < <(awk -v all="$all" '$2 == "quick" || ($2 == "all" && all != "") { print $1 }' <<<"$parts")

packages="curl procps" builds='' minutes=0 files=()
for name in "${names[@]}"; do
    row=$(row "$name")
    [ -n "$row" ] || die "there is no test \"$name\": $(awk '{ printf "%s ", $1 }' <<<"$parts")"
    read -r _ _ limit build rest <<<"$row"
    for package in $rest; do
        [[ $package = *:* ]] && command -v "${package%:*}" >/dev/null || packages+=" ${package#*:}"
    done
    [ "$build" = - ] || builds+=" ${build//,/ }"
    minutes=$((minutes + limit))
    files+=("tests/deploy/$name.test.mjs")
done

node_is_good() { command -v npm >/dev/null && [ "$(node -p 'Number(process.versions.node.split(".")[0])' 2>/dev/null || echo 0)" -ge 18 ]; }
node_is_good || packages+=" nodejs npm"
[ -z "$builds" ] || packages+=" $packages_build $packages_run"
[[ $builds != *asan* ]] || packages+=" libcmocka-dev" # its preset builds the unit tests too
# shellcheck disable=SC2086
if [ "$(id -u)" = 0 ] || [ -n "$(packages_missing $packages)" ]; then packages_install $packages; fi

for build in $(tr ' ' '\n' <<<"$builds" | sort -u); do
    printf '\n=== build %s\n' "$build"
    if ! cmake --preset "$build" -G Ninja >/dev/null || ! cmake --build --preset "$build" --target yukizuri; then die "the build failed"; fi
done
npm_said=$(cd tests && npm ci --no-audit --no-fund --loglevel=error 2>&1) || die "npm could not install the tests' packages: $npm_said"
[ -z "$prepare" ] || exit 0
[ ${#files[@]} -gt 0 ] || { say "Nothing to run."; exit 0; }
printf '\n=== tests/deploy: %s\n' "${names[*]}"
status=0
[ -z "$all" ] || export DEPLOY_ALL=1
timeout --kill-after=30 $((minutes * 60)) node --test --test-concurrency=1 "${files[@]}" || status=$?
[ $status != 124 ] || die "given up after $minutes minutes"
exit $status
