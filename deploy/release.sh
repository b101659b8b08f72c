#!/bin/bash
# Builds the committed state and brings it to the gateways of each host, while people talk.
#
#   deploy/release.sh [options] HOST...          (HOST is a destination for ssh)
#
#   --dry-run          build, check every host, and print what would be done
#   --build DIR        only build, into DIR/yukizuri
#   --binary FILE      release this file and do not build
#   --back             release the newest backup of each host instead
#   --target PATH      the binary on the hosts (default /usr/bin/yukizuri)
#   --supervisor       the gateways are programs of supervisor, not units of systemd
#   --gateways NAMES   which ones (default yukizuri@*.service, and yukizuri-gateway:* with --supervisor)
#   --ready WHERE      where a gateway answers, with %i for the number at the end of its name
#                      (default http://127.0.0.1:808%i); unix:PATH for a unix socket
#   --wait SECONDS     for a gateway to be ready after its start (default 30)
#   --settle SECONDS   between two gateways, for the balancer to see that the first is back (default 2)
#   --ssh COMMAND      how to reach a host (default ssh), for example "ssh -p 2222"
#
# Nothing is changed on any host until all hosts are reached, all gateways are ready, and the new binary runs there. Then, host by host, the old
# binary becomes a backup (the last three are kept), and the gateways are restarted one by one. Each must be ready before the next one is stopped.
#
# If one does not become ready, its host goes back: to the previous binary, with every gateway that ran the new one. The hosts after it keep what
# they have. The hosts before it keep the new binary: versions may be mixed, and --back takes them back. The exit status is 1 then.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)

say() { printf '%s\n' "$*"; }
die() { printf 'release.sh: %s\n' "$*" >&2; exit "${status:-1}"; }

# --- On a host: these functions are sent there and use what send() declares ---

number_of() {
    local name=${1%.service}
    printf '%s' "${name##*[!0-9]}"
}

if_supervisor() { [ -n "$supervisor" ]; }

gateways_of_host() {
    if if_supervisor; then
        supervisorctl status "$gateways" 2>/dev/null | awk '$2 ~ /^[A-Z]+$/ && $0 !~ /no such/ {print $1}'
    else
        systemctl list-units --all --plain --no-legend --type=service "$gateways" | awk '$3 != "inactive" {print $1}'
    fi
}

# stopping, starting, running or failed, of a gateway that was just restarted
state_of() {
    local state
    if if_supervisor; then
        state=$(supervisorctl status "$1" 2>/dev/null | awk '{print $2}') || true
        case $state in
        RUNNING) echo running ;;
        STOPPING) echo stopping ;;
        BACKOFF | FATAL | EXITED | UNKNOWN) echo failed ;;
        *) echo starting ;;
        esac
    else
        state=$(systemctl show -p ActiveState -p SubState -p NRestarts "$1" | sort | tr '\n' ' ')
        case $state in
        *SubState=auto-restart* | ActiveState=failed*) echo failed ;;
        ActiveState=active*NRestarts=0*) echo running ;;
        ActiveState=deactivating*) echo stopping ;;
        *NRestarts=0*) echo starting ;;
        *) echo failed ;;
        esac
    fi
}

pid_of() {
    if if_supervisor; then supervisorctl pid "$1" 2>/dev/null; else systemctl show -p MainPID --value "$1"; fi
}

restart() {
    if if_supervisor; then
        if [ "$(state_of "$1")" = failed ]; then
            # In the foreground: until_ready would take its old state for the new one.
            { supervisorctl stop "$1"; supervisorctl start "$1"; } >/dev/null 2>&1 9>&- || true
        else
            supervisorctl restart "$1" >/dev/null 2>&1 9>&- &
        fi
    else
        systemctl reset-failed "$1" 2>/dev/null || true
        systemctl --no-block restart "$1"
    fi
}

