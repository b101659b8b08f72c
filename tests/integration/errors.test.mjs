// What an operator has got wrong is said so that it can be put right: what happened, where, and what to do.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import http from "node:http";
import net from "node:net";
import path from "node:path";
import test from "node:test";
import { Process, atEnd, binary, freePort, get, joined, startGateway, startRedis, temporaryDirectory, until } from "../lib/harness.mjs";

const clean = { PATH: process.env.PATH };
const run = (args, { env = {}, ...more } = {}) => spawnSync(binary, args, { encoding: "utf8", env: { ...clean, ...env }, timeout: 20000, ...more });

function assertSays(args, pattern, { env, status = 2 } = {}) {
  const ended = run(args, { env });
  assert.equal(ended.status, status, `${args.join(" ")}: ${ended.stderr}`);
  assert.match(ended.stderr, /^(yukizuri: [^\n]+\n)+$/, args.join(" "));
  assert.match(ended.stderr, pattern, args.join(" "));
}

/** What a gateway says of its Redis, once it has said something. */
async function whyLost(t, url, env) {
  const gateway = await startGateway(t, { redis: url, ready: false, env: env && { ...process.env, ...env } });
  return until("it says why there is no Redis", () => gateway.log.find((line) => line.kind === "redis-lost"));
}

// --- The settings ---

