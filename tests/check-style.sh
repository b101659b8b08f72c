#!/bin/bash
# Checks the mechanical style rules: the length of functions and files, a header for each source, the order of
# includes, and the one owner of each third-party library. Prints the violations and fails.
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
    # a source that has a function for others has a header of its own name beside it
    while read -r file; do
        [ -f "${file%.c}.h" ] || complain "$file: has functions for other files, and no header of its name"
    done < <(ctags -x --languages=C --c-kinds=f --fields=+f --_xformat='%f %N %F' -R common gateway |
        awk '$1 != "file" && $2 != "main" && $3 ~ /\.c$/ {print $3}' | sort -u)
fi

# library → the files that may include it
owner() {
    local header=$1 allowed=$2 found
    found=$(grep -rlE "#include <$header" common gateway | grep -vE "^($allowed)$")
    [ -z "$found" ] || complain "<$header…> belongs to $allowed alone, but is in:" "$found"
}
owner 'wslay/' 'gateway/websocket/decoder\.c'
owner 'hiredis/' 'gateway/redis/resp_decode\.c'
owner 'jansson' 'common/(protocol/(message|room_event|control)|base/library_memory)\.c'
owner 'utf8proc' 'common/protocol/unicode\.c'
owner 'openssl/(evp|hmac|sha|rand)' 'common/base/digest\.c'
owner 'openssl/(ssl|err)' 'gateway/redis/tls\.c'
owner 'event2/(bufferevent|buffer)' 'gateway/redis/(connection|connection_send|hold|tls|loss_reason)\.c'
owner 'zlib' '(common/protocol/deflate|gateway/http/pages)\.c'
owner 'jemalloc' 'common/base/memory\.c'
owner 'seccomp' 'gateway/sandbox\.c'
owner 'liburing' 'gateway/room/(batch_send\.c|send_ring\.h)'
owner 'pthread' '(gateway/redis/resolver|common/telemetry/log_writer|common/base/digest)\.c'
grep -rnE '#include <event2?/' common && complain "common/ has no event loop"

# A folder may include itself and lower folders. Two folders of the same rank may not include each other.
# Files in gateway/ itself are above all folders.
folders_gateway='server:8 http:7 session:6 cluster:6 room:5 broker:4 redis:3 websocket:3'
folders_common='telemetry:2 history:2 config:2 protocol:1 base:0'
height() {
    local entry
    for entry in $folders_gateway $folders_common; do
        [ "${entry%:*}" != "$1" ] || { echo "${entry#*:}"; return; }
    done
}

# Prints one line per include: FILE FOLDER INCLUDED FOLDER-OF-INCLUDED
includes() {
    grep -oE '#include "[a-z_0-9/]+\.h"' -r --include='*.[ch]' gateway common |
        sed -E 's/^([^:]*):#include "(.*)"$/\1 \2/' | while read -r file included; do
        local own=${file#*/} other=${included%/*}
        own=$([[ $own == */* ]] && echo "${own%/*}" || echo server)
        [[ $included == */* ]] || other=server
        echo "$file $own $included $other"
    done
}

while read -r file own included other; do
    where="$file includes \"$included\""
    if [ -z "$(height "$other")" ] || [ -z "$(height "$own")" ]; then
        complain "$where: a folder without a height"
    elif [[ $file == common/* && " $folders_gateway " == *" $other:"* ]]; then
        complain "$where: common/ knows nothing of gateway/"
    elif [ "$own" != "$other" ] && [[ " $folders_common " != *" $other:"* || $file == common/* ]] && [ "$(height "$own")" -le "$(height "$other")" ]; then
        complain "$where, which has the same rank or a higher one"
    elif [[ $included == *internal.h && $own != "$other" ]]; then
        complain "$where, which is private to its folder"
    fi
done < <(includes)

# No circular includes: two modules (a source and its header) that need each other share their folder's internal.h.
circles=$(includes | while read -r file _ included _; do
    [[ $file != *internal.h && $included != *internal.h ]] || continue
    file=${file#*/}
    [ "${file%.*}" = "${included%.*}" ] || echo "${included%.*} ${file%.*}"
done | tsort 2>&1 >/dev/null | sed 's/^tsort: //')
[ -z "$circles" ] || complain "These need each other:" "$circles"

flat=$(find gateway -maxdepth 1 -name '*.c' | wc -l)
[ "$flat" -le 8 ] || complain "gateway/: $flat sources lie flat (at most 8)"
exit $bad