runs_target() {
    local pid
    pid=$(pid_of "$1") && [[ $pid =~ ^[0-9]+$ ]] && [ "$pid" -gt 0 ] && [ "/proc/$pid/exe" -ef "$target" ]
}

answers_ready() {
    local where=${ready//%i/$(number_of "$1")}
    case $where in
    unix:*) curl -sf -m 3 -o /dev/null --unix-socket "${where#unix:}" http://gateway/readyz ;;
    *) curl -sf -m 3 -o /dev/null "$where/readyz" ;;
    esac
}

# Waits for a gateway that restart() was told. Its drain is bounded by the service manager, and its start by --wait.
until_ready() {
    local began=''
    while :; do
        case $(state_of "$1") in
        failed) why="it ended at once"; return 1 ;;
        stopping) began='' ;;
        running)
            if runs_target "$1" && answers_ready "$1"; then return 0; fi
            began=${began:-$SECONDS}
            ;;
        *) began=${began:-$SECONDS} ;;
        esac
        if [ -n "$began" ] && [ $((SECONDS - began)) -gt "$wait" ]; then
            why="it was not ready within $wait s"
            return 1
        fi
        sleep 0.2
    done
}

newest_backup() { find "$(dirname "$target")" -maxdepth 1 -name "$(basename "$target").[0-9]*Z-*" | sort | tail -n 1; }

refuse() { printf 'refused: %s\n' "$*"; exit 3; }

# Changes nothing.
host_check() {
    local program name pid path directory left
    for program in curl rsync sha256sum flock $(if if_supervisor; then echo supervisorctl; else echo systemctl; fi); do
        command -v "$program" >/dev/null || refuse "it has no $program"
    done
    directory=$(dirname "$target")
    [ -d "$directory" ] || refuse "there is no directory $directory"
    [ -e "$target" ] || refuse "there is no $target; name the gateways' binary with --target"
    ! dpkg-query -S "$target" >/dev/null 2>&1 || refuse "$target belongs to a Debian package; upgrade it by apt"
    [ -w "$directory" ] || refuse "$directory cannot be written"
    left=$(($(df --output=avail -B1 "$directory" | tail -n 1)))
    [ "$left" -ge "$size" ] || refuse "the disk of $directory is full: $left bytes are left, and the binary has $size"
    names=$(gateways_of_host)
    [ -n "$names" ] || refuse "no gateway runs there ($gateways)"
    for name in $names; do
        answers_ready "$name" || refuse "$name is not ready at ${ready//%i/$(number_of "$name")}; repair it first"
        pid=$(pid_of "$name")
        path=$(readlink "/proc/$pid/exe") || refuse "the program of $name cannot be seen: log in as root or as its user"
        [ "${path% (deleted)}" = "$(readlink -f "$target")" ] || refuse "$name runs ${path% (deleted)}, not $target; name it with --target"
    done
    if [ -n "$back" ]; then
        [ -n "$(newest_backup)" ] || refuse "it has no backup of $target"
        say "backup: $(newest_backup)"
    fi
    say "gateways: ${names//$'\n'/ }"
}

# The binary has arrived. Does it run here?
host_try() {
    local found
    found=$(sha256sum <"$target.next") || refuse "the binary did not arrive"
    [ "${found%% *}" = "$sha" ] || refuse "the binary arrived with another content"
    "$target.next" --version >/dev/null 2>&1 || refuse "the binary does not run there: $("$target.next" --version 2>&1 | head -n 1)"
}

host_forget() { rm -f "$target.next"; }

# Puts a file in the place of the binary. Running gateways keep the one that they began with.
activate() { mv -fT "$1" "$target"; }

restart_all() {
    local name first=yes
    for name in $1; do
        if runs_target "$name" && answers_ready "$name"; then
            say "$name runs it already"
            continue
        fi
        [ -n "$first" ] || sleep "$settle"
        first=''
        local since=$SECONDS
        touched="$touched $name"
        restart "$name"
        until_ready "$name" || { failed=$name; return 1; }
        say "$name is ready after $((SECONDS - since)) s"
    done
}

