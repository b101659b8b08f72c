// The command line, and the documentation that is generated from its table.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import test from "node:test";
import { binary, freePort, joined, startGateway, startRedis, temporaryDirectory } from "../lib/harness.mjs";
import { assertSays, clean, runBinary } from "../lib/command-line.mjs";

test("a max-message that is too small for max-text ends the start with both numbers and the remedy", () => {
  for (const args of [["--max-text", "5000"], ["--max-message", "20000"]]) {
    const { status, stderr } = spawnSync(binary, [...args, "--check-config"], { encoding: "utf8" });
    assert.equal(status, 2, stderr);
    assert.match(stderr, /^yukizuri: (--)?max-message: \d+ bytes do not hold .* max-text = \d+ .*; set max-message to \d+ or more, or max-text to \d+ or less\n$/);
  }
  const { status } = spawnSync(binary, ["--max-text", "5000", "--max-message", "60512", "--check-config"]);
  assert.equal(status, 0);
});

test("a wrong setting gives one clear line and exit status 2, before anything is opened", () => {
  for (const args of [["--nonsense"], ["--max-text", "x"], ["--addr", "nowhere"], ["--redis", "ftp://x"], ["--config", "/nonexistent"], ["stray"]]) {
    const { status, stdout, stderr } = runBinary(args);
    assert.equal(status, 2, args.join(" "));
    assert.equal(stdout, "");
    assert.match(stderr, /^yukizuri: [^\n]+\n$/);
  }
});

test("--version, --check-config and --help work in all their forms", () => {
  assert.match(runBinary(["--version"]).stdout, /^yukizuri \d+\.\d+\.\d+\n$/);
  const check = runBinary(["--check-config", "--ping", "9"]);
  assert.deepEqual([check.status, check.stdout], [0, "The settings are fine.\n"]);
  const help = runBinary(["--help"]);
  assert.equal(help.status, 0);
  for (const setting of ["addr", "redis", "retention", "leave-grace", "echo-path"]) assert.ok(help.stdout.includes(`--${setting} `), setting);
  assert.ok(help.stdout.split("\n").every((line) => line.length <= 100));
  for (const form of ["markdown", "man", "man5", "bash"]) assert.ok(help.stdout.includes(`--help=${form}`), form);
  assert.match(runBinary(["--help=man"]).stdout, /^\.TH YUKIZURI 8/);
  assert.match(runBinary(["--help=man5"]).stdout, /^\.TH YUKIZURI\.CONF 5/);
  assert.match(runBinary(["--help=bash"]).stdout, /^complete -W '.*--max-text.*' yukizuri\n$/);
});

test("every setting of the contract has its three spellings", async (t) => {
  const directory = temporaryDirectory(t);
  const file = path.join(directory, "settings");
  fs.writeFileSync(file, "# comment\nroom = tea\nshow-address = off\n");
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--config", file, "-logging=true"] });
  const alice = await joined(t, gateway.url, "alice");
  assert.equal(alice.welcome.room, "tea");
  assert.equal(alice.welcome.me.address, undefined);
});

