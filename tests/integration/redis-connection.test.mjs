// The connection to Redis: host names, passwords, TLS, and the reports of failures.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import http from "node:http";
import net from "node:net";
import path from "node:path";
import test from "node:test";
import { Gateway, Process, atEnd, binary, freePort, get, isReady, joined, metric, readyz, startGateway, startRedis, temporaryDirectory, unfit, until, untilReady } from "../lib/harness.mjs";
import { startSpoiledPath } from "../lib/redis-paths.mjs";

/** The log lines of a gateway about its Redis; waits for the first one. */
async function whyLost(t, url, env) {
  const gateway = await startGateway(t, { redis: url, ready: false, env: env && { ...process.env, ...env } });
  return until("it says why there is no Redis", () => gateway.log.find((line) => line.kind === "redis-lost"));
}

test("a start without Redis logs its address without the password, and that it keeps trying", async (t) => {
  const port = await freePort();
  const line = await whyLost(t, `redis://chat:s3cret@127.0.0.1:${port}/2`);
  assert.equal(line.message, `redis://127.0.0.1:${port}/2 has not been reached yet; trying again until it is there`);
  assert.equal(line.err, "Connection refused; nobody listens there");
  const redis = await startRedis(t, { port, shipped: false });
  const gateway = await startGateway(t, { redis });
  const up = await until("it says that Redis is there", () => gateway.log.find((entry) => entry.kind === "redis-up"));
  assert.match(up.message, new RegExp(`^redis://127\\.0\\.0\\.1:${port} is there: Redis \\d`));
});

test("missing TLS, unexpected TLS and a server that is not Redis are reported differently", async (t) => {
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
  assert.match(noTls, /^TLS was tried \(rediss\), and .+; if that port speaks no TLS, write "redis" for "rediss" in the URL$/);
  assert.match(wantsTls, /write "rediss" for "redis" in the URL$/);
  assert.match(httpAsTls, /^TLS: wrong version number; what listens there speaks no TLS: write "redis" for "rediss" in the URL, or name the port that does$/);
  assert.match(httpAsRedis, /^Redis sent what is not RESP; is it Redis that listens there\?$/);
  assert.match(unknown, /^TLS: certificate verify failed \(self-signed certificate\); .+ SSL_CERT_FILE/);
  assert.match(misnamed, /^TLS: certificate verify failed \(IP address mismatch\); /);
});

test("a changed password is read again: when Redis rejects the old one, and on SIGHUP", async (t) => {
  const redis = await startRedis(t, { shipped: false, args: ["--user", "chat", "on", ">first", "~*", "&*", "+@all"] });
  const file = path.join(temporaryDirectory(t), "password");
  fs.writeFileSync(file, "first\n");
  const gateway = await startGateway(t, { redis: `redis://chat@127.0.0.1:${redis.port}`, args: ["--redis-password-file", file] });
  const told = (kind) => gateway.log.filter((line) => line.kind === kind);
  redis.run("ACL", "SETUSER", "chat", "resetpass", ">second");
  redis.run("CLIENT", "KILL", "USER", "chat");
  await until("Redis refuses it", () => told("redis-error").some((line) => line.err.startsWith("WRONGPASS")));
  assert.notEqual((await readyz(gateway)).status, 200);
  fs.writeFileSync(file, "second\n");
  await untilReady(gateway);
  await until("it is told", () => told("redis-password").at(-1)?.message === "redis-password-file has another password; it is used from now on");
  fs.writeFileSync(file, "third\nfourth\n");
  gateway.signal("SIGHUP");
  await until("it says what is wrong with the file", () => told("redis-password").some((line) => /has more than one line/.test(line.err ?? "")));
  assert.equal((await readyz(gateway)).status, 200);
  assert.ok(!/first|second|third/.test(gateway.output), "no secret in a log");
});

test("the gateway accepts a password from a file and a database number, and reports a wrong password", async (t) => {
  const redis = await startRedis(t, { args: ["--user", "chat", "on", ">s3cret/pass", "~*", "&*", "+@all"] });
  const directory = temporaryDirectory(t);
  fs.writeFileSync(`${directory}/password`, "s3cret/pass\n");
  fs.writeFileSync(`${directory}/wrong`, "nope\n");
  const url = `redis://chat:x@127.0.0.1:${redis.port}/3`;
  const good = await startGateway(t, { redis: url, args: ["--redis-password-file", `${directory}/password`] });
  await joined(t, good.url, "alice");
  assert.equal(redis.run("-n", "3", "SCARD", "yukizuri:{lobby}:members"), "1");
  const bad = await startGateway(t, { redis: url, ready: false, args: ["--redis-password-file", `${directory}/wrong`] });
  await until("readyz says why", async () => /WRONGPASS .+; check the user in the URL, and redis-password-file\n$/.test((await readyz(bad)).body));
  assert.ok(!bad.output.includes("nope") && !good.output.includes("s3cret"), "no secret in a log");
});

test("a Redis that wants a password and is told none says where to put it", async (t) => {
  const redis = await startRedis(t, { shipped: false });
  redis.run("CONFIG", "SET", "requirepass", "s3cret");
  const line = await whyLost(t, `redis://127.0.0.1:${redis.port}`);
  assert.match(line.err, /NOAUTH .+; put its password into redis-password-file, and its user into the URL$/);
});

