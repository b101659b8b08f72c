#!/bin/bash
# Boots fresh Debian systems in trees, with systemd as their first process. Other software of this machine is not visible in them.
#
#   tree.sh check                 fails, and prints the reason, if this machine cannot boot a tree
#   tree.sh image [OPTION]... [PACKAGE]...
#                                 prints the path of a directory with this tree; makes it if it is missing
#   tree.sh hold [OPTION]... [PACKAGE]...
#                                 boots a tree, prints its first process and its directory ("PID DIRECTORY"),
#                                 and ends it when its own standard input ends. What it writes is gone then
#
#   --archive "PACKAGE..."        packages that are not installed; apt in the tree can install them without a network
#   --hostname NAME               (hold) the name of the system
#   --network PID --address A/N   (hold) joins the bridge br0 in the network of this process, with this address;
#                                 without it the tree has a loopback device only
#
# The packages are installed beforehand, because a booted tree has no network but the one above. The directories are in
# $YUKIZURI_TREE_CACHE (/var/cache/yukizuri-test-trees), and made again after two weeks. A command is run in a tree by
#   nsenter -t PID -m -u -i -n -p COMMAND         and one of this machine against its ports by   nsenter -t PID -n COMMAND
# When this script ends, in whatever way, the tree's processes end. Files that a kill left are removed by the next call.
# MemoryMax and TasksMax have no effect in a tree, and LimitNOFILE not beyond what this machine allows.
set -euo pipefail
top=$(cd "$(dirname "$0")/../../.." && pwd)
. "$top/deploy/packages.sh"
. "$top/tests/lib/debian-tree.sh"
me=$top/tests/deploy/lib/tree.sh
cache=${YUKIZURI_TREE_CACHE:-/var/cache/yukizuri-test-trees}
base=systemd,systemd-sysv,dbus,ca-certificates,iproute2,curl,procps
days=14
hidden=/var/tmp/yukizuri-tree

pause() { read -r -t 0.1 <> <(:) || true; }

check() {
    [ "$(id -u)" = 0 ] || die "a tree needs root"
    unshare --mount --pid --fork --net true 2>/dev/null || die "a tree needs namespaces of mounts, processes and networks, and this machine permits none"
    packages_install debootstrap systemd-container util-linux iproute2 apt-utils >&2
}

# --- The image ---

# Each has a lock, so that several calls make it once.
image() {
    local key wanted image
    wanted=$(printf '%s\n' "$@" | sort -u)
    key=$(printf '%s\n' "$archive" "$wanted" | cat - "$me" "$top/tests/lib/debian-tree.sh" | sha256sum | cut -c 1-16)
    image=$cache/$key
    mkdir -p "$cache"
    (
        flock 9
        # shellcheck disable=SC2086
        is_fresh "$image" || make "$image" $wanted
    ) 9>"$image.lock"
    printf '%s\n' "$image"
}

is_fresh() { [ -n "$(find "$1" -maxdepth 0 -mtime -$days 2>/dev/null)" ]; }

# Makes the image $1 with the packages that follow, from a tar with the bare system.
make() {
    local image=$1 status=0
    shift
    find "$cache" -mindepth 1 -maxdepth 1 ! -name '*.lock' -mtime +$days -exec rm -rf --one-file-system {} +
    rm -rf --one-file-system "$image" "$image.new"
    mkdir "$image.new"
    unshare --mount --pid --fork --kill-child bash "$me" --make "$image.new" "$archive" "$@" >&2 || status=$?
    if [ $status != 0 ]; then
        rm -rf --one-file-system "$image.new"
        die "the tree could not be made"
    fi
    touch "$image.new"
    mv "$image.new" "$image"
}

make_inside() {
    tree=$1 archive=$2
    shift 2
    log=$(mktemp)
    mount --bind "$tree" "$tree"
    (
        flock 9
        if ! is_fresh "$cache/base.tar"; then
            say "tree.sh: debootstrap"
            debian_bootstrap "$tree" $base "$log"
            tar -C "$tree" -cpf "$cache/base.tar.new" .
            mv "$cache/base.tar.new" "$cache/base.tar"
        fi
    ) 9>"$cache/base.tar.lock"
    [ -e "$tree/etc" ] || tar -C "$tree" -xpf "$cache/base.tar"
    debian_furnish "$tree"
    printf '#!/bin/sh\nexit 101\n' >"$tree/usr/sbin/policy-rc.d"
    chmod +x "$tree/usr/sbin/policy-rc.d"
    say "tree.sh: installing $*"
    apt update
    apt install "$@"
    apt clean
    fill_archive
    rm "$tree/usr/sbin/policy-rc.d"
    make_offline
    rm "$log"
}

