# Common part of the checks in this folder, sourced in the project's top folder. Builds, starts a Redis and chooses a
# port. At the end the folder $run is removed and the processes in `pids` are ended.

cmake --preset release -G Ninja -DYUKIZURI_BENCH=ON >/dev/null
cmake --build --preset release >/dev/null
run=$(mktemp -d)
pids=()
finish() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -rf "$run"
}
trap finish EXIT

redis-server --port 0 --unixsocket "$run/redis.sock" --save '' --appendonly no >/dev/null &
pids+=($!)
port=$((20000 + RANDOM % 10000))

await_ready() {
    for _ in $(seq 300); do
        curl -sf -o /dev/null "http://127.0.0.1:$port/readyz" && return
        read -r -t 0.1 <> <(:) || true
    done
    echo "the gateway is not ready after half a minute" >&2
    return 1
}
