#!/bin/sh
# Runs nginx in its container, in front of every gateway that has a socket in /run/yukizuri. Looks once a second which gateways there are, and reloads nginx
# when they have changed. A reload cuts nobody off: the old workers keep their connections for 10 minutes, and people who are cut then reconnect.
#
# Environment:
#   YUKIZURI_OUTER_PROXY   the addresses of the proxies in front of this nginx (CIDR, separated by commas or blanks). Only they may say
#                          by X-Forwarded-For who their client is. Default: none
#   YUKIZURI_METRICS_PORT  the port for Prometheus: /targets lists the gateways, /gateway/NAME/metrics are the metrics of one, and /nginx_status
#                          are those of nginx. It is not for clients. Default: none
set -eu
sockets=/run/yukizuri
work=/tmp/yukizuri
render=/etc/yukizuri/nginx/render.sh
fail() {
    echo "nginx.sh: $*" >&2
    exit 2
}

[ "${YUKIZURI_OUTER_PROXY:-}" != none ] || YUKIZURI_OUTER_PROXY=
trusted=$(for proxy in $(printf %s "${YUKIZURI_OUTER_PROXY:-}" | tr ',' ' '); do echo "--trusted-proxy $proxy"; done)
metrics_port=${YUKIZURI_METRICS_PORT:-}
case $metrics_port in *[!0-9]*) fail "YUKIZURI_METRICS_PORT: \"$metrics_port\" is not a port" ;; esac

# The names of the gateways that accept connections. One that was killed leaves its socket behind, and nobody listens there (curl's status 7).
# A name is the host name of a container. Others are passed over, because names are written into the configuration.
gateways() {
    for socket in "$sockets"/*.sock; do
        name=${socket##*/}
        name=${name%.sock}
        case $name in '' | *[!A-Za-z0-9-]*) continue ;; esac
        [ -S "$socket" ] || continue
        status=0
        curl -s -o /dev/null --max-time 2 --unix-socket "$socket" http://gateway/healthz || status=$?
        [ $status = 7 ] || echo "$name"
    done
}

# Without a gateway there must be an upstream too. It answers 502.
upstreams() {
    [ -n "$1" ] || echo "--upstream unix:$sockets/none"
    for name in $1; do echo "--upstream unix:$sockets/$name.sock"; done
}

# For Prometheus. The gateways answer it because it is a client of this host to them.
metrics() {
    [ -n "$metrics_port" ] || return 0
    cat <<END
    server {
        listen $metrics_port;
        server_tokens off;
        access_log off;
        location = /targets { default_type application/json; alias $work/targets.json; }
        location = /nginx_status { stub_status; }
END
    for name in $1; do
        echo "        location = /gateway/$name/metrics { proxy_pass http://unix:$sockets/$name.sock:/metrics; proxy_set_header Host gateway; proxy_set_header X-Forwarded-For 127.0.0.1; }"
    done
    echo "    }"
}

targets() {
    separator=''
    printf '['
    for name in $1; do
        printf '%s{"targets":["nginx:%s"],"labels":{"__metrics_path__":"/gateway/%s/metrics","instance":"%s"}}' "$separator" "$metrics_port" "$name" "$name"
        separator=,
    done
    printf ']\n'
}

configuration() {
    # shellcheck disable=SC3045 # the shells of Debian, Alpine and busybox have it
    descriptors=$(ulimit -n)
    workers=$(nproc)
    [ "$workers" -le 4 ] || workers=4
    cat <<END
worker_processes $workers;
worker_shutdown_timeout 10m;
pid $work/nginx.pid;
error_log stderr warn;
events {
    worker_connections $((descriptors - 64));
}
http {
    access_log off;
    client_body_temp_path $work/body;
    proxy_temp_path $work/proxy;
    fastcgi_temp_path $work/fastcgi;
    uwsgi_temp_path $work/uwsgi;
    scgi_temp_path $work/scgi;
END
    cat $work/site.conf
    metrics "$1"
    echo "}"
}

# Writes the files for these gateways. What is wrong is not used.
write() {
    # shellcheck disable=SC2046,SC2086
    sh $render --listen 8080 --access-log /dev/stdout $trusted $(upstreams "$1") > $work/site.conf || return 1
    configuration "$1" > $work/new.conf
    targets "$1" > $work/targets.json.new
    mv $work/targets.json.new $work/targets.json
    nginx -q -t -e stderr -c $work/new.conf || return 1
    mv $work/new.conf $work/nginx.conf
}

say_present() { echo "nginx.sh: gateways: $(echo "${present:-none}" | tr '\n' ' ')" >&2; }

mkdir -p $work
present=$(gateways)
write "$present" || fail "there is no configuration to start with; the reason is above"
nginx -e stderr -c $work/nginx.conf -g 'daemon off;' &
nginx=$!
say_present
# People reconnect at once when they are cut; with nginx' graceful stop they would talk to one who takes no new connections.
trap 'kill -TERM $nginx' TERM INT QUIT
while kill -0 $nginx 2>/dev/null; do
    sleep 1 &
    wait $! || true
    now=$(gateways)
    [ "$now" != "$present" ] || continue
    present=$now
    if write "$present"; then kill -HUP $nginx || true; fi
    say_present
done
status=0
wait $nginx || status=$?
exit $status