go_back() {
    say "$failed FAILED: $why. Going back to the previous binary"
    ln -f "$backup" "$target.next" && activate "$target.next"
    local name bad='' others=''
    for name in $touched; do [ "$name" = "$failed" ] || others="$others $name"; done
    for name in $failed $others; do # the one that nobody can use comes first
        restart "$name"
        if until_ready "$name"; then say "$name is ready with the previous binary"; else bad="$bad $name"; fi
        sleep "$settle"
    done
    [ -z "$bad" ] || say "NOT READY with the previous binary either:$bad"
    rm -f "$backup"
}

# Goes on to its end if the connection is lost, so that no gateway is left between two binaries.
host_release() {
    local version names touched='' failed='' why='' old
    trap '' HUP PIPE
    exec 9>"$target.lock"
    flock -n 9 || refuse "another release is under way"
    names=$(gateways_of_host)
    if [ -n "$back" ]; then
        old=$(newest_backup)
        ln -f "$old" "$target.next"
    fi
    version=$("$target" --version 2>/dev/null | awk 'NR == 1 {print $2}' | tr -cd 'A-Za-z0-9._+~-') || true
    backup=$target.$(date -u +%Y%m%dT%H%M%SZ)-${version:-unknown}
    if cmp -s "$target.next" "$target"; then
        rm -f "$target.next"
        backup=$(newest_backup)
        say "it has this binary already"
    else
        ln -f "$target" "$backup"
        activate "$target.next"
    fi
    if ! restart_all "$names"; then
        if [ -n "$backup" ]; then go_back; else say "$failed FAILED: $why. There is no previous binary"; fi
        exit 1
    fi
    if [ -n "$back" ]; then rm -f "$old" "$backup"; fi # it was taken back, and is not worth keeping
    find "$(dirname "$target")" -maxdepth 1 -name "$(basename "$target").[0-9]*Z-*" | sort | head -n -3 | xargs -r rm -f
}

# --- Here ---

# Builds the committed state, the same bytes wherever and whenever it is built with the same packages.
build() {
    local into=$1 source
    source=$(mktemp -d)
    mkdir "$source/src"
    git -C "$top" archive HEAD | tar -x -C "$source/src"
    SOURCE_DATE_EPOCH=$(git -C "$top" log -1 --format=%ct)
    export SOURCE_DATE_EPOCH
    if ! {
        env -u CFLAGS -u CPPFLAGS -u LDFLAGS cmake -S "$source/src" -B "$source/build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DYUKIZURI_TESTS=OFF \
            -DCMAKE_C_FLAGS="-ffile-prefix-map=$source=." && cmake --build "$source/build" --target yukizuri
    } >"$source/log" 2>&1; then
        die "the build failed; everything it printed is in $source/log: $(grep -E -m1 'rror' "$source/log" || tail -n 1 "$source/log")"
    fi
    mkdir -p "$into"
    install -m 755 "$source/build/yukizuri" "$into/yukizuri"
    rm -rf "$source"
}

# Runs a function on a host; what it needs goes through the standard input, and nothing through the command line.
send() {
    local host=$1
    shift
    {
        declare -p target supervisor gateways ready wait settle size sha back
        declare -f
        printf 'set -uo pipefail\n%s\nexit $?\n' "$*"
    } | $ssh "$host" bash -s
}

each_line() { while IFS= read -r line; do say "$1: $line"; done; }

