// How long HTTP waits for whom: heads that do not end, connections that rest, a drain that balancers have to notice.
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import os from "node:os";
import test from "node:test";
import { Process, atEnd, binary, freePort, get, joined, lasting, startGateway, startRedis, until } from "../lib/harness.mjs";

/** A connection that keeps what it receives. */
async function connect(t, port, host = "127.0.0.1") {
  const socket = net.connect(port, host);
  const client = { socket, received: "", ended: false };
  socket.on("data", (data) => (client.received += data));
  socket.on("error", (error) => (client.error = error));
  socket.on("end", () => (client.ended = true));
  socket.on("close", () => (client.ended = true));
  atEnd(t, () => socket.destroy());
  await once(socket, "connect");
  return client;
}

const question = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
const answers = (client) => client.received.split("HTTP/1.1 200 OK").length - 1;

async function asked(t, port) {
  const client = await connect(t, port);
  client.socket.write(question);
  await until("an answer", () => answers(client) === 1);
  return client;
}

async function freePortOf(host) {
  const server = net.createServer().listen(0, host);
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

const ready = async (gateway) => (await get(`${gateway.origin}/readyz`)).status === 200;

test("a head that comes byte by byte is answered 408, however steadily they come", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  const slow = await connect(t, gateway.port);
  const between = await connect(t, gateway.port);
  slow.socket.write("GET / HTTP/1.1\r\nHost: x\r\nX: ");
  between.socket.write(`${question}GET / HT`);
  const trickle = setInterval(() => slow.socket.writable && slow.socket.write("y"), 100);
  atEnd(t, () => clearInterval(trickle));
  await until("an answer", () => slow.received !== "" && between.received.includes("408"));
  assert.match(slow.received, /^HTTP\/1\.1 408 /);
  assert.equal(answers(between), 1, "also after a whole request");
  await until("they are closed", () => slow.ended && between.ended);
});

test("a connection that sends nothing is closed", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  const silent = await connect(t, gateway.port);
  await until("it is closed", () => silent.ended);
  assert.equal(silent.received, "");
});

test("an idle connection stays open for keep-alive seconds, and with 0 until the other side closes it", async (t) => {
  const redis = await startRedis(t);
  const short = await startGateway(t, { redis, args: ["--keep-alive", "3"] });
  const gateways = [await startGateway(t, { redis }), await startGateway(t, { redis, args: ["--keep-alive", "0"] }), await startGateway(t, { redis, args: ["--keep-alive", "3600"] })];
  const others = await Promise.all(gateways.map((gateway) => asked(t, gateway.port)));
  const first = await asked(t, short.port);
  const busy = await asked(t, short.port);
  let said = 1;
  await until("the idle one is closed", () => {
    if (answers(busy) === said) busy.socket.write(question), said++;
    return first.ended;
  });
  assert.equal(busy.ended, false, "one that asks again is not idle");
  for (const other of others) {
    assert.equal(other.ended, false);
    other.socket.write(question);
    await until("a second answer", () => answers(other) === 2);
  }
});

test("what came while a gateway stood still is answered, also on a connection that was idle for too long by then", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--keep-alive", "1"] });
  const clients = await Promise.all(Array.from({ length: 50 }, () => asked(t, gateway.port)));
  gateway.signal("SIGSTOP");
  for (const client of clients) client.socket.write(question);
  await lasting(3000);
  gateway.signal("SIGCONT");
  await until("all are answered", () => clients.every((client) => answers(client) === 2));
});

