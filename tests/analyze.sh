#!/bin/bash
# Looks for mistakes in gateway/ and common/ without running them: clang --analyze, gcc -fanalyzer and cppcheck, with the flags
# of the debug build. Prints what they found and fails if they found something. What is silenced has its reason beside it:
# in the source for one place, below for a kind of finding that means nothing in this code. Takes minutes.
#
#   tests/analyze.sh [clang|gcc|cppcheck]...   (default: all)
set -uo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/deploy/packages.sh"
cd "$top" || exit 1

tools=("$@")
[ ${#tools[@]} -gt 0 ] || tools=(clang gcc cppcheck)
# shellcheck disable=SC2086
packages_install $packages_build clang cppcheck jq
build=build/analyze
cmake --preset dev -B $build -G Ninja -DYUKIZURI_TESTS=OFF >/dev/null || die "cmake failed"
cmake --build $build --target assets.c scripts.c >/dev/null || die "the generated sources cannot be built"

# The database's commands for our sources, as lines: FILE, and the flags of preprocessor and language
commands() {
    jq -r '.[] | select(.file | test("/(gateway|common)/[^.]*\\.c$")) | "\(.file)\t\(.command)"' $build/compile_commands.json |
        while IFS=$'\t' read -r file command; do
            printf '%s\t%s\n' "$file" "$(grep -oE -- '(-D|-U|-I|-isystem )[^ ]+|-std=[^ ]+' <<<"$command" | sed 's/\\"/"/g' | tr '\n' ' ')"
        done
}

found=$(mktemp)
trap 'rm -f "$found"' EXIT
each() { # runs a compiler over each source
    commands | while IFS=$'\t' read -r file flags; do
        # shellcheck disable=SC2086
        "$@" $flags "$file" 2>&1
    done | tee -a "$found"
}

for tool in "${tools[@]}"; do
    printf '=== %s\n' "$tool"
    case $tool in
    # As .clang-tidy, which has the reasons: unix.Malloc loses track of items in intrusive lists, a va_list of a caller is not
    # uninitialized, and the functions of annex K do not exist in glibc.
    clang)
        each clang --analyze --analyzer-output text -Xclang -analyzer-disable-checker=unix.Malloc \
            -Xclang -analyzer-disable-checker=valist.Uninitialized \
            -Xclang -analyzer-disable-checker=security.insecureAPI.DeprecatedOrUnsafeBufferHandling
        ;;
    # Memory that callbacks own looks leaked to gcc 12, which sees one file at a time: LeakSanitizer judges that in each test.
    # Its state of a descriptor and of a pointer that may be NULL ends at calls it does not follow, and memory_new never returns NULL.
    gcc) each gcc -c -O1 -o /dev/null -fanalyzer -Wno-analyzer-malloc-leak -Wno-analyzer-possible-null-dereference -Wno-analyzer-possible-null-argument -Wno-analyzer-file-leak ;;
    cppcheck)
        # missingIncludeSystem: it knows the C library by a table of its own. varFuncNullUB: in C, glibc's NULL is a pointer, and
        # the compiler checks who ends a list with it (sentinel). The checks of style are clang-tidy's.
        cppcheck --quiet --inline-suppr --enable=warning,portability --std=c11 --library=posix --template=gcc \
            --suppress=missingIncludeSystem --suppress=varFuncNullUB -D_GNU_SOURCE '-DYUKIZURI_VERSION="0"' -I common -I gateway common gateway 2>&1 | tee -a "$found"
        ;;
    *) die "no such tool: $tool" ;;
    esac
done
[ ! -s "$found" ] || { printf '\nSomething was found.\n'; exit 1; }
printf '\nNothing was found.\n'
