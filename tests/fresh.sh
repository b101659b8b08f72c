#!/bin/bash
# Tests the README on a fresh Debian 12. debootstrap creates it in a temporary directory, with git, ca-certificates and apt
# only. The script clones this repository's HEAD into it and runs both commands of the README there:
# deploy/local.sh, through whose nginx two members talk, and tests/run.sh. Other software of this machine,
# such as a newer Node.js, is not visible. The last line of the output is a summary.
#
#   tests/fresh.sh [--cache FILE] [--minutes N] [a job of tests/run.sh]...
#
#   --cache FILE   a tar file that stores the fresh Debian for the next run
#   --minutes N    give up after N minutes (default 90)
#
# Needs root and debootstrap (installed if missing). Everything runs in mount and process namespaces of its own, so its
# processes and mounts end with this script in any case. It uses the mirror of this machine's apt, its
# proxy, and its private certificate authorities.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/deploy/packages.sh"
. "$top/tests/lib/debian-tree.sh"
suite=$debian_suite
port=8080

# --- Outside: prepares and enters the namespaces ---

prepare() {
    cache='' minutes=90
    while [ $# -gt 0 ]; do
        case $1 in
        --cache | --minutes)
            [ $# -ge 2 ] || die "$1 needs a value"
            declare -g "${1#--}=$2"
            shift 2
            ;;
        -h | --help) sed -n '2,16s/^# \{0,1\}//p' "$0"; exit 0 ;;
        -*) die "unknown argument $1; see --help" ;;
        *) break ;;
        esac
    done
    [[ $minutes =~ ^[1-9][0-9]{0,3}$ ]] || die "--minutes needs a number, not \"$minutes\""
    [ "$(id -u)" = 0 ] || die "this needs root: it makes a tree with a system of its own and enters it"
    packages_install debootstrap util-linux git
    commit=$(git -C "$top" rev-parse --short HEAD)
    git -C "$top" diff --quiet HEAD -- || say "fresh.sh: what is not committed is left out"
    work=$(mktemp -d "${TMPDIR:-/var/tmp}/yukizuri-fresh-XXXXXX")
    child=
    trap clean EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    git -C "$top" bundle create -q "$work/bundle" HEAD
    begin=$SECONDS
    unshare --mount --pid --fork --kill-child bash "$top/tests/fresh.sh" --inside "$work" "$cache" "$@" &
    child=$!
    status=0
    until_over $((begin + minutes * 60)) || die "$suite, $commit: given up after $minutes minutes ($(cat "$work/step" 2>/dev/null))"
    wait $child || status=$?
    child=
    took=$((SECONDS - begin))
    jobs=${*:-everything}
    [ $status = 0 ] || die "$suite, $commit: FAILED after $took s ($(cat "$work/step" 2>/dev/null || echo preparing))"
    say "fresh.sh: $suite, $commit: two people talked through deploy/local.sh's nginx, and tests/run.sh ran $jobs: all green in $took s"
}

# The first process of the namespaces ends with unshare, and the kernel then ends all others.
clean() {
    trap - EXIT INT TERM HUP
    if [ -n "$child" ]; then kill -KILL "$child" 2>/dev/null && wait "$child" 2>/dev/null; fi
    for _ in {1..50}; do
        rm -rf --one-file-system "$work" 2>/dev/null && return
        pause
    done
    rm -rf --one-file-system "$work"
}

pause() { read -r -t 0.2 <> <(:) || true; }

# Waits for the end of the child; fails at the deadline.
until_over() {
    while kill -0 "$child" 2>/dev/null; do
        [ $SECONDS -lt "$1" ] || return 1
        pause
    done
}

# --- Inside the namespaces: creates the tree and runs the two commands in it ---

step() {
    printf '%s\n' "$*" >"$work/step"
    printf '\n=== fresh.sh: %s\n' "$*"
}

