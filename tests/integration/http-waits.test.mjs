// Timeouts of HTTP: incomplete heads and idle connections.
import assert from "node:assert/strict";
import os from "node:os";
import test from "node:test";
import { Process, answers, asked, atEnd, binary, connect, freePort, get, joined, question, startGateway, startRedis, until, untilReady } from "../lib/harness.mjs";

test("a head that arrives byte by byte gets 408, however steady the bytes are", async (t) => {
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

test("an idle connection stays open for keep-alive seconds, and with 0 until the client closes it", async (t) => {
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

test("data that arrived while a gateway was paused is answered, even on a connection that has been idle for too long", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--keep-alive", "1"] });
  const clients = await Promise.all(Array.from({ length: 50 }, () => asked(t, gateway.port)));
  const frozen = gateway.freezeFor(3000);
  for (const client of clients) client.socket.write(question);
  await frozen;
  await until("all are answered", () => clients.every((client) => answers(client) === 2));
});

test("plain HTTP connections are counted per address too", async (t) => {
  const addresses = Object.values(os.networkInterfaces()).flat();
  const host = addresses.find((a) => a.family === "IPv4" && !a.internal)?.address;
  if (!host) return t.skip("this machine has no address but loopback");
  const port = await freePort(host);
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

test("idle connections from one address do not block new ones from that address", async (t) => {
  const addresses = Object.values(os.networkInterfaces()).flat();
  const host = addresses.find((a) => a.family === "IPv4" && !a.internal)?.address;
  if (!host) return t.skip("this machine has no address but loopback");
  const port = await freePort(host);
  await startGateway(t, { redis: await startRedis(t), args: ["--addr", `${host}:${port}`, "--max-connections-per-address", "6"] });
  const came = [];
  for (let i = 0; i < 12; i++) {
    const client = await connect(t, port, host);
    came.push(client);
    client.socket.write(question);
    await until("an answer", () => client.received !== "");
  }
  assert.deepEqual(came.map(answers), came.map(() => 1));
  await until("later clients were told to reconnect", () => came.filter((client) => client.ended).length === 9);
  assert.ok(came.slice(0, 3).every((client) => /Connection: keep-alive/.test(client.received)));
});

test("a gateway without a free socket closes an idle connection for a new one", { timeout: 120000 }, async (t) => {
  const redis = await startRedis(t);
  const port = await freePort();
  const limited = 'ulimit -n 1064 && exec "$0" "$@"'; // 64 of them are reserved for other files
  const gateway = new Process(t, "sh", ["-c", limited, binary, "--addr", `127.0.0.1:${port}`, "--redis", redis.url, "--drain-delay", "0"]);
  await untilReady(port);
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