apt() {
    local verb=$1
    shift
    debian_run "$tree" env DEBIAN_FRONTEND=noninteractive apt-get "$verb" -y -q --no-install-recommends "$@" >"$log" 2>&1 ||
        { tail -n 5 "$log" >&2; die "apt-get $verb failed in the tree"; }
}

# A directory as apt understands it, with the packages and what they depend on.
fill_archive() {
    local place=$tree/var/lib/archive
    mkdir "$place"
    # shellcheck disable=SC2086
    [ -z "$archive" ] || apt install --download-only $archive
    find "$tree/var/cache/apt/archives" -name '*.deb' -exec mv -t "$place" {} +
    (cd "$place" && apt-ftparchive packages . >Packages)
    rm -rf "$tree/var/lib/apt/lists"
    echo 'deb [trusted=yes] file:/var/lib/archive ./' >"$tree/etc/apt/sources.list"
    apt update
}

# The machine's network is not the tree's. The timers would only try to reach it.
make_offline() {
    printf '127.0.0.1 localhost\n::1 localhost\n' >"$tree/etc/hosts"
    : >"$tree/etc/resolv.conf"
    rm -f "$tree/etc/hostname"
    rm -f "$tree/etc/apt/apt.conf.d/90proxy"
    ln -sf /dev/null "$tree/etc/systemd/system/apt-daily.timer"
    ln -sf /dev/null "$tree/etc/systemd/system/apt-daily-upgrade.timer"
}

# --- The running tree ---

hold() {
    image=$(image "$@")
    sweep
    work=$(mktemp -d "$hidden-XXXXXX")
    exec 8>"$work/lock"
    flock 8
    started=() leader='' groups=()
    trap clean EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    name=yukizuri-tree-$$
    make_cgroups
    boot
    printf '%s %s\n' "$leader" "/proc/$leader/root"
    until_end_of_input
}

# Starts a process that ends with this script, in the tree's control groups.
start() {
    # shellcheck disable=SC2016
    setpriv --pdeathsig KILL -- sh -c 'groups=$1; shift; for group in $groups; do echo $$ >"$group/cgroup.procs"; done; exec "$@"' \
        sh "${groups[*]}" "$@" </dev/null >>"$work/console" 2>&1 8>&- &
    started+=($!)
}

boot() {
    local network=(--private-network) enter=() outer
    if [ -n "$bridge" ]; then
        start unshare --net sleep infinity
        join "${started[0]}"
        enter=(nsenter -t "${started[0]}" -n)
        network=(--capability=CAP_NET_ADMIN)
    fi
    # A namespace of processes around it, because the first process of a tree survives the end of nspawn.
    start "${enter[@]}" unshare --pid --fork --kill-child --mount-proc \
        bash "$me" --boot "$image" "$work/tree" "$name" "${hostname:-$name}" "${network[@]}"
    outer=${started[-1]}
    local deadline=$((SECONDS + 120))
    until is_up; do
        kill -0 "$outer" 2>/dev/null || { tail -n 5 "$work/console" >&2; die "the tree did not boot"; }
        [ $SECONDS -lt $deadline ] || { tail -n 5 "$work/console" >&2; die "the tree has not booted in 120 s"; }
        leader=$(first_process "$outer")
        pause
    done
}

# In the namespaces: the image with a layer above it, in memory, for what the tree writes.
boot_inside() {
    local image=$1 place=$2 name=$3 hostname=$4
    shift 4
    mkdir "$place"
    mount -t tmpfs -o mode=755 tmpfs "$place"
    mkdir "$place/upper" "$place/work" "$place/root"
    mount -t overlay -o "lowerdir=$image,upperdir=$place/upper,workdir=$place/work" overlay "$place/root"
    printf '%s\n' "$hostname" >"$place/root/etc/hostname"
    printf '127.0.1.1 %s\n' "$hostname" >>"$place/root/etc/hosts"
    mkdir -p /run/systemd/nspawn
    mount -t tmpfs tmpfs /run/systemd/nspawn # it would leave its notes there
    exec systemd-nspawn -q -D "$place/root" --boot --register=no --keep-unit "$@" -M "$name" \
        --link-journal=no --resolv-conf=off --timezone=off --console=pipe
}

