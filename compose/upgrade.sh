#!/bin/sh
# Replaces the running gateways by gateways of the new image while people talk. As many new ones are started beside the old ones. When all of them are
# ready, the old ones drain one after the other. Nobody is announced as left, and nothing is lost. If a new gateway does not become ready within two
# minutes, the new ones are removed and the old ones stay.
#
#   compose/upgrade.sh [--no-build]
#
#   --no-build   the image is there already: it was pulled, or built by `docker compose build`
#
# `docker compose up -d --build` alone replaces all gateways at the same moment. Redis and nginx stay as they are.
# COMPOSE and ENGINE name other commands than `docker compose -f .../compose.yaml` and `docker`, and COMPOSE_PROJECT_NAME another project.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
compose=${COMPOSE:-docker compose -f $here/compose.yaml}
engine=${ENGINE:-docker}
project=${COMPOSE_PROJECT_NAME:-yukizuri}
fail() {
    echo "upgrade.sh: $*" >&2
    exit 1
}
build=yes
case $* in
'') ;;
--no-build) build= ;;
*) fail "unknown argument in: $*" ;;
esac

gateways() {
    $engine ps -q --filter "label=com.docker.compose.project=$project" --filter "label=com.docker.compose.service=gateway"
}
remove() {
    for id in $1; do
        $engine stop -t 45 "$id" >/dev/null || fail "could not stop the container $id"
        $engine rm "$id" >/dev/null || fail "could not remove the container $id"
    done
}
# Those of $1 that are not in $2.
without() {
    for id in $1; do case " $2 " in *" $id "*) ;; *) echo "$id" ;; esac; done
}
is_ready() { $engine exec "$1" yukizuri-ready >/dev/null 2>&1; }

old=$(gateways | tr '\n' ' ')
count=$(echo "$old" | wc -w)
[ "$count" -gt 0 ] || fail "no gateway of the project $project runs; start it with: $compose up -d --build"
[ -z "$build" ] || $compose build gateway
YUKIZURI_GATEWAYS=$((2 * count)) $compose up -d --no-recreate --no-deps --scale "gateway=$((2 * count))" gateway
new=$(without "$(gateways)" "$old" | tr '\n' ' ')
[ "$(echo "$new" | wc -w)" = "$count" ] || { remove "$new"; fail "$count new gateways should run, but $(echo "$new" | wc -w) do; the old ones stay"; }
tries=120
for id in $new; do
    until is_ready "$id"; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || { $engine logs --tail 5 "$id" >&2; remove "$new"; fail "the new gateway $id is not ready; the old ones stay"; }
        sleep 1
    done
done
remove "$old"
echo "upgrade.sh: $count gateways replaced"