test("sockets that ask for nothing but HTTP are counted for their address too", async (t) => {
  const addresses = Object.values(os.networkInterfaces()).flat();
  const host = addresses.find((a) => a.family === "IPv4" && !a.internal)?.address;
  if (!host) return t.skip("this machine has no address but loopback");
  const port = await freePortOf(host);
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--addr", `${host}:${port}`, "--max-connections-per-address", "3"] });
  const held = [];
  for (let i = 0; i < 3; i++) held.push(await connect(t, port, host));
  const fourth = await connect(t, port, host);
  await until("it is refused", () => fourth.ended);
  assert.match(fourth.received, /^HTTP\/1\.1 429 [^]*\r\nRetry-After: /);
  held[0].socket.destroy();
  await until("there is room again", async () => {
    const next = await connect(t, port, host);
    next.socket.write(question);
    await until("an answer or the end", () => next.ended || answers(next) === 1);
    next.socket.destroy();
    return answers(next) === 1;
  });
  assert.equal((await get(`${gateway.origin}/healthz`)).status, 200, "loopback is not counted");
});

test("people who rest behind one address keep out none of those who come from there", async (t) => {
  const addresses = Object.values(os.networkInterfaces()).flat();
  const host = addresses.find((a) => a.family === "IPv4" && !a.internal)?.address;
  if (!host) return t.skip("this machine has no address but loopback");
  const port = await freePortOf(host);
  await startGateway(t, { redis: await startRedis(t), args: ["--addr", `${host}:${port}`, "--max-connections-per-address", "6"] });
  const came = [];
  for (let i = 0; i < 12; i++) {
    const client = await connect(t, port, host);
    came.push(client);
    client.socket.write(question);
    await until("an answer", () => client.received !== "");
  }
  assert.deepEqual(came.map(answers), came.map(() => 1));
  await until("who came later was told to come anew for more", () => came.filter((client) => client.ended).length === 9);
  assert.ok(came.slice(0, 3).every((client) => /Connection: keep-alive/.test(client.received)));
});

test("a gateway that has as many sockets as it can have closes one that rests for somebody who comes", { timeout: 120000 }, async (t) => {
  const redis = await startRedis(t);
  const port = await freePort();
  const limited = 'ulimit -n 1064 && exec "$0" "$@"'; // 64 of them are kept for other files
  const gateway = new Process(t, "sh", ["-c", limited, binary, "--addr", `127.0.0.1:${port}`, "--redis", redis.url, "--drain-delay", "0"]);
  await until(() => `it is up: ${gateway.errors}`, async () => (await get(`http://127.0.0.1:${port}/readyz`).catch(() => null))?.status === 200);
  const resting = [];
  while (resting.length < 1000) resting.push(...(await Promise.all(Array.from({ length: 50 }, () => asked(t, port)))));
  const newcomer = await asked(t, port);
  await until("one of them was closed", () => resting.filter((client) => client.ended).length === 1);
  const member = await joined(t, `ws://127.0.0.1:${port}/room`, "alice");
  await member.settled();
  assert.equal(newcomer.ended, false, "it is not the last one that was closed");
  assert.deepEqual(await gateway.stop("SIGINT"), { code: 0, signal: null });
  assert.doesNotMatch(gateway.errors, /Sanitizer|runtime error/);
});

test("while drain-delay lasts /readyz says 503, newcomers are served, and nobody is told to go", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--drain-delay", "600"] });
  const alice = await joined(t, gateway.url, "alice");
  const kept = await asked(t, gateway.port);
  gateway.signal("SIGTERM");
  await until("it is not ready", async () => !(await ready(gateway)));
  assert.match((await get(`${gateway.origin}/readyz`)).body, /draining/);
  assert.equal((await get(gateway.origin)).status, 200);
  kept.socket.write(question);
  await until("who was here is answered", () => answers(kept) === 2);
  assert.doesNotMatch(kept.received, /Connection: close/);
  const bob = await joined(t, gateway.url, "bob");
  bob.send({ type: "say", text: "hello", nonce: "1" });
  await bob.waitFor({ type: "ack", nonce: "1" });
  await alice.waitFor({ type: "message", text: "hello" });
  await bob.settled();
  await alice.settled();
  for (const member of [alice, bob]) assert.equal(member.find({ type: "reconnect" }), undefined);
  gateway.signal("SIGTERM");
  assert.deepEqual(await gateway.ended, { code: 0, signal: null }, "a second signal ends it at once");
});

