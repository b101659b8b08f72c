#!/bin/bash
# What can be checked of the house's rules: function and file length, and that each third-party library
# is included by its one owner. Prints what breaks them and fails.
set -u
cd "$(dirname "$0")/.." || exit 1
bad=0
complain() { printf '%s\n' "$*"; bad=1; }

while read -r lines file; do
    [ "$file" = total ] || [ "$lines" -le 500 ] || complain "$file: $lines lines (at most 500)"
done < <(find common gateway cmake -name '*.[ch]' -print0 | xargs -0 wc -l)

if ! command -v ctags >/dev/null; then
    complain "universal-ctags is needed to measure functions"
else
    while read -r end start name file; do
        [ $((end - start + 1)) -le 60 ] || complain "$file: $name has $((end - start + 1)) lines (at most 60)"
    done < <(ctags -x --languages=C --c-kinds=f --fields=+e --_xformat='%{end} %n %N %F' -R common gateway cmake)
fi

# library → the only files that may include it
owner() {
    local header=$1 allowed=$2 found
    found=$(grep -rlE "#include <$header" common gateway | grep -vE "^($allowed)$")
    [ -z "$found" ] || complain "<$header…> belongs to $allowed alone, but is in:" "$found"
}
owner 'wslay/' 'gateway/reader\.c'
owner 'hiredis/' 'gateway/redis_reply\.c'
owner 'jansson' 'common/(message|room_event)\.c'
owner 'utf8proc' 'common/unicode\.c'
owner 'openssl/(evp|hmac|sha|rand)' 'common/digest\.c'
owner 'openssl/(ssl|err)' 'gateway/redis_tls\.c'
owner 'event2/(bufferevent|buffer)' 'gateway/redis(_tls|_why)?\.c'
owner 'liburing' 'gateway/sender\.c'
owner 'pthread' '(gateway/resolver|common/log_writer)\.c'
grep -rnE '#include <event2?/' common && complain "common/ has no event loop"

# includes point down: a file may include only what stands below it
rank() {
    case $1 in
    main) echo 90 ;; supervisor) echo 85 ;; server* | stop_line | doors | drain | listener | embedded_redis | private_ports | start_line) echo 80 ;; keeper) echo 79 ;;
    http*) echo 70 ;; echo) echo 65 ;; session*) echo 60 ;; cloak) echo 55 ;; presence | burial* | lease) echo 55 ;; rooms) echo 50 ;;
    room) echo 40 ;; roster) echo 38 ;; feed*) echo 36 ;; bus* | outbox) echo 35 ;; probe | pubsub) echo 34 ;; keys) echo 33 ;; lane) echo 33 ;; script) echo 32 ;;
    audience*) echo 39 ;; redis* | pending) echo 31 ;; resolver) echo 30 ;; connection* | reader) echo 30 ;;
    poller | sender | identity) echo 20 ;; assets) echo 10 ;; *) echo 0 ;;
    esac
}
for file in gateway/*.[ch]; do
    own=$(rank "$(basename "${file%.*}")")
    while read -r included; do
        above=$(rank "$included")
        # a feed and its bus are two halves of one thing, as are a reader and its connection
        [ "$above" -le "$own" ] || [ "$own$included" = "35feed" ] || [ "$own$included" = "36roster" ] ||
            [ "$own$included" = "80presence" ] || complain "$file includes $included.h, which stands above it"
    done < <(grep -oE '#include "[a-z_]+\.h"' "$file" | sed -E 's/#include "(.*)\.h"/\1/')
done
exit $bad
