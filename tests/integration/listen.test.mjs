// The addresses on which a gateway listens, and its reports when it cannot.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import net from "node:net";
import path from "node:path";
import test from "node:test";
import { Gateway, Process, atEnd, binary, childrenOf, freePort, get, isReady, joined, startGateway, startRedis, temporaryDirectory, until } from "../lib/harness.mjs";
import { assertSays, runBinary } from "../lib/command-line.mjs";

test("a second start with a private Redis on the same port ends with one clear line", async (t) => {
  const first = await startGateway(t, {});
  const second = new Gateway(t, first.port, []);
  assert.deepEqual(await second.ended, { code: 1, signal: null });
  assert.match(second.errors, /^yukizuri: cannot listen on .*in use; stop what listens there .+\n$/);
});

test("a port that another program uses is reported in one line", async (t) => {
  const redis = await startRedis(t); // its port is taken without SO_REUSEPORT
  const { status, stderr } = runBinary(["--addr", `127.0.0.1:${redis.port}`, "--redis", redis.url]);
  assert.equal(status, 1);
  assert.match(stderr, /^yukizuri: cannot listen on 127\.0\.0\.1:\d+: Address already in use; stop what listens there [^\n]+\n$/);
});

test("a gateway listens on each address of a host name", async (t) => {
  if (spawnSync("unshare", ["-m", "true"]).status !== 0) return t.skip("a private /etc/hosts needs a namespace of mounts");
  const hosts = path.join(temporaryDirectory(t), "hosts");
  fs.writeFileSync(hosts, "127.0.0.1 localhost\n::1 localhost\n127.0.0.1 localhost again\n192.0.2.1 localhost\n");
  const port = await freePort();
  const gateway = new Process(t, "unshare", ["-m", "sh", "-c", `mount --bind ${hosts} /etc/hosts && exec "$0" "$@"`, binary, "--redis", "redis://127.0.0.1:1", "--addr", `localhost:${port}`]);
  for (const host of ["127.0.0.1", "[::1]"]) await until(`${host} answers: ${gateway.errors}`, async () => (await get(`http://${host}:${port}/healthz`).catch(() => null))?.status === 200);
  assert.deepEqual(await gateway.stop("SIGINT"), { code: 0, signal: null });
});

test("an unusable address is reported with the remedy", async (t) => {
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

/** A socket file that a dead process left behind. */
async function leaveStale(where) {
  const left = new Process({ after: () => {} }, "python3", ["-c", "import socket,sys\ns=socket.socket(socket.AF_UNIX);s.bind(sys.argv[1])", where]);
  await left.ended;
}

test("of several gateways that start at once on one path, one gets it and the others report that it is taken", async (t) => {
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

test("a draining gateway releases its path, and does not remove its successor's socket", async (t) => {
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
    await until(() => `the one is ready: ${first.errors}${first.output}`, async () => (await get(`http://127.0.0.1:${port}/readyz`).catch(() => null))?.status === 200);
    assert.deepEqual(await first.stop("SIGINT"), { code: 0, signal: null });
  }
});

/** A service manager that opens a port and a path, and hands them to a gateway for each line that it reads. */
const MANAGER = `use Socket; $^F = 9; $| = 1; my ($port, $path) = splice @ARGV, 0, 2;
  socket(my $tcp, PF_INET, SOCK_STREAM, 0); bind($tcp, sockaddr_in($port, INADDR_LOOPBACK)) && listen($tcp, 64) or die $!;
  socket(my $unix, PF_UNIX, SOCK_STREAM, 0); bind($unix, sockaddr_un($path)) && listen($unix, 64) or die $!;
  while (<STDIN>) { my $pid = fork; $pid or $ENV{LISTEN_PID} = $$, $ENV{LISTEN_FDS} = 2, exec @ARGV; waitpid $pid, 0; print "status $?\n" }`;

test("sockets that the service manager has opened serve in place of the default address, stay, and keep who comes until the next process", async (t) => {
  const redis = await startRedis(t);
  const port = await freePort();
  const socketPath = `${temporaryDirectory(t)}/socket`;
  const command = [binary, "--redis", redis.url, "--drain", "0", "--drain-delay", "0"];
  const manager = new Process(t, "perl", ["-e", MANAGER, port, socketPath, ...command], { stdio: ["pipe", "pipe", "pipe"] });
  const endChildren = (signal) => childrenOf(manager.pid).forEach((pid) => process.kill(pid, signal));
  atEnd(t, () => endChildren("SIGKILL"));
  const stopGateway = async (count) => {
    endChildren("SIGTERM");
    await until(() => `it has ended: ${manager.output}`, () => manager.output.split("status 0\n").length > count);
  };
  manager.child.stdin.write("start\n");
  await until(() => `both answer: ${manager.errors}${manager.output}`, async () => (await isReady(port)) && (await get("http://gateway/readyz", { socketPath })).status === 200);
  assert.match(manager.output, new RegExp(`message:listening on 127\\.0\\.0\\.1:${port}, listening on unix:${socketPath};`));
  const alice = await joined(t, `ws://127.0.0.1:${port}/room`, "alice");
  await stopGateway(1);
  await until("she was told to go", () => alice.closed);
  assert.ok(fs.existsSync(socketPath), "the path is the manager's");
  const early = [net.connect({ path: socketPath }), net.connect({ port, host: "127.0.0.1" })];
  const answers = early.map((socket) => once(socket.on("connect", () => socket.write("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")), "data"));
  await Promise.all(early.map((socket) => once(socket, "connect")));
  manager.child.stdin.write("start\n");
  for (const [data] of await Promise.all(answers)) assert.match(String(data), /^HTTP\/1\.1 200 /);
  for (const socket of early) socket.destroy();
  await stopGateway(2);
});

test("what is no listening socket is refused in one line, and sockets for another process are left alone", async (t) => {
  const redis = await startRedis(t);
  const handed = (variables) => spawnSync("sh", ["-c", `${variables} exec "$0" "$@" 3</dev/null`, binary, "--redis", redis.url, "--addr", "unix:/nonexistent/socket"], { encoding: "utf8" });
  const refused = handed("LISTEN_PID=$$ LISTEN_FDS=1");
  assert.equal(refused.status, 2);
  assert.match(refused.stderr, /^yukizuri: LISTEN_FDS: descriptor 3 is not a listening stream socket; a \.socket unit needs ListenStream= and Accept=no\n$/);
  assert.match(handed("LISTEN_PID=1 LISTEN_FDS=1").stderr, /the directory \/nonexistent cannot be read/);
});