test("Redis may be a host name, and a name that does not resolve is reported", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis: redis.urlAt("localhost", redis.port) });
  await joined(t, gateway.url, "alice");
  const lost = await startGateway(t, { redis: "redis://no-such-host.invalid:6379", ready: false });
  await until("readyz says why", async () => /cannot resolve no-such-host\.invalid: /.test((await readyz(lost)).body));
  assert.equal((await get(`${lost.origin}/healthz`)).status, 200);
});

test("over TLS, a valid certificate of Redis is accepted and an unknown one is refused", async (t) => {
  const directory = temporaryDirectory(t);
  const openssl = (...args) => execFileSync("openssl", args, { cwd: directory, stdio: "pipe" });
  openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=test authority");
  openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "request.pem", "-subj", "/CN=localhost");
  fs.writeFileSync(`${directory}/names`, "subjectAltName=DNS:localhost\n");
  openssl("x509", "-req", "-in", "request.pem", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out", "cert.pem", "-days", "2", "-extfile", "names");
  const port = await freePort();
  await startRedis(t, { args: ["--tls-port", String(port), "--tls-cert-file", `${directory}/cert.pem`, "--tls-key-file", `${directory}/key.pem`, "--tls-ca-cert-file", `${directory}/ca.pem`, "--tls-auth-clients", "no"] });
  const url = `rediss://localhost:${port}`;
  const good = await startGateway(t, { redis: url, env: { ...process.env, SSL_CERT_FILE: `${directory}/ca.pem` } });
  const alice = await joined(t, good.url, "alice");
  alice.send({ type: "say", text: "hidden", nonce: "1" });
  await alice.waitFor({ type: "message", text: "hidden" });
  const bad = await startGateway(t, { redis: url, ready: false });
  await until("readyz says why", async () => /certificate verify failed/.test((await readyz(bad)).body));
});

test("unavailable TLS ends the start with a message, and nothing is sent in clear text", async (t) => {
  const directory = temporaryDirectory(t);
  fs.writeFileSync(`${directory}/openssl.cnf`, "openssl_conf=a\n[a]\nproviders=b\n[b]\nnull=c\n[c]\nactivate=1\n");
  let got = "";
  const server = net.createServer((socket) => socket.on("error", () => {}).on("data", (data) => (got += data)));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  atEnd(t, () => server.close());
  const gateway = new Gateway(t, await freePort(), ["--redis", `rediss://:s3cret@127.0.0.1:${server.address().port}`], { env: { ...process.env, OPENSSL_CONF: `${directory}/openssl.cnf` } });
  const { code } = await gateway.ended;
  assert.equal(code, 1);
  assert.match(gateway.errors, /^yukizuri: redis: TLS cannot be had .*\n$/);
  assert.equal(got, "");
});

test("a Redis that tells one connection which process it is, and hides it from the other one, is not taken for two", { skip: unfit("cluster", "the path leads to one server") }, async (t) => {
  const redis = await startRedis(t);
  const path = await startSpoiledPath(t, redis);
  let hidden = 0;
  path.change = (bytes) => (hidden === 0 && bytes.includes("\nrun_id:") ? (hidden++, Buffer.from(bytes.toString("latin1").replace("\nrun_id:", "\nnur_id:"), "latin1")) : bytes);
  const gateway = await startGateway(t, { redis: path.url });
  await (await joined(t, gateway.url, "alice")).say("hello");
  assert.deepEqual([hidden, await metric(gateway, "redis_lost_total")], [1, 0]);
});

test("behind a name with the addresses of a master and a replica, both connections return to the master, whichever one is closed", async (t) => {
  if (spawnSync("unshare", ["-m", "true"]).status !== 0) return t.skip("a private /etc/hosts needs a namespace of mounts");
  const master = await startRedis(t, { args: ["--bind", "127.0.0.2", "127.0.0.1"] });
  const replica = await startRedis(t, { args: ["--bind", "127.0.0.1", "--replicaof", "127.0.0.1", String(master.port), "--dir", temporaryDirectory(t)] });
  replica.run("CONFIG", "SET", "bind", "127.0.0.3 127.0.0.1");
  await until("it takes the master's port", () => /OK/.test(execFileSync("redis-cli", ["-h", "127.0.0.3", "-p", String(replica.port), "CONFIG", "SET", "bind", "127.0.0.3"], { encoding: "utf8" })));
  execFileSync("redis-cli", ["-h", "127.0.0.3", "-p", String(replica.port), "CONFIG", "SET", "port", String(master.port)]);
  const hosts = path.join(temporaryDirectory(t), "hosts");
  fs.writeFileSync(hosts, "127.0.0.1 localhost\n127.0.0.2 redis.test\n127.0.0.3 redis.test\n");
  const port = await freePort();
  const url = new URL(master.url);
  const gateway = new Process(t, "unshare", ["-m", "sh", "-c", `mount --bind ${hosts} /etc/hosts && exec "$0" "$@"`, binary, "--addr", `127.0.0.1:${port}`, "--redis", `redis://${url.username}:${url.password}@redis.test:${master.port}`]);
  const ready = () => until(() => `it is ready: ${gateway.output}${gateway.errors}`, () => isReady(port));
  await ready();
  for (const type of ["pubsub", "normal", "pubsub"]) {
    master.cut(type);
    await until("it has noticed", async () => (await readyz(port)).status === 503 || gateway.output.includes("redis-lost"));
    await ready();
  }
  assert.doesNotMatch(gateway.errors, /Sanitizer|runtime error/);
});