status=2
ssh=ssh target=/usr/bin/yukizuri supervisor='' gateways='' ready='http://127.0.0.1:808%i' wait=30 settle=2
dry_run='' build_into='' binary='' back='' sha='' size=0 hosts=()
while [ $# -gt 0 ]; do
    case $1 in
    --dry-run) dry_run=yes; shift; continue ;;
    --supervisor) supervisor=yes; shift; continue ;;
    --back) back=yes; shift; continue ;;
    -h | --help) sed -n '2,/^set /s/^# \{0,1\}//p' "$0"; exit 0 ;;
    --build | --binary | --target | --gateways | --ready | --wait | --settle | --ssh)
        [ $# -ge 2 ] || die "$1 needs a value"
        case $1 in
        --wait | --settle) [[ $2 =~ ^[0-9]{1,4}$ ]] || die "$1 needs a number of seconds, not \"$2\"" ;;
        --target) [[ $2 =~ ^/[A-Za-z0-9._/+-]+$ ]] || die "--target needs an absolute path of plain letters, not \"$2\"" ;;
        esac
        case $1 in --build) build_into=$2 ;; *) declare "${1#--}=$2" ;; esac
        shift 2
        ;;
    -*) die "unknown argument $1; see --help" ;;
    *) hosts+=("$1"); shift ;;
    esac
done
[ -n "$gateways" ] || { if if_supervisor; then gateways='yukizuri-gateway:*'; else gateways='yukizuri@*.service'; fi; }
[ -n "$build_into" ] || [ ${#hosts[@]} -gt 0 ] || die "name at least one host; see --help"
[ -z "$back" ] || [ -z "$binary" ] || die "--back and --binary exclude each other"
[ -z "$binary" ] || [ -f "$binary" ] || die "there is no file $binary"
status=1

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ -z "$back" ]; then
    if [ -z "$binary" ]; then
        git -C "$top" diff --quiet HEAD 2>/dev/null || say "Uncommitted changes are not part of the release."
        say "Building $(git -C "$top" log -1 --format='%h (%s)')"
        build "${build_into:-$work}"
        binary=${build_into:-$work}/yukizuri
    fi
    sha=$(sha256sum <"$binary")
    sha=${sha%% *}
    size=$(stat -c %s "$binary")
    say "SHA-256 $sha, $size bytes"
fi
[ ${#hosts[@]} -gt 0 ] || exit 0

forget_all() { for host in "${hosts[@]}"; do send "$host" host_forget >/dev/null 2>&1 || true; done; }
# A host says "refused: ..." when it cannot take part. Everything else that ends a connection is ssh's.
ask() {
    local host=$1 said
    if said=$(send "$@" 2>"$work/errors"); then
        [ -z "$said" ] || each_line "$host" <<<"$said"
        return 0
    fi
    case $said in
    *refused:*) complaint=${said##*refused: } ;;
    *) complaint="cannot be reached: $(tail -n 1 "$work/errors")" ;;
    esac
    return 1
}

for host in "${hosts[@]}"; do ask "$host" host_check || die "$host: $complaint. Nothing was changed on any host"; done
if [ -n "$dry_run" ]; then
    say "Would be done, host by host: the binary becomes $target, and its gateways are restarted one by one. Nothing was changed."
    exit 0
fi
if [ -z "$back" ]; then
    for host in "${hosts[@]}"; do
        if ! rsync -z -e "$ssh" --chmod=F755 "$binary" "$host:$target.next" 2>"$work/errors"; then
            complaint=$(grep -m1 -E 'rsync|ssh' "$work/errors" || head -n 1 "$work/errors")
            forget_all
            die "$host: the binary could not be copied: $complaint. Nothing was changed on any host"
        fi
        ask "$host" host_try || { forget_all; die "$host: $complaint. Nothing was changed on any host"; }
    done
fi

finished=()
for host in "${hosts[@]}"; do
    if send "$host" host_release 2>"$work/errors" | each_line "$host"; then
        finished+=("$host")
        continue
    fi
    each_line "$host" <"$work/errors" >&2
    forget_all
    die "$host failed, see above. ${finished[*]:-No other host} $([ ${#finished[@]} -gt 0 ] && echo "keep(s) the new binary; --back takes it back" || echo "was changed")"
done
say "Released to ${#finished[@]} host(s): ${finished[*]}"
