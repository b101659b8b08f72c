// Redis that is not there, goes away, comes back, or forgets.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import test from "node:test";
import { atEnd, Member, freePort, get, joined, startGateway, startRedis, temporaryDirectory, until } from "../lib/harness.mjs";

test("Redis not there at the start: the page loads, join answers unavailable, and it works 2 s after Redis came", async (t) => {
  const port = await freePort();
  const gateway = await startGateway(t, { redis: `redis://127.0.0.1:${port}`, ready: false });
  assert.equal((await get(gateway.origin)).status, 200);
  const notReady = await get(`${gateway.origin}/readyz`);
  assert.equal(notReady.status, 503);
  assert.match(notReady.body, /Redis cannot be reached: .*refused/i);
  const early = await new Member(t, gateway.url).opened();
  early.send({ type: "join", name: "alice" });
  assert.ok((await early.waitFor({ type: "error", code: "unavailable" })).retry_after > 0);
  await startRedis(t, { port });
  const from = Date.now();
  await until("readyz is 200", async () => (await get(`${gateway.origin}/readyz`)).status === 200, 2000);
  await early.join("alice").catch(() => early.waitFor({ type: "welcome" }));
  assert.ok(Date.now() - from < 2000 + 500, `${Date.now() - from} ms`);
});

test("Redis gone and back: say answers unavailable, nothing restarts, everything works again within 2 s", async (t) => {
  const redis = await startRedis(t);
  const gateways = [await startGateway(t, { redis }), await startGateway(t, { redis })];
  const alice = await joined(t, gateways[0].url, "alice");
  const bob = await joined(t, gateways[1].url, "bob");
  alice.send({ type: "say", text: "before", nonce: "0" });
  await bob.waitFor({ type: "message", text: "before" });
  await redis.stop("SIGKILL");
  await until("readyz is 503", async () => (await get(`${gateways[0].origin}/readyz`)).status === 503);
  assert.equal((await get(`${gateways[0].origin}/healthz`)).status, 200);
  assert.equal((await get(gateways[0].origin)).status, 200);
  alice.send({ type: "say", text: "lost?", nonce: "1" });
  const error = await alice.waitFor({ type: "error", code: "unavailable" });
  assert.equal(error.nonce, "1");
  await startRedis(t, { port: redis.port });
  await until("both are ready", async () => (await Promise.all(gateways.map((g) => get(`${g.origin}/readyz`)))).every((a) => a.status === 200), 2000);
  const from = Date.now();
  alice.send({ type: "say", text: "after", nonce: "1" });
  await bob.waitFor({ type: "message", text: "after" }, 2000);
  assert.ok(Date.now() - from < 2000);
  assert.equal(alice.closed, null);
  assert.equal(bob.closed, null);
  // Redis came back empty: the members are put back, and everybody is told that something may be missing
  await until("the list is right", () => redis.lines("SMEMBERS", "yukizuri:{lobby}:members").sort().join() === "alice,bob");
  await bob.waitFor({ type: "gap", missed: 0 });
  assert.equal(bob.received.filter((m) => m.type === "gap").length, 1, "told once");
  for (const gateway of gateways) {
    assert.equal(gateway.log.filter((line) => line.kind === "redis-lost").length, 1, "one line for the outage");
    assert.equal(gateway.log.filter((line) => line.kind === "redis-up").length, 2);
  }
});

test("a cut subscriber connection: what passed meanwhile is filled in from the stream, in order", async (t) => {
  const redis = await startRedis(t);
  const gateways = [await startGateway(t, { redis, args: ["--rate", "0"] }), await startGateway(t, { redis, args: ["--rate", "0"] })];
  const alice = await joined(t, gateways[0].url, "alice");
  const bob = await joined(t, gateways[1].url, "bob");
  for (let round = 0; round < 5; round++) {
    redis.run("CLIENT", "KILL", "TYPE", "pubsub");
    for (let i = 0; i < 100; i++) alice.send({ type: "say", text: `${round}-${i}`, nonce: `${round}-${i}` });
    await bob.waitFor({ type: "message", text: `${round}-99` });
  }
  const wanted = Array.from({ length: 500 }, (_, i) => `${Math.floor(i / 100)}-${i % 100}`);
  for (const member of [alice, bob]) {
    await until("all have come", () => member.messages().length >= 500);
    assert.deepEqual(member.messages().map((m) => m.text), wanted);
    assert.ok(!member.find({ type: "gap" }));
  }
});

test("SCRIPT FLUSH and a killed command connection harm nothing", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--rate", "0"] });
  const alice = await joined(t, gateway.url, "alice");
  redis.run("SCRIPT", "FLUSH");
  for (let i = 0; i < 10; i++) alice.send({ type: "say", text: `${i}`, nonce: `${i}` });
  await alice.waitFor({ type: "ack", nonce: "9" });
  assert.deepEqual(alice.messages().map((m) => m.text).sort(), Array.from({ length: 10 }, (_, i) => `${i}`));
  redis.run("CLIENT", "KILL", "TYPE", "normal");
  await alice.insist("again");
  await alice.waitFor({ type: "message", text: "again" });
  assert.equal(alice.messages().filter((m) => m.text === "again").length, 1, "a repeated nonce shows once");
});