make_tree() {
    if [ -n "$cache" ] && [ -s "$cache" ]; then
        step "unpacking $cache"
        tar -C "$tree" -xpf "$cache"
        return
    fi
    step "debootstrap"
    debian_bootstrap "$tree" ca-certificates,git "$work/debootstrap.log"
    [ -z "$cache" ] || { tar -C "$tree" -cpf "$cache.new" . && mv "$cache.new" "$cache"; }
}

clone() {
    debian_furnish "$tree"
    cp "$work/bundle" "$tree/root/bundle"
    debian_run "$tree" git -c advice.detachedHead=false clone -q /root/bundle /root/yukizuri
}

inside() {
    work=$1 cache=$2
    shift 2
    tree=$work/tree
    mkdir "$tree"
    mount --bind "$tree" "$tree" # a root that is no mount point has no namespaces of mounts in it
    make_tree
    step "cloning"
    clone
    step "deploy/local.sh"
    debian_run "$tree" bash /root/yukizuri/tests/fresh.sh --talk
    step "tests/run.sh $*"
    debian_run "$tree" bash /root/yukizuri/tests/run.sh "$@"
}

# --- In the tree: two members talk, with the programs that local.sh needs: bash and curl ---

# A masked text frame (RFC 6455 section 5.2) of less than 126 bytes; the mask is zero, so the text stays as it is.
frame() { printf "\\x81\\x$(printf %02x $((128 + ${#1})))\\0\\0\\0\\0%s" "$1"; }

# Connects through nginx; writes the received data to the file $2.
connect() {
    local -n socket=$1
    exec {socket}<>"/dev/tcp/127.0.0.1/$port"
    printf 'GET /room HTTP/1.1\r\nHost: localhost:%s\r\nOrigin: http://localhost:%s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n' \
        $port $port >&"$socket"
    cat <&"$socket" >"$2" &
    pids+=($!)
}

# Waits until the file $3 contains $2, for at most $1 seconds.
await() {
    local what=$3 deadline=$((SECONDS + $1))
    until grep -aqF "$2" "$what" 2>/dev/null; do
        [ $SECONDS -lt $deadline ] || { cat "$talk"/local* >&2; die "not within $1 s: $2"; }
        kill -0 "$local_sh" 2>/dev/null || { cat "$talk"/local* >&2; die "deploy/local.sh ended by itself"; }
        pause
    done
}

page_answers() { [ "$(curl -s -o /dev/null -w '%{http_code}' "http://localhost:$port$1")" = 200 ] || die "GET $1 is not 200"; }

talk() {
    talk=$(mktemp -d)
    pids=()
    TMPDIR=$talk bash "$top/deploy/local.sh" >"$talk/local.out" 2>"$talk/local.err" &
    local_sh=$!
    await 900 "Ctrl-C stops it" "$talk/local.out"
    page_answers /
    page_answers /readyz
    connect ann "$talk/ann"
    connect ben "$talk/ben"
    await 10 "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" "$talk/ann" # the answer to our key, RFC 6455 section 1.3
    await 10 "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" "$talk/ben"
    frame '{"type":"join","name":"ann"}' >&"$ann"
    await 10 '"type":"welcome"' "$talk/ann"
    frame '{"type":"join","name":"ben"}' >&"$ben"
    await 10 '"type":"welcome"' "$talk/ben"
    frame '{"type":"say","text":"is anybody here?","nonce":"1"}' >&"$ann"
    await 10 'is anybody here?' "$talk/ben"
    frame '{"type":"say","text":"I am","nonce":"1"}' >&"$ben"
    await 10 'I am' "$talk/ann"
    kill "${pids[@]}"
    kill -TERM $local_sh
    wait $local_sh || true
    if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then die "nginx still listens after local.sh has ended"; fi
    [ -z "$(find "$talk" -name 'yukizuri-local-*')" ] || die "local.sh left files behind"
    rm -rf "$talk"
    say "Two people talked through nginx; nothing was left behind."
}

case ${1:-} in
--inside) shift; inside "$@" ;;
--talk) talk ;;
*) prepare "$@" ;;
esac