test("while drain-delay lasts newcomers are served also when a successor has the id already, and nobody is taken off", async (t) => {
  const redis = await startRedis(t);
  const args = ["--gateway-id", "one", "--lease", "1"];
  const old = await startGateway(t, { redis, args: [...args, "--drain-delay", "600"] });
  await joined(t, old.url, "alice");
  old.signal("SIGTERM");
  const next = await startGateway(t, { redis, args });
  const carol = await joined(t, next.url, "carol");
  const bob = await joined(t, old.url, "bob");
  bob.send({ type: "say", text: "hello", nonce: "1" });
  await bob.waitFor({ type: "ack", nonce: "1" });
  await carol.waitFor({ type: "message", text: "hello" });
  const renewals = () => Number(redis.run("HGET", "yukizuri:gateway:one", "renewals"));
  const began = renewals();
  await until("leases pass", () => renewals() > began + 9);
  assert.deepEqual(redis.lines("SMEMBERS", "yukizuri:{lobby}:members").sort(), ["alice", "bob", "carol"]);
  assert.ok(!carol.saw("left", "bob") && !carol.saw("left", "alice"));
});

test("when drain-delay is over the door is closed and members are sent elsewhere", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--drain-delay", "1", "--drain", "600"] });
  const members = await Promise.all(["alice", "bob"].map((name) => joined(t, gateway.url, name)));
  const kept = await asked(t, gateway.port);
  gateway.signal("SIGTERM");
  for (const member of members) await member.waitFor({ type: "reconnect" });
  await until("nobody is let in", async () => (await get(`${gateway.origin}/healthz`).catch((error) => error.code)) === "ECONNREFUSED");
  kept.socket.write(question);
  await until("who was here is answered, and told that it was the last time", () => answers(kept) === 2 && kept.ended);
  assert.match(kept.received, /Connection: keep-alive[^]*Connection: close/);
  assert.ok(gateway.running);
});

test("drain-delay 0: the door is closed as soon as begun handshakes are through", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--drain-delay", "0", "--drain", "600"] });
  const alice = await joined(t, gateway.url, "alice");
  gateway.signal("SIGTERM");
  await alice.waitFor({ type: "reconnect" });
  await until("nobody is let in", async () => (await get(`${gateway.origin}/healthz`).catch((error) => error.code)) === "ECONNREFUSED");
});

test("a balancer that asks /readyz ten times a second sends no newcomer to a closed door", async (t) => {
  const redis = await startRedis(t);
  const gateways = [await startGateway(t, { redis, args: ["--drain-delay", "4"] }), await startGateway(t, { redis })];
  const inRotation = new Set(gateways);
  let looking = true;
  const look = async () => {
    for (const gateway of gateways) if ((await get(`${gateway.origin}/readyz`).catch(() => null))?.status !== 200) inRotation.delete(gateway);
  };
  const looks = (async () => {
    for (; looking; await new Promise((resolve) => setTimeout(resolve, 100))) await look();
  })();
  const served = new Map(gateways.map((gateway) => [gateway, 0]));
  const refused = [];
  const visit = async (gateway) => {
    visitors.add(gateway);
    const answer = await get(`${gateway.origin}/`).catch((error) => ({ status: error.code ?? error.message }));
    if (answer.status === 200) served.set(gateway, served.get(gateway) + 1);
    else refused.push(answer.status);
    visitors.delete(gateway);
  };
  const visitors = new Set(); // one at a time each: who has to be served is not the test's own crowd
  const visitAll = () => {
    for (const gateway of inRotation) if (!visitors.has(gateway)) visits.push(visit(gateway));
  };
  const visits = [];
  await until("both have served", () => {
    visitAll();
    return [...served.values()].every((count) => count > 0);
  });
  gateways[0].signal("SIGTERM");
  await until("the balancer has noticed, and the door is closed", async () => {
    visitAll();
    return !inRotation.has(gateways[0]) && !gateways[0].running;
  });
  looking = false;
  await looks;
  await Promise.all(visits);
  assert.deepEqual(refused, []);
  assert.ok(inRotation.has(gateways[1]));
});
