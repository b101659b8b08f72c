#!/bin/bash
# The health check of the image: does the gateway on port 8080 (or the port that is given) answer /readyz with 200? Written for bash, which
# the image has anyway. curl and its libraries would be larger than the gateway.
set -eu
exec 3<>"/dev/tcp/127.0.0.1/${1:-8080}"
printf 'GET /readyz HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n' >&3
answer=$(cat <&3)
printf '%s\n' "${answer##*$'\n'}"
[[ $answer == "HTTP/1.1 200 "* ]]