test("repeating a say with the same nonce, also through another gateway, shows once", async (t) => {
  const redis = await startRedis(t);
  const gateways = [await startGateway(t, { redis }), await startGateway(t, { redis })];
  const bob = await joined(t, gateways[0].url, "bob");
  const alice = await joined(t, gateways[0].url, "alice");
  alice.send({ type: "say", text: "once", nonce: "n" });
  const ack = await alice.waitFor({ type: "ack" });
  alice.socket.terminate();
  const again = await joined(t, gateways[1].url, "alice", { resume: alice.welcome.resume });
  again.send({ type: "say", text: "once", nonce: "n" });
  assert.equal((await again.waitFor({ type: "ack" })).seq, ack.seq);
  again.send({ type: "say", text: "and then", nonce: "m" });
  await bob.waitFor({ type: "message", text: "and then" });
  assert.deepEqual(bob.messages().map((m) => m.text), ["once", "and then"]);
});

test("retention 0 keeps nothing in Redis, and holes become exact gaps", async (t) => {
  const redis = await startRedis(t);
  const gateways = [await startGateway(t, { redis, args: ["--retention", "0"] }), await startGateway(t, { redis, args: ["--retention", "0"] })];
  const alice = await joined(t, gateways[0].url, "alice");
  const bob = await joined(t, gateways[1].url, "bob");
  alice.send({ type: "say", text: "now", nonce: "1" });
  await bob.waitFor({ type: "message", text: "now" });
  assert.equal(redis.run("EXISTS", "yukizuri:{lobby}:recent"), "0");
});

test("a password from a file, a wrong one, and a database number", async (t) => {
  const redis = await startRedis(t, { args: ["--user", "chat", "on", ">s3cret/pass", "~*", "&*", "+@all"] });
  const directory = temporaryDirectory(t);
  fs.writeFileSync(`${directory}/password`, "s3cret/pass\n");
  fs.writeFileSync(`${directory}/wrong`, "nope\n");
  const url = `redis://chat:x@127.0.0.1:${redis.port}/3`;
  const good = await startGateway(t, { redis: url, args: ["--redis-password-file", `${directory}/password`] });
  await joined(t, good.url, "alice");
  assert.equal(redis.run("-n", "3", "SCARD", "yukizuri:{lobby}:members"), "1");
  const bad = await startGateway(t, { redis: url, ready: false, args: ["--redis-password-file", `${directory}/wrong`] });
  await until("readyz says why", async () => /WRONGPASS/.test((await get(`${bad.origin}/readyz`)).body));
  assert.ok(!bad.output.includes("nope") && !good.output.includes("s3cret"), "no secret in a log");
});

test("the embedded Redis: starts and ends with the gateway, also when that is killed", async (t) => {
  for (const signal of ["SIGINT", "SIGTERM", "SIGKILL"]) {
    const short = fs.mkdtempSync("/tmp/yz-");
    atEnd(t, () => fs.rmSync(short, { recursive: true, force: true }));
    process.env.TMPDIR = short;
    const gateway = await startGateway(t, {});
    delete process.env.TMPDIR;
    await joined(t, gateway.url, "alice");
    const [made] = fs.readdirSync(short);
    assert.ok(fs.existsSync(`${short}/${made}/redis.sock`));
    await gateway.stop(signal);
    await until(`nothing is left after ${signal}`, () => fs.readdirSync(short).length === 0);
  }
});

test("Redis by a host name; a name that does not resolve is told", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis: redis.urlAt("localhost", redis.port) });
  await joined(t, gateway.url, "alice");
  const lost = await startGateway(t, { redis: "redis://no-such-host.invalid:6379", ready: false });
  await until("readyz says why", async () => /cannot resolve no-such-host\.invalid: /.test((await get(`${lost.origin}/readyz`)).body));
  assert.equal((await get(`${lost.origin}/healthz`)).status, 200);
});

test("Redis over TLS: a good certificate is accepted, an unknown one refused", async (t) => {
  const directory = temporaryDirectory(t);
  const openssl = (...args) => execFileSync("openssl", args, { cwd: directory, stdio: "pipe" });
  openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=test authority");
  openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "request.pem", "-subj", "/CN=localhost");
  fs.writeFileSync(`${directory}/names`, "subjectAltName=DNS:localhost\n");
  openssl("x509", "-req", "-in", "request.pem", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out", "cert.pem", "-days", "2", "-extfile", "names");
  const port = await freePort();
  await startRedis(t, { args: ["--tls-port", String(port), "--tls-cert-file", `${directory}/cert.pem`, "--tls-key-file", `${directory}/key.pem`, "--tls-ca-cert-file", `${directory}/ca.pem`, "--tls-auth-clients", "no"] });
  const url = `rediss://localhost:${port}`;
  process.env.SSL_CERT_FILE = `${directory}/ca.pem`;
  const good = await startGateway(t, { redis: url });
  delete process.env.SSL_CERT_FILE;
  const alice = await joined(t, good.url, "alice");
  alice.send({ type: "say", text: "hidden", nonce: "1" });
  await alice.waitFor({ type: "message", text: "hidden" });
  const bad = await startGateway(t, { redis: url, ready: false });
  await until("readyz says why", async () => /certificate verify failed/.test((await get(`${bad.origin}/readyz`)).body));
});