test("every wrong setting is told by what is wrong, where it stands, and what to do", async (t) => {
  const directory = temporaryDirectory(t);
  const file = (name, text) => {
    fs.writeFileSync(path.join(directory, name), text);
    return path.join(directory, name);
  };
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

test("what is allowed and hardly meant is warned about, and started", async (t) => {
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
    const { status, stderr } = run(["--check-config", ...args]);
    assert.equal(status, 0);
    assert.match(stderr, warning);
  }
});

test("what --help says of BOOL, of quotes, comments and empty variables is so", async (t) => {
  const file = path.join(temporaryDirectory(t), "settings");
  const help = run(["--help"]).stdout;
  assert.match(help, /BOOL is true or false, also written yes or no, on or off, 1 or 0; --log-text alone is\n--log-text true\. An empty environment variable is as good as none\. In the file a value\nmay stand in quotes, and # begins a comment\./);
  for (const word of ["true", "false", "yes", "no", "on", "off", "1", "0"]) assert.equal(run(["--check-config", "--log-text", word]).status, 0, word);
  assert.equal(run(["--check-config", "--log-text", "--ping", "9"]).status, 0);
  assert.equal(run(["--check-config"], { env: { YUKIZURI_PING: "", YUKIZURI_ADDR: "", YUKIZURI_CONFIG: "" } }).status, 0);
  fs.writeFileSync(file, "\ufeff# ours\r\n\r\nroom = \"tea\" # quiet\r\n\tlogging='on'\r\nping = 9 # often\r\n");
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--config", file] });
  assert.equal((await joined(t, gateway.url, "alice")).welcome.room, "tea");
});

test("a limit of open files that is too low is told with its number", async () => {
  const limited = (limit) => spawnSync("sh", ["-c", `ulimit -n ${limit}; exec timeout -s INT 2 "$0" "$@"`, binary, "--redis", "redis://127.0.0.1:1", "--logging", "false", "--addr", `127.0.0.1:${port}`], { encoding: "utf8", env: clean });
  const port = await freePort();
  assert.match(limited(300).stderr, /^yukizuri: the limit of open files is 300, which leaves 236 for connections, and not 1000; raise it: ulimit -n, LimitNOFILE=/);
  const low = limited(64);
  assert.equal(low.status, 2);
  assert.match(low.stderr, /the limit of open files is 64, and a gateway needs 64 for itself; raise it/);
});

// --- The log ---

test("where the log cannot go is said by name", async (t) => {
  const directory = temporaryDirectory(t);
  const port = await freePort();
  assertSays(["--addr", `127.0.0.1:${port}`, "--log-file", directory], /log-file: cannot open .+: Is a directory/);
  const closed = spawnSync("sh", ["-c", `exec "$0" "$@" >&-`, binary, "--addr", `127.0.0.1:${port}`], { encoding: "utf8", env: clean, timeout: 20000 });
  assert.doesNotMatch(closed.stderr, /null/);
  assert.match(closed.stderr, /standard output/);
});

// --- Where to listen ---

test("a name is listened on at each of its addresses", async (t) => {
  if (spawnSync("unshare", ["-m", "true"]).status !== 0) return t.skip("a private /etc/hosts needs a namespace of mounts");
  const hosts = path.join(temporaryDirectory(t), "hosts");
  fs.writeFileSync(hosts, "127.0.0.1 localhost\n::1 localhost\n127.0.0.1 localhost again\n192.0.2.1 localhost\n");
  const port = await freePort();
  const gateway = new Process(t, "unshare", ["-m", "sh", "-c", `mount --bind ${hosts} /etc/hosts && exec "$0" "$@"`, binary, "--redis", "redis://127.0.0.1:1", "--addr", `localhost:${port}`]);
  for (const host of ["127.0.0.1", "[::1]"]) await until(`${host} answers: ${gateway.errors}`, async () => (await get(`http://${host}:${port}/healthz`).catch(() => null))?.status === 200);
  assert.deepEqual(await gateway.stop("SIGINT"), { code: 0, signal: null });
});

test("an address that cannot be had is told with what to do", async (t) => {
  const directory = temporaryDirectory(t);
  const at = (addr) => ["--redis", "redis://127.0.0.1:1", "--addr", addr];
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  atEnd(t, () => server.close());
  assertSays(at(`127.0.0.1:${server.address().port}`), /Address already in use; stop what listens there \(ss -ltnp shows it\), or choose another port/, { status: 1 });
  assertSays(at("192.0.2.1:8080"), /cannot listen on 192\.0\.2\.1:8080: Cannot assign requested address; it is no address of this machine/, { status: 1 });
  assertSays(at("no-such-host.invalid:8080"), /cannot listen on no-such-host\.invalid:8080: the host name cannot be resolved: .+; see \/etc\/hosts/, { status: 1 });
  assertSays(at("unix:/nonexistent/socket"), /the directory \/nonexistent cannot be read: No such file or directory/, { status: 1 });
  fs.writeFileSync(path.join(directory, "file"), "mine");
  assertSays(at(`unix:${directory}/file`), /there is a file that is no socket; remove it, or choose another path/, { status: 1 });
  assert.equal(fs.readFileSync(path.join(directory, "file"), "utf8"), "mine");
});

/** A socket that a dead process left. */
async function leaveStale(where) {
  const left = new Process({ after: () => {} }, "python3", ["-c", "import socket,sys\ns=socket.socket(socket.AF_UNIX);s.bind(sys.argv[1])", where]);
  await left.ended;
}

test("of gateways that start at once on one path one has it, and the others say that it is taken", async (t) => {
  const redis = await startRedis(t);
  const directory = temporaryDirectory(t);
  for (let round = 0; round < 3; round++) {
    const where = path.join(directory, `s${round}`);
    await leaveStale(where);
    const gateways = [0, 1, 2, 3].map((i) => new Process(t, binary, ["--addr", `unix:${where}`, "--redis", redis.url, "--gateway-id", `r${round}-${i}`]));
    await until("all but one have ended", () => gateways.filter((gateway) => gateway.running).length === 1);
    for (const gateway of gateways.filter((one) => !one.running)) {
      assert.equal((await gateway.ended).code, 1);
      assert.match(gateway.errors, /^yukizuri: cannot listen on unix:.+: another process listens there; stop it first, or choose another path\n$/);
    }
    await until("the one is ready", async () => (await get("http://gateway/readyz", { socketPath: where }).catch(() => null))?.status === 200);
    await gateways.find((gateway) => gateway.running).stop("SIGINT");
    assert.ok(!fs.existsSync(where), "its path is gone with it");
  }
});

test("a gateway that drains gives its path to its successor, and leaves it to that", async (t) => {
  const redis = await startRedis(t);
  const where = path.join(temporaryDirectory(t), "socket");
  const old = await startGateway(t, { redis, args: ["--addr", `unix:${where}`, "--drain", "30"] });
  assert.equal(fs.statSync(where).mode & 0o7777, 0o660);
  const stays = await joined(t, old.url, "alice");
  old.signal("SIGTERM");
  await stays.waitFor({ type: "reconnect" });
  await until("the path is given up", () => !fs.existsSync(where));
  const next = await startGateway(t, { redis, args: ["--addr", `unix:${where}`, "--addr-mode", "0606"] });
  assert.equal(fs.statSync(where).mode & 0o7777, 0o606);
  await old.stop("SIGTERM");
  assert.equal((await get("http://gateway/readyz", { socketPath: where })).status, 200);
  await next.stop("SIGINT");
  assert.ok(!fs.existsSync(where));
});

test("two chats with workers and a private Redis each do not share a port", async (t) => {
  for (let round = 0; round < 2; round++) {
    const port = await freePort();
    const chats = [0, 1, 2].map(() => new Process(t, binary, ["--workers", "2", "--addr", `127.0.0.1:${port}`]));
    await until("all but one have ended", () => chats.filter((chat) => chat.running).length === 1);
    for (const chat of chats.filter((one) => !one.running)) assert.match(chat.errors, /cannot listen on 127\.0\.0\.1:\d+: /);
    const [first] = chats.filter((chat) => chat.running);
    await until(() => `the one is ready: ${first.errors}${first.output}`, async () => (await get(`http://127.0.0.1:${port}/readyz`).catch(() => null))?.status === 200, 30000);
    assert.deepEqual(await first.stop("SIGINT"), { code: 0, signal: null });
  }
});

// --- Redis ---

test("a start without Redis says where it was looked for, without the password, and that it goes on", async (t) => {
  const port = await freePort();
  const line = await whyLost(t, `redis://chat:s3cret@127.0.0.1:${port}/2`);
  assert.equal(line.message, `redis://127.0.0.1:${port}/2 has not been reached yet; trying again until it is there`);
  assert.equal(line.err, "Connection refused; nobody listens there");
  const redis = await startRedis(t, { port, shipped: false });
  const gateway = await startGateway(t, { redis });
  const up = await until("it says that Redis is there", () => gateway.log.find((entry) => entry.kind === "redis-up"));
  assert.match(up.message, new RegExp(`^redis://127\\.0\\.0\\.1:${port} is there: Redis \\d`));
});

test("TLS where there is none, none where there is TLS, and what is no Redis are told apart", async (t) => {
  const directory = temporaryDirectory(t);
  const openssl = (...args) => execFileSync("openssl", args, { cwd: directory, stdio: "pipe" });
  openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost");
  const tls = await freePort();
  const redis = await startRedis(t, { shipped: false, args: ["--tls-port", String(tls), "--tls-cert-file", `${directory}/cert.pem`, "--tls-key-file", `${directory}/key.pem`, "--tls-ca-cert-file", `${directory}/cert.pem`, "--tls-auth-clients", "no"] });
  const other = http.createServer((request, response) => response.end()).listen(0, "127.0.0.1");
  await once(other, "listening");
  atEnd(t, () => other.close());
  const lines = await Promise.all([
    whyLost(t, `rediss://127.0.0.1:${redis.port}`),
    whyLost(t, `redis://127.0.0.1:${tls}`),
    whyLost(t, `rediss://127.0.0.1:${other.address().port}`),
    whyLost(t, `redis://127.0.0.1:${other.address().port}`),
    whyLost(t, `rediss://localhost:${tls}`),
    whyLost(t, `rediss://127.0.0.1:${tls}`, { SSL_CERT_FILE: `${directory}/cert.pem` }),
  ]);
  const [noTls, wantsTls, httpAsTls, httpAsRedis, unknown, misnamed] = lines.map((line) => line.err);
  assert.match(noTls, /^TLS was tried \(rediss:\/\/\), and .+; if that port speaks no TLS, write redis:\/\/$/);
  assert.match(wantsTls, /write rediss:\/\/$/);
  assert.match(httpAsTls, /^TLS: wrong version number; what listens there speaks no TLS: write redis:\/\//);
  assert.match(httpAsRedis, /^Redis sent what is not RESP; is it Redis that listens there\?$/);
  assert.match(unknown, /^TLS: certificate verify failed \(self-signed certificate\); .+ SSL_CERT_FILE/);
  assert.match(misnamed, /^TLS: certificate verify failed \(IP address mismatch\); /);
});

test("a gateway without a free descriptor says that, and not that a thread is missing", async (t) => {
  const redis = await startRedis(t, { shipped: false });
  const gateway = await startGateway(t, { redis });
  const socket = net.connect(gateway.port, "127.0.0.1");
  let answer = "";
  socket.on("data", (data) => (answer += data));
  atEnd(t, () => socket.destroy());
  const ask = async () => {
    answer = "";
    socket.write("GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n");
    await until("an answer", () => /\r\n\r\n[^]/.test(answer));
    return answer;
  };
  assert.match(await ask(), / 200 /);
  await redis.stop("SIGKILL");
  await until("it has noticed", async () => / 503 /.test(await ask()));
  const limit = (most) => execFileSync("prlimit", ["--pid", String(gateway.pid), `--nofile=${most}:${before}`]);
  const before = execFileSync("prlimit", ["--pid", String(gateway.pid), "--nofile", "--noheadings", "--output", "HARD"], { encoding: "utf8" }).trim();
  let least = Infinity; // some are in use for a moment only: for the next attempt
  const leaveNone = () => {
    const used = new Set(fs.readdirSync(`/proc/${gateway.pid}/fd`).map(Number));
    let free = 0;
    while (used.has(free)) free++;
    least = Math.min(least, free);
    limit(least);
  };
  await until(() => `it says what is missing: ${answer}`, async () => {
    leaveNone();
    return /Too many open files; no descriptor is free: raise the limit of open files/.test(await ask());
  });
  limit(before);
});

test("a password that was changed is read again: when Redis refuses the old one, and on SIGHUP", async (t) => {
  const redis = await startRedis(t, { shipped: false, args: ["--user", "chat", "on", ">first", "~*", "&*", "+@all"] });
  const file = path.join(temporaryDirectory(t), "password");
  fs.writeFileSync(file, "first\n");
  const gateway = await startGateway(t, { redis: `redis://chat@127.0.0.1:${redis.port}`, args: ["--redis-password-file", file] });
  const told = (kind) => gateway.log.filter((line) => line.kind === kind);
  redis.run("ACL", "SETUSER", "chat", "resetpass", ">second");
  redis.run("CLIENT", "KILL", "USER", "chat");
  await until("Redis refuses it", () => told("redis-error").some((line) => line.err.startsWith("WRONGPASS")));
  assert.notEqual((await get(`${gateway.origin}/readyz`)).status, 200);
  fs.writeFileSync(file, "second\n");
  await until("it is back", async () => (await get(`${gateway.origin}/readyz`)).status === 200);
  assert.equal(told("redis-password").at(-1).message, "redis-password-file has another password; it is used from now on");
  fs.writeFileSync(file, "third\nfourth\n");
  gateway.signal("SIGHUP");
  await until("it says what is wrong with the file", () => told("redis-password").some((line) => /has more than one line/.test(line.err ?? "")));
  assert.equal((await get(`${gateway.origin}/readyz`)).status, 200);
  assert.ok(!/first|second|third/.test(gateway.output), "no secret in a log");
});
