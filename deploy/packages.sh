# Sourced by local.sh and tests/run.sh: the names and the installation of the needed Debian packages.

packages_build="gcc libc6-dev make cmake ninja-build pkg-config libevent-dev libhiredis-dev libwslay-dev liburing-dev
    libjansson-dev libutf8proc-dev libssl-dev zlib1g-dev libbrotli-dev libjemalloc-dev libseccomp-dev"
packages_run="redis-server redis-tools nginx-light curl ca-certificates"

say() { printf '%s\n' "$*"; }
die() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; exit 1; }

# Prints those of the named packages that are not installed.
packages_missing() {
    for package in "$@"; do
        dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || printf '%s ' "$package"
    done
}

# Installs the missing ones of the named packages. Their services are started neither now nor at the
# next boot, because the caller starts its own.
packages_install() {
    if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
        die "there is no apt here; please install what these Debian packages hold: $*"
    fi
    missing=$(packages_missing "$@")
    [ -n "$missing" ] || return 0
    as_root=
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || die "please install as root: apt-get install $missing"
        as_root=sudo
    fi
    say "Installing: $missing"
    policy=/usr/sbin/policy-rc.d
    placed=
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' | $as_root tee $policy >/dev/null
        $as_root chmod +x $policy
        placed=yes
    fi
    failed=
    output=$(mktemp)
    # shellcheck disable=SC2086
    {
        $as_root apt-get update -qq &&
            $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
                --no-install-recommends -o DPkg::Lock::Timeout=300 $missing
    } >"$output" 2>&1 || failed=yes
    [ -z "$placed" ] || $as_root rm -f $policy
    if [ -n "$failed" ]; then
        tail -n 5 "$output" >&2
        rm -f "$output"
        die "apt-get could not install: $missing"
    fi
    rm -f "$output"
    command -v systemctl >/dev/null || return 0
    # shellcheck disable=SC2086
    for unit in $(dpkg-query -L $missing | sed -nE 's#.*/systemd/system/([^/@]+\.(service|socket|timer))$#\1#p'); do
        $as_root systemctl disable -q "$unit" 2>/dev/null || true
    done
}
