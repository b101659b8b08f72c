#!/bin/sh
# Prints a Redis configuration for Yukizuri, from yukizuri.conf beside this script.
#
#   render.sh --password-file FILE [--prefix PREFIX] [--socket PATH] [--admin-password-file FILE]
#
#   --password-file FILE   the first line is the password of the gateways' user; only its hash is printed
#   --prefix PREFIX        the gateways' redis-prefix (default yukizuri)
#   --socket PATH          listen on this unix socket, which only its owner may use, and on no port
#   --admin-password-file FILE
#                          the password of the default user, which has all permissions (default: none)
set -eu
here=$(cd "$(dirname "$0")" && pwd)
password_file='' admin_password_file='' prefix=yukizuri socket=''
fail() {
    echo "render.sh: $*" >&2
    exit 2
}
while [ $# -gt 0 ]; do
    [ $# -ge 2 ] || fail "$1 needs a value"
    case $1 in
    --password-file) password_file=$2 ;;
    --prefix) prefix=$2 ;;
    --socket) socket=$2 ;;
    --admin-password-file) admin_password_file=$2 ;;
    *) fail "unknown argument $1" ;;
    esac
    shift 2
done
[ -n "$password_file" ] || fail "--password-file is needed"
case $prefix in
'' | *[!A-Za-z0-9_.:-]*) fail "--prefix: letters, digits and _ . : - only" ;;
esac
hash_of() {
    password=$(head -n 1 "$1" | tr -d '\r\n')
    [ -n "$password" ] || fail "$1 is empty"
    printf %s "$password" | sha256sum | cut -d ' ' -f 1
}
hash=$(hash_of "$password_file")
admin_hash=''
[ -z "$admin_password_file" ] || admin_hash=$(hash_of "$admin_password_file")
sed -E "/^user /{s/ resetpass / #$hash /; s/([~&])yukizuri/\1$prefix/g}" "$here/yukizuri.conf"
[ -z "$admin_hash" ] || printf '\nuser default on #%s ~* &* +@all\n' "$admin_hash"
[ -z "$socket" ] || printf '\nport 0\nunixsocket "%s"\nunixsocketperm 700\n' "$socket"
