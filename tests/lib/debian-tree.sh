# Sourced by tests/fresh.sh and tests/deploy/lib/tree.sh, after deploy/packages.sh: makes a tree with a fresh Debian that reaches
# the same network as this machine: the mirror of its apt, its proxy, its private certificate authorities.
# Other software of this machine is not in it.
debian_suite=bookworm

# Prints this machine's apt sources of that suite, main only.
debian_sources() {
    # shellcheck disable=SC2016
    apt-get indextargets --format '$(SITE) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
        awk -v suite=$debian_suite '($2 == suite || $2 ~ "^" suite "-(updates|security)$") && $3 == "main" { print "deb", $1, $2, $3 }' | sort -u
}

# debian_bootstrap TREE PACKAGES LOG: the packages are separated by commas.
debian_bootstrap() {
    local mirror
    mirror=$(debian_sources | awk -v suite=$debian_suite '$3 == suite { print $2; exit }')
    [ -n "$mirror" ] || die "this machine's apt has no mirror of Debian $debian_suite"
    debootstrap --variant=minbase --include="$2" $debian_suite "$1" "$mirror" >"$3" 2>&1 ||
        { tail -n 5 "$3" >&2; die "debootstrap failed"; }
}

# debian_furnish TREE: copies this machine's network configuration, but no installed software, and mounts what programs expect.
# The caller is in a namespace of mounts of its own.
debian_furnish() {
    local tree=$1 place
    debian_sources >"$tree/etc/apt/sources.list"
    echo force-unsafe-io >"$tree/etc/dpkg/dpkg.cfg.d/unsafe" # the tree does not outlive its script
    apt-config dump | grep -iE '^Acquire::https?::Proxy' >"$tree/etc/apt/apt.conf.d/90proxy" || true
    cp -L /etc/resolv.conf /etc/hosts "$tree/etc/"
    find /usr/local/share/ca-certificates -name '*.crt' -exec cp -t "$tree/usr/local/share/ca-certificates" {} + 2>/dev/null || true
    for place in proc:proc sysfs:sys devpts:dev/pts tmpfs:dev/shm; do
        mkdir -p "$tree/${place#*:}"
        mount -t "${place%:*}" "${place%:*}" "$tree/${place#*:}"
    done
    debian_run "$tree" update-ca-certificates >/dev/null 2>&1
}

# debian_run TREE COMMAND...: only the variables for network access are passed on.
debian_run() {
    local tree=$1 passed=() name
    shift
    for name in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY npm_config_registry; do
        [ -z "${!name:-}" ] || passed+=("$name=${!name}")
    done
    chroot "$tree" env -i "${passed[@]}" PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
        SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt "$@"
}
