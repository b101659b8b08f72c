// The addresses on which a gateway listens, and its reports when it cannot.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import net from "node:net";
import path from "node:path";
import test from "node:test";
import { Gateway, Process, atEnd, binary, freePort, get, joined, startGateway, startRedis, temporaryDirectory, until } from "../lib/harness.mjs";
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
