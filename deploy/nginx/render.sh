#!/bin/sh
# Prints an nginx configuration for Yukizuri, from yukizuri.conf.in beside this script.
#
#   render.sh --listen ADDRESS [--listen ...] --upstream ADDRESS [--upstream ...] [OPTION VALUE]...
#   render.sh --name NAME --certificate FILE --certificate-key FILE --upstream ADDRESS [OPTION VALUE]...
#   render.sh --name NAME --acme DIR --acme-only [OPTION VALUE]...
#
# The first form serves the chat over http. The second one serves it over https, and sends http there. The third one
# answers only certificate authorities: it is what runs before the first certificate (see deploy/certbot).
#
#   --listen ADDRESS          PORT, ADDRESS:PORT, [IPV6]:PORT or unix:PATH for http; with a name 80 and [::]:80 by default
#   --listen-tls ADDRESS      the same for https; 443 and [::]:443 by default
#   --upstream ADDRESS        a gateway: unix:PATH or HOST:PORT
#   --name NAME               the host name of the chat; may be given more than once, http leads to the first one.
#                             Without it, this site answers for every name
#   --certificate FILE        the certificate with its chain, and
#   --certificate-key FILE    its private key
#   --hsts SECONDS            browsers use only https for this time, even if you want to go back to http
#   --acme DIR                the directory below which certbot puts its answers (webroot)
#   --status ADDRESS          where stub_status answers the monitoring agent, such as 127.0.0.1:8888
#   --access-log FILE         one LTSV line per request
#   --allow-ops CIDR          who, besides this machine, may ask for /metrics, /api/stats and /status; repeatable
#   --trusted-proxy CIDR      a balancer in front of nginx, whose X-Forwarded-For is believed; repeatable
#   --connections-per-address N        at most this many at once (1000); 0 is no limit
#   --requests-per-address RATE:BURST  requests a second, and how many at once (50:1000); 0 is no limit
#
# The output is for the http context (a file in sites-enabled or conf.d), and it needs main.conf beside this script in
# the main context. With --whole DIR [--user NAME] [--shutdown-timeout TIME], the output is a complete nginx.conf whose
# pid, logs and temporary files are in DIR.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
fail() {
    echo "render.sh: $*" >&2
    exit 2
}

# Each check gets the option and its value. Nothing passes that has a meaning in nginx or in sed: ; { } $ " ' \ | & or a space.
wrong() { fail "$1: \"$(printf %s "$2" | tr '[:cntrl:]' '?')\" is not $3"; }
matches() {
    case $1 in *'
'*) return 1 ;; esac
    printf '%s\n' "$1" | grep -Eqx "$2"
}
plain='[A-Za-z0-9._:@%+,~/-]'
port='([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])'
check_listen() { matches "$2" "$port|[A-Za-z0-9.*-]+:$port|\\[[0-9A-Fa-f:.]+\\]:$port|unix:/$plain+" || wrong "$1" "$2" "PORT, ADDRESS:PORT, [IPV6]:PORT or unix:PATH"; }
check_upstream() { matches "$2" "[A-Za-z0-9._-]+:$port|\\[[0-9A-Fa-f:.]+\\]:$port|unix:/$plain+" || wrong "$1" "$2" "HOST:PORT or unix:PATH"; }
check_path() { matches "$2" "/$plain*" || wrong "$1" "$2" "an absolute path of letters, digits and ._:@%+,~/-"; }
check_name() { matches "$2" "[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*" || wrong "$1" "$2" "a host name"; }
check_network() { matches "$2" "[0-9]{1,3}(\\.[0-9]{1,3}){3}(/[0-9]{1,2})?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(/[0-9]{1,3})?" || wrong "$1" "$2" "an address or a CIDR such as 192.0.2.0/24"; }
check_number() { matches "$2" "0|[1-9][0-9]{0,8}" || wrong "$1" "$2" "a number"; }

listens='' listens_tls='' upstreams='' names='' name='' certificate='' key='' hsts='' acme='' acme_only='' status='' access_log=''
ops='' proxies='' connections=1000 requests=50:1000 whole='' user='' shutdown=10m tls_port=''
while [ $# -gt 0 ]; do
    case $1 in
    -h | --help) sed -n '2,/^set/s/^# \{0,1\}//p' "$0"; exit 0 ;;
    --acme-only) acme_only=yes; shift; continue ;;
    esac
    [ $# -ge 2 ] || fail "$1 needs a value"
    case $1 in
    --listen) check_listen "$@"; listens="$listens $2" ;;
    --listen-tls) check_listen "$@"; listens_tls="$listens_tls $2" ;;
    --upstream) check_upstream "$@"; upstreams="$upstreams server $2 max_fails=0;" ;;
    --name) check_name "$@"; names="$names $2"; name=${name:-$2} ;;
    --certificate) check_path "$@"; certificate=$2 ;;
    --certificate-key) check_path "$@"; key=$2 ;;
    --hsts) check_number "$@"; hsts=$2 ;;
    --acme) check_path "$@"; acme=$2 ;;
    --status) check_listen "$@"; status=$2 ;;
    --access-log) check_path "$@"; access_log=$2 ;;
    --allow-ops) check_network "$@"; ops="$ops allow $2;" ;;
    --trusted-proxy) [ "$2" = unix: ] || check_network "$@"; proxies="$proxies set_real_ip_from $2;" ;;
    --connections-per-address) check_number "$@"; connections=$2 ;;
    --requests-per-address) matches "$2" "0|[1-9][0-9]{0,5}:[1-9][0-9]{0,5}" || wrong "$1" "$2" "RATE:BURST or 0"; requests=$2 ;;
    --whole) check_path "$@"; whole=$2 ;;
    --user) matches "$2" '[A-Za-z0-9_][A-Za-z0-9_.-]*' || wrong "$1" "$2" "a user"; user=$2 ;;
    --shutdown-timeout) matches "$2" '[1-9][0-9]{0,5}(s|m|h)' || wrong "$1" "$2" "a time such as 10m"; shutdown=$2 ;;
    *) fail "unknown argument $1; see --help" ;;
    esac
    shift 2