test("every wrong setting is reported with the fault, its place and the remedy", async (t) => {
  const directory = temporaryDirectory(t);
  const file = (name, text) => {
    fs.writeFileSync(path.join(directory, name), text);
    return path.join(directory, name);
  };
  assertSays(["--durability", "replica"], /--durability: the private Redis has no replica that could confirm anything: name another one with redis, or leave this out/);
  assertSays(["--durability", "replica", "--redis", "redis-cluster://127.0.0.1:1"], /--durability: in a cluster no replica is asked: name a server or Sentinels with redis, or leave this out/);
  assertSays(["--durability", "both"], /--durability: "both" /);
  assertSays(["--addr", `unix:/${"x".repeat(107)}`], /--addr: ".+" has too long a path: a unix socket's has 107 bytes at most/);
  assertSays(["--addr", "example.com"], /--addr: "example\.com" has no port: write :PORT, HOST:PORT/);
  assertSays(["--addr", "::1"], /without a port: write \[V6\]:PORT/);
  assertSays(["--redis", `unix:/${"x".repeat(107)}`], /--redis: the path is too long: a unix socket's has 107 bytes at most/);
  assertSays(["--log-text", "maybe"], /--log-text: "maybe" is neither true nor false \(yes or no, on or off, 1 or 0\)/);
  assertSays(["--lease", "10s"], /--lease: "10s" is not a number from 1 to 3600 \(SECONDS, without a unit\)/);
  assertSays(["--log-file", "--ping", "9"], /--log-file needs a value, and "--ping" is the next setting/);
  assertSays(["--workers", "2", "--addr", "unix:x"], /--workers: only one gateway can listen on a path/);
  assertSays(["--check-config", "--config", file("bad", "# c\nping = 9\n\nretention = ten # minutes\n")], /bad:4: retention: "ten" is not a number from 0 to 86400/);
  assertSays(["--check-config", "--config", file("twice", "ping = 9\nping = 8\n")], /twice:2: ping: stands on line 1 already; leave one out/);
  assertSays(["--check-config", "--config", file("name", "MAX_TEXT = 9\n")], /name:1: unknown setting "MAX_TEXT"; is max-text meant\?/);
  assertSays(["--check-config", "--config", directory], /cannot read .+: Is a directory/);
  assertSays(["--check-config"], /YUKIZURI_PING: "soon" is not a number/, { env: { YUKIZURI_PING: "soon" } });
  const redis = ["--check-config", "--redis", "redis://h", "--redis-password-file"];
  assertSays([...redis, file("long", "x".repeat(600))], /long has a longer line than a password may be: 255 bytes at most/);
  assertSays([...redis, file("lines", "one\ntwo\n")], /lines has more than one line: the password is its only line/);
  assertSays([...redis, file("empty", "\n")], /empty is empty: the password is its only line/);
  assertSays([...redis, directory], /redis-password-file: cannot read .+: Is a directory/);
  assertSays(["--check-config", "--redis-password-file", file("pw", "secret")], /the private Redis has no password/);
  assertSays(["--check-config", "--redis", "redis://:se/cret@h"], /--redis: a '\/' in the user or password is written as %2F/);
});

test("allowed but unlikely settings cause a warning, and the gateway starts", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--retention", "5", "--leave-grace", "10"] });
  assert.match(gateway.errors, /^yukizuri: --retention: retention \(5 s\) is shorter than leave-grace \(10 s\): who comes back in between is still there for the others, and has missed messages\n$/);
  await joined(t, gateway.url, "alice");
  for (const [args, warning] of [
    [["--logging=false", "--log-file", "/x"], /--log-file: has no effect: logging is false/],
    [["--trusted-proxy", "0.0.0.0/0"], /--trusted-proxy: "0\.0\.0\.0\/0" is everybody/],
    [["--addr", "127.0.0.1:0"], /--addr: "127\.0\.0\.1:0" has port 0: the system chooses one, and nobody is told which/],
    [["--addr-mode", "0600"], /--addr-mode: has no effect: no addr is a unix:PATH/],
  ]) {
    const { status, stderr } = runBinary(["--check-config", ...args]);
    assert.equal(status, 0);
    assert.match(stderr, warning);
  }
});

test("--help is right about BOOL, quotes, comments and empty variables", async (t) => {
  const file = path.join(temporaryDirectory(t), "settings");
  const help = runBinary(["--help"]).stdout;
  assert.match(help, /BOOL is true or false, also written yes or no, on or off, 1 or 0; --log-text alone is\n--log-text true\. An empty environment variable is ignored\. In the file a value may\nbe in quotes, and # begins a comment\./);
  for (const word of ["true", "false", "yes", "no", "on", "off", "1", "0"]) assert.equal(runBinary(["--check-config", "--log-text", word]).status, 0, word);
  assert.equal(runBinary(["--check-config", "--log-text", "--ping", "9"]).status, 0);
  assert.equal(runBinary(["--check-config"], { env: { YUKIZURI_PING: "", YUKIZURI_ADDR: "", YUKIZURI_CONFIG: "" } }).status, 0);
  fs.writeFileSync(file, "\ufeff# ours\r\n\r\nroom = \"tea\" # quiet\r\n\tlogging='on'\r\nping = 9 # often\r\n");
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--config", file] });
  assert.equal((await joined(t, gateway.url, "alice")).welcome.room, "tea");
});

test("a limit of open files that is too low is reported with its number", async () => {
  // In the foreground: else `timeout` sends SIGCONT as well, which undoes the stop that LeakSanitizer's tracer waits for.
  const limited = (limit) => spawnSync("sh", ["-c", `ulimit -n ${limit}; exec timeout --foreground -s INT 2 "$0" "$@"`, binary, "--redis", "redis://127.0.0.1:1", "--logging", "false", "--addr", `127.0.0.1:${port}`], { encoding: "utf8", env: clean });
  const port = await freePort();
  assert.match(limited(300).stderr, /^yukizuri: the limit of open files is 300, which leaves 236 for connections, and not 1000; raise it: ulimit -n, LimitNOFILE=/);
  const low = limited(64);
  assert.equal(low.status, 2);
  assert.match(low.stderr, /the limit of open files is 64, and a gateway needs 64 for itself; raise it/);
});
