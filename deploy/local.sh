#!/bin/bash
# Runs a whole Yukizuri on this machine: a private Redis, several gateways, and nginx in front of them.
# Ctrl-C stops everything.
#
#   deploy/local.sh [--gateways N] [--port PORT]
#
#   --gateways N   the number of gateways (default 2)
#   --port PORT    the port of nginx, on localhost only (default 8080)
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/deploy/packages.sh"

gateways=2
port=8080
while [ $# -gt 0 ]; do
    case $1 in
    --gateways | --port)
        [ $# -ge 2 ] || die "$1 needs a number"
        [[ $2 =~ ^[0-9]{1,5}$ ]] && [ "$2" -ge 1 ] || die "$1 needs a number, not \"$2\""
        declare "${1#--}=$2"
        shift 2
        ;;
    -h | --help) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) die "unknown argument $1; see --help" ;;
    esac
done
[ "$gateways" -le 64 ] || die "--gateways: at most 64"
[ "$port" -le 65535 ] || die "--port: at most 65535"

is_open() { (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; }
if is_open; then die "port $port is in use; choose another with --port"; fi

# shellcheck disable=SC2086
packages_install $packages_build $packages_run

# ACL patterns for channels need 6.2, PEXPIRE … NX needs 7.0.
redis_version=$(redis-server --version | sed -nE 's/.* v=([0-9]+\.[0-9]+).*/\1/p')
[ "${redis_version%%.*}" -ge 7 ] 2>/dev/null || die "redis-server is ${redis_version:-of an unknown version}: Redis 7.0 or newer is needed"

say "Building…"
build=$top/build/release
log=$(mktemp)
if ! { (cd "$top" && cmake --preset release -G Ninja) && cmake --build "$build" --target yukizuri; } >"$log" 2>&1; then
    grep -E 'error|Error' "$log" | head -n 5 >&2 || true
    die "the build failed; everything it printed is in $log"
fi
rm -f "$log"

run=$(mktemp -d "${TMPDIR:-/tmp}/yukizuri-local-XXXXXX")
pids=()
cleanup() {
    trap - EXIT INT TERM HUP
    for pid in "${pids[@]}"; do kill -INT "$pid" 2>/dev/null || true; done
    for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
    rm -rf "$run"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# With pdeathsig each process also ends if this script is killed without running a trap.
start() {
    local name=$1
    shift
    setpriv --pdeathsig TERM -- "$@" >"$run/$name.log" 2>&1 &
    pids+=($!)
}

# Every user who may enter this directory has all permissions in Redis. The gateways log in as the same user as on a server.
(umask 077 && head -c 24 /dev/urandom | base64 >"$run/redis-password")
"$top/deploy/redis/render.sh" --password-file "$run/redis-password" --socket "$run/redis.sock" >"$run/redis.conf"
start redis redis-server "$run/redis.conf" --dir "$run"
upstreams=()
for ((i = 1; i <= gateways; i++)); do
    start "gateway-$i" "$build/yukizuri" --addr "unix:$run/gateway-$i.sock" --redis "unix://yukizuri@$run/redis.sock" \
        --redis-password-file "$run/redis-password" --gateway-id "gateway-$i"
    upstreams+=(--upstream "unix:$run/gateway-$i.sock")
done
listens=(--listen "127.0.0.1:$port")
if [ -e /proc/net/if_inet6 ] && grep -q '^0\{31\}1 ' /proc/net/if_inet6; then listens+=(--listen "[::1]:$port"); fi
"$top/deploy/nginx/render.sh" "${listens[@]}" "${upstreams[@]}" --whole "$run" --user "$(id -un)" >"$run/nginx.conf"
nginx=$(command -v nginx || echo /usr/sbin/nginx)
start nginx "$nginx" -e "$run/nginx-error.log" -p "$run" -c "$run/nginx.conf" -g 'daemon off;'

# The chat is ready when every gateway is ready and nginx answers.
ready() {
    for ((i = 1; i <= gateways; i++)); do
        curl -sf -o /dev/null --unix-socket "$run/gateway-$i.sock" http://gateway/readyz || return 1
    done
    curl -sf -o /dev/null "http://127.0.0.1:$port/readyz"
}
deadline=$((SECONDS + 20))
until ready; do
    for pid in "${pids[@]}"; do
        kill -0 "$pid" 2>/dev/null && continue
        cat "$run"/*.log >&2
        die "a process ended at once; what it said is above"
    done
    [ $SECONDS -lt $deadline ] || die "it did not become ready in 20 s: $(tail -qn 1 "$run"/*.log | tail -n 1)"
    read -r -t 0.1 <> <(:) || true
done

cat <<END

  Yukizuri runs: http://localhost:$port   ($gateways gateways, one room)

  Look inside:   redis-cli -s $run/redis.sock SMEMBERS 'yukizuri:{lobby}:members'
  All events:    redis-cli -s $run/redis.sock SUBSCRIBE 'yukizuri:{lobby}'
  Send a notice: redis-cli -s $run/redis.sock PUBLISH 'yukizuri:{lobby}' 'back at ten'
  Read the log:  tail -f $run/gateway-*.log

  Ctrl-C stops it and removes its files.
END
wait -n "${pids[@]}" || true
die "one of the processes ended; taking the others down"