done

if [ -n "$certificate" ]; then
    [ -n "$key" ] || fail "--certificate needs --certificate-key"
    [ -n "$name" ] || fail "--certificate needs --name, the host name that the certificate has"
else
    [ -z "$key" ] || fail "--certificate-key needs --certificate"
    [ -z "$listens_tls$hsts" ] || fail "--listen-tls and --hsts need --certificate and --certificate-key"
fi
if [ -n "$acme_only" ]; then
    if [ -z "$acme" ] || [ -z "$name" ]; then fail "--acme-only needs --name and --acme"; fi
    [ -z "$certificate" ] || fail "--acme-only is for the time before there is a certificate; leave out --certificate"
fi
[ -n "$acme_only" ] || [ -n "$upstreams" ] || fail "at least one --upstream is needed"
[ -n "$listens" ] || [ -z "$certificate$acme_only" ] || listens='80 [::]:80'
[ -n "$listens" ] || fail "at least one --listen is needed"
[ -z "$certificate" ] || listens_tls=${listens_tls:-443 [::]:443}

# Without a name the site answers for every name. nginx gives such requests to the default server of a port, so this
# must be it: otherwise another site, such as Debian's welcome page, gets them without any message.
default=
[ -n "$name" ] || default=' default_server'
each() {
    suffix=$1
    shift
    for address in "$@"; do printf ' listen %s%s;' "$address" "$suffix"; done
}
# shellcheck disable=SC2086
{
    plain_listen=$(each "$default" $listens)
    tls_listen=$(each ' ssl http2' $listens_tls)
    for address in $listens_tls; do
        case $address in unix:*) continue ;; esac
        tls_port=${tls_port:-${address##*:}}
    done
}
[ "$tls_port" != 443 ] || tls_port=
case $requests in 0) rate=0 burst=0 ;; *) rate=${requests%:*} burst=${requests#*:} ;; esac

# What the template keeps: the lines between @if WORD and @end for these words.
words=' '
have() { if [ -n "$2" ]; then words="$words$1 "; fi; }
chat=yes
[ -z "$acme_only" ] || chat=
have chat "$chat"
have name "$name"
have tls "$certificate"
have plain "$([ -n "$certificate" ] || echo yes)"
have port80 "$certificate$acme_only"
have waiting "$acme_only"
have hsts "$hsts"
have acme "$acme"
have status "$status"
have log "$access_log"
have proxies "$proxies"
have direct "$([ -n "$proxies" ] || echo yes)"
have connections "${connections#0}"
have requests "${rate#0}"
have counted "$([ -z "$chat" ] || echo "${connections#0}${rate#0}")"
site() {
    awk -v words="$words" '
        /^@if / { depth++; if (!left_out && !index(words, " " $2 " ")) left_out = depth; next }
        /^@end$/ { if (left_out == depth) left_out = 0; depth--; next }
        !left_out' "$here/yukizuri.conf.in" |
        sed -e "s|@LISTEN@|${plain_listen# }|" -e "s|@LISTEN_TLS@|${tls_listen# }|" -e "s|@UPSTREAMS@|${upstreams# }|" \
            -e "s|@NAMES@|${names# }|" -e "s|@HOME@|$name${tls_port:+:$tls_port}|" -e "s|@CERTIFICATE@|$certificate|" \
            -e "s|@KEY@|$key|" -e "s|@HSTS@|$hsts|" -e "s|@ACME@|$acme|" -e "s|@STATUS@|$status|" \
            -e "s|@ACCESS_LOG@|$access_log|" -e "s|@OPS@|${ops# }|" -e "s|@PROXIES@|${proxies# }|" \
            -e "s|@CONNECTIONS@|$connections|" -e "s|@RATE@|$rate|" -e "s|@BURST@|$burst|" -e 's/ *$//' |
        cat -s
}
if [ -z "$whole" ]; then
    site
    exit 0
fi
cat <<END
${user:+user $user;}
worker_processes auto;
pid $whole/nginx.pid;
error_log $whole/nginx-error.log warn;
END
sed -e "s/^worker_shutdown_timeout .*/worker_shutdown_timeout $shutdown;/" -e '/^#/d' "$here/main.conf"
cat <<END
events {
    worker_connections 16384;
}
http {
    access_log off;
    client_body_temp_path $whole/nginx-body;
    proxy_temp_path $whole/nginx-proxy;
    fastcgi_temp_path $whole/nginx-fastcgi;
    uwsgi_temp_path $whole/nginx-uwsgi;
    scgi_temp_path $whole/nginx-scgi;
END
site | sed 's/^\(.\)/    \1/'
echo "}"
