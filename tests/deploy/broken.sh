#!/bin/bash
# Shows that the tests of deploy/, compose/ and debian/ fail when a file is broken. For each line of broken/*.txt it breaks the file once, in
# a copy of this tree, and runs the test, which must fail. Unbroken the test must pass. Prints a table.
#
#   tests/deploy/broken.sh [NAME...]      broken/NAME.txt; without it all
#
# The fields of a line are separated by tabs: the file, a sed expression that breaks it, the test, and if wanted a pattern
# of the titles of the tests to run (of a test in a test, the titles of both).
set -euo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
. "$top/deploy/packages.sh"
cd "$top"
case ${1:-} in -h | --help) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 0 ;; esac

lists=()
for name in "$@"; do
    [ -e "tests/deploy/broken/$name.txt" ] || die "there is no tests/deploy/broken/$name.txt"
    lists+=("tests/deploy/broken/$name.txt")
done
[ ${#lists[@]} -gt 0 ] || lists=(tests/deploy/broken/*.txt)

work=$(mktemp -d "${TMPDIR:-/var/tmp}/yukizuri-broken-XXXXXX")
chmod 755 "$work" # programs of other users run in it
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# A repository with the sources of this tree and their changes, and what was built and installed for it.
make_copy() {
    local copy=$work/copy binary
    rm -rf "$copy"
    mkdir -p "$copy"
    git ls-files -z -co --exclude-standard | while IFS= read -rd '' file; do [ ! -e "$file" ] || printf '%s\0' "$file"; done |
        tar -c --null -T - | tar -xC "$copy"
    git -C "$copy" init -q
    echo /tests/node_modules >>"$copy/.git/info/exclude" # a link here, not a directory
    git -C "$copy" add -A
    git -C "$copy" -c user.name=tests -c user.email=tests@localhost -c commit.gpgsign=false commit -qm copy
    for binary in build/*/yukizuri; do
        [ ! -e "$binary" ] || install -D "$binary" "$copy/$binary"
    done
    ln -s "$top/tests/node_modules" "$copy/tests/node_modules"
}

is_green() {
    run "$1" "$2" && grep -qE '^# pass [1-9]' "$work/log" && ! grep '# SKIP' "$work/log" | grep -qv 'does not match pattern'
}

run() { (cd "$work/copy" && timeout 1200 node --test --test-concurrency=1 ${2:+--test-name-pattern="$2"} "$1") >"$work/log" 2>&1; }

# Prints what became of it; fails if the test does not see it.
try() {
    local file=$1 expression=$2 test=$3 pattern=${4:-}
    if [ ! -e "$file" ] || [ ! -e "$test" ]; then
        echo "NO SUCH FILE"
        return 1
    fi
    make_copy
    if [ ! -e "$work/green-$(basename "$test")-$(cksum <<<"$pattern" | cut -d ' ' -f 1)" ]; then
        if ! is_green "$test" "$pattern"; then
            echo "FAILS UNBROKEN, OR IS SKIPPED"
            return 1
        fi
        : >"$work/green-$(basename "$test")-$(cksum <<<"$pattern" | cut -d ' ' -f 1)"
    fi
    sed -i -E "$expression" "$work/copy/$file"
    if cmp -s "$file" "$work/copy/$file"; then
        echo "THE EXPRESSION CHANGES NOTHING"
        return 1
    fi
    if run "$test" "$pattern"; then
        echo "NOT SEEN"
        return 1
    fi
    echo seen
}

mapfile -t tests < <(cut -f 3 "${lists[@]}" | grep -v '^$' | sort -u)
names=()
for test in "${tests[@]}"; do names+=("$(basename "$test" .test.mjs)"); done
tests/deploy/run.sh --prepare "${names[@]}"

bad=0
while IFS=$'\t' read -r file expression test pattern <&9; do
    [ -n "$file" ] || continue
    verdict=$(try "$file" "$expression" "$test" "$pattern") || bad=$((bad + 1))
    printf '%-32s %-60s %s\n' "$verdict" "$file" "$expression"
done 9< <(cat "${lists[@]}")
[ $bad = 0 ] || die "$bad of the breaks are not seen"
say "Every break is seen."