# The first process has a namespace of its own; nspawn's helpers have not.
first_process() {
    local nspawn pid
    nspawn=$(pgrep -P "$1") || return 0
    for pid in $(pgrep -P "$nspawn"); do
        [ "$(readlink "/proc/$pid/ns/pid")" = "$(readlink "/proc/$nspawn/ns/pid")" ] || printf '%s' "$pid"
    done
}

# Every tree has control groups of its own: its systemd takes all groups below for its services. This script stays outside of them.
make_cgroups() {
    local line place
    while IFS= read -r line; do
        for place in /sys/fs/cgroup/systemd /sys/fs/cgroup/unified /sys/fs/cgroup; do
            [ -e "$place/cgroup.procs" ] || continue
            case $place:$line in
            */systemd:*:name=systemd:* | */unified:0::* | /sys/fs/cgroup:0::*) groups+=("$place${line##*:}/$name") ;;
            esac
        done
    done </proc/self/cgroup
    mkdir -p "${groups[@]}"
    printf '%s\n' "${groups[@]}" >"$work/groups"
}

in_tree() { nsenter -t "$leader" -m -u -i -n -p env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@" </dev/null 8>&-; }

# Whether the start is over. Units that failed are for the caller to judge, and shown.
is_up() {
    local state
    [ -n "$leader" ] || return 1
    state=$(in_tree systemctl is-system-running --wait 2>/dev/null) || true
    case $state in
    running) ;;
    degraded) in_tree systemctl --failed --no-legend --plain >&2 ;;
    *) return 1 ;;
    esac
}

# A pair of devices: one in the tree, one at the bridge.
join() {
    local deadline=$((SECONDS + 10)) device=t$1
    until [ "$(readlink "/proc/$1/ns/net")" != "$(readlink /proc/self/ns/net)" ]; do
        [ $SECONDS -lt $deadline ] || die "no network namespace"
        pause
    done
    nsenter -t "$bridge" -n ip link add "$device" type veth peer name host0 netns "$1"
    nsenter -t "$bridge" -n ip link set "$device" master br0 up
    nsenter -t "$1" -n ip address add "$address" dev host0
    nsenter -t "$1" -n ip link set lo up
    nsenter -t "$1" -n ip link set host0 up
}

until_end_of_input() {
    local status
    while kill -0 "${started[-1]}" 2>/dev/null; do
        status=0
        read -r -t 1 || status=$?
        [ $status -gt 128 ] || [ $status = 0 ] || return 0
    done
    tail -n 5 "$work/console" >&2
    die "the tree ended by itself"
}

# The other processes of a tree end with its first one.
clean() {
    trap - EXIT INT TERM HUP
    [ -z "$leader" ] || kill -KILL "$leader" 2>/dev/null || true
    for pid in "${started[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
    for pid in "${started[@]}"; do wait "$pid" 2>/dev/null || true; done
    remove_groups "${groups[@]}"
    remove "$work"
}

# What was just killed may be busy for a moment. (No `return`: bash ends a trap with it.)
remove_groups() {
    for _ in {1..50}; do
        ! find "$@" -depth -type d -exec rmdir {} + 2>/dev/null || break
        pause
    done
}

remove() {
    for _ in {1..50}; do
        ! rm -rf --one-file-system "$1" 2>/dev/null || break
        pause
    done
}

# Removes the files of trees whose script was killed: their locks are free.
sweep() {
    local place
    for place in "$hidden"-??????; do
        [ -e "$place/lock" ] || continue
        (
            flock -n 7 || exit 0
            # shellcheck disable=SC2046
            [ ! -s "$place/groups" ] || remove_groups $(cat "$place/groups")
            remove "$place"
        ) 7<"$place/lock"
    done
}

verb=${1:-}
[ $# = 0 ] || shift
archive='' hostname='' bridge='' address=''
case $verb in
--make) make_inside "$@"; exit ;;
--boot) boot_inside "$@" ;;
esac
while [ $# -gt 0 ]; do
    case $1 in
    --archive | --hostname | --network | --address)
        [ $# -ge 2 ] || die "$1 needs a value"
        case $1 in
        --archive) archive=$2 ;;
        --hostname) hostname=$2 ;;
        --network) bridge=$2 ;;
        --address) address=$2 ;;
        esac
        shift 2
        ;;
    -*) die "unknown argument $1; see --help" ;;
    *) break ;;
    esac
done
case $verb in
check) check ;;
image) image "$@" ;;
hold) hold "$@" ;;
-h | --help) sed -n '2,23s/^# \{0,1\}//p' "$0" ;;
*) die "check, image or hold; see --help" ;;
esac
