#!/bin/sh
# Prints an nginx configuration for Yukizuri, from yukizuri.conf.in beside this script.
#
#   render.sh --listen 127.0.0.1:8080 [--listen ...] --upstream unix:/run/y/1.sock [--upstream ...]
#             [--whole DIR [--user NAME]]
#
# Without --whole, the output is for the http context (a file in /etc/nginx/conf.d). With it, the output is
# a complete nginx.conf whose pid, logs and temporary files are in DIR.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
listens= upstreams= whole= user=
while [ $# -gt 0 ]; do
    if [ $# -lt 2 ]; then
        echo "render.sh: $1 needs a value" >&2
        exit 2
    fi
    case $1 in
    --listen) listens="$listens listen $2;" ;;
    --upstream) upstreams="$upstreams server $2 max_fails=1 fail_timeout=1s;" ;;
    --whole) whole=$2 ;;
    --user) user="user $2;" ;;
    *) echo "render.sh: unknown argument $1" >&2; exit 2 ;;
    esac
    shift 2
done
if [ -z "$listens" ] || [ -z "$upstreams" ]; then
    echo "render.sh: at least one --listen and one --upstream are needed" >&2
    exit 2
fi
site() {
    sed -e "s|@LISTEN@|${listens# }|" -e "s|@UPSTREAMS@|${upstreams# }|" "$here/yukizuri.conf.in"
}
if [ -z "$whole" ]; then
    site
    exit 0
fi
cat <<END
$user
worker_processes auto;
worker_rlimit_nofile 16384;
pid $whole/nginx.pid;
error_log $whole/nginx-error.log warn;
events {
    worker_connections 8000;
}
http {
    access_log off;
    client_body_temp_path $whole/nginx-body;
    proxy_temp_path $whole/nginx-proxy;
    fastcgi_temp_path $whole/nginx-fastcgi;
    uwsgi_temp_path $whole/nginx-uwsgi;
    scgi_temp_path $whole/nginx-scgi;
END
site | sed 's/^/    /'
echo "}"
