// What an address may do, over all its connections and after each of them.
import assert from "node:assert/strict";
import test from "node:test";
import { Member, counts, joined, joinedFrom, ofKind, startGateway, startRedis, until } from "../lib/harness.mjs";

const PROXY = ["--trusted-proxy", "127.0.0.1"];
const ANN = "203.0.113.7";
const BOB = "203.0.113.8";

/** A member that came from this address, which a trusted proxy names. */
const from = (t, url, address) => new Member(t, url, { headers: address ? { "X-Forwarded-For": address } : {} });

/** The status and the Retry-After of a handshake that was refused. */
async function refusedAt(t, gateway, address) {
  const member = from(t, gateway.url, address);
  const response = await new Promise((resolve, reject) => {
    member.socket.on("unexpected-response", (_, answer) => resolve(answer));
    member.socket.on("open", () => reject(new Error("it was accepted")));
  });
  return { status: response.statusCode, after: Number(response.headers["retry-after"]) };
}

let names = 0;
const newName = () => `m${names++}`;

/** Joins, does what is limited, and returns what came of it: "ok", an error with its code, or a close code. */
const LIMITS = {
  "rate-per-address": {
    args: ["--rate-per-address", "0.1:2"],
    async once(t, gateway, address) {
      const member = await joinedFrom(t, gateway.url, newName(), address);
      const answer = await member.ask({ type: "say", text: "a", nonce: "n" }, ({ nonce }) => nonce === "n");
      return answer.type === "error" ? answer : "ok";
    },
    allowed: 2,
    refused: ({ code, accepted, retry_after }) => code === "too_fast" && accepted === false && retry_after > 1 && retry_after <= 10,
  },
  "bytes-per-address": {
    args: ["--bytes-per-address", "1:15000"],
    async once(t, gateway, address) {
      const member = await joinedFrom(t, gateway.url, newName(), address);
      member.socket.ping("x".repeat(100));
      for (let i = 0; i < 10; i++) member.send({ type: "typing", more: "x".repeat(1000) }); // no message counts as well
      for (let pongs = 1; pongs <= 2; pongs++) { // what is over is found with the next read
        if (!member.closed) member.send({ type: "ping" });
        await until("it is handled", () => member.closed || member.received.filter(({ type }) => type === "pong").length === pongs);
      }
      return member.closed ?? "ok";
    },
    allowed: 1,
    refused: ({ code }) => code === 4429,
  },
  "joins-per-address": {
    args: ["--joins-per-address", "0.1:3"],
    async once(t, gateway, address) {
      const answer = await (await from(t, gateway.url, address).opened()).askToJoin(newName());
      return answer.type === "welcome" ? "ok" : answer;
    },
    allowed: 3,
    refused: ({ code, retry_after }) => code === "too_fast" && retry_after > 1 && retry_after <= 10,
  },
  "rooms-per-address": {
    args: ["--rooms-per-address", "0.1:2"],
    async once(t, gateway, address) {
      const answer = await (await from(t, `${gateway.url}/${newName()}`, address).opened()).askToJoin("a");
      return answer.type === "welcome" ? "ok" : answer;
    },
    allowed: 2,
    refused: ({ code, retry_after }) => code === "too_fast" && retry_after > 1 && retry_after <= 10,
  },
  "bad-per-address": {
    args: ["--bad-per-address", "0.1:3"],
    async once(t, gateway, address) {
      const member = await from(t, gateway.url, address).opened();
      member.send("rubbish");
      await until("it is refused", () => member.closed || member.find({ code: "bad_message" }));
      return member.closed ?? "ok";
    },
    allowed: 3,
    refused: ({ code }) => code === 4429,
  },
  "handshakes-per-address": {
    args: ["--handshakes-per-address", "0.01:3"],
    async once(t, gateway, address) {
      const member = from(t, gateway.url, address);
      await until("it is in or not", () => member.socket.readyState === 1 || member.error);
      return member.error ? refusedAt(t, gateway, address) : "ok";
    },
    allowed: 3,
    refused: ({ status, after }) => status === 429 && after > 5 && after <= 100,
  },
};

for (const [name, { args, once, allowed, refused }] of Object.entries(LIMITS)) {
  test(`${name} is reached over many connections, and a reconnect gives no new burst`, async (t) => {
    const gateway = await startGateway(t, { redis: await startRedis(t), args: [...PROXY, ...args] });
    for (let i = 0; i < allowed; i++) assert.equal(await once(t, gateway, ANN), "ok");
    const answer = await once(t, gateway, ANN);
    assert.ok(refused(answer), JSON.stringify(answer));
    assert.ok((await counts(gateway, "refused_total"))[name] > 0);
    const [line] = await until("the line is there", () => {
      const lines = ofKind(gateway, "limit").filter(({ limit }) => limit === name);
      return lines.length > 0 && lines;
    });
    assert.equal(line.remote_addr, ANN);
    assert.equal(await once(t, gateway, BOB), "ok", "another address is not concerned");
  });

  test(`${name} does not count loopback, nor a trusted proxy that names nobody`, async (t) => {
    const gateway = await startGateway(t, { redis: await startRedis(t), args: [...PROXY, "--trusted-proxy", "198.51.100.0/24", ...args] });
    for (const address of ["127.0.0.1", "198.51.100.9"]) for (let i = 0; i < allowed + 2; i++) assert.equal(await once(t, gateway, address), "ok");
    assert.equal((await counts(gateway, "refused_total"))[name] ?? 0, 0);
  });

  test(`${name} of 0 is no limit`, async (t) => {
    const gateway = await startGateway(t, { redis: await startRedis(t), args: [...PROXY, `--${name}`, "0"] });
    for (let i = 0; i < allowed + 2; i++) assert.equal(await once(t, gateway, ANN), "ok");
  });
}

test("what a compressed message inflates to counts for bytes-per-address", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: [...PROXY, "--bytes-per-address", "1:15000"] });
  const ann = await new Member(t, gateway.url, { perMessageDeflate: { threshold: 0 }, headers: { "X-Forwarded-For": ANN } }).join("ann");
  for (let i = 0; i < 2; i++) ann.send({ type: "typing", more: "x".repeat(10000) });
  ann.send({ type: "ping" });
  const { code } = await ann.waitClosed();
  assert.equal(code, 4429);
  assert.ok((await gateway.stats()).bytes_in < 2000, "on the wire they are few");
});

test("a refused say of an address does not reach Redis", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: [...PROXY, "--rate-per-address", "0.1:1", "--rate", "0"] });
  const ann = await joinedFrom(t, gateway.url, "ann", ANN);
  await ann.say("one");
  for (let i = 0; i < 50; i++) ann.send({ type: "say", text: "more", nonce: `${i}` });
  await until("all are refused", () => ann.received.filter(({ code }) => code === "too_fast").length === 50);
  assert.equal(redis.run("HGET", "yukizuri:{lobby}:head", "said"), "1");
  assert.equal(ann.closed, null);
});

test("the limits of an address are those of an IPv6 /64", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: [...PROXY, "--joins-per-address", "0.1:1"] });
  await joinedFrom(t, gateway.url, "a", "2001:db8::1");
  const second = await from(t, gateway.url, "2001:db8::2:1").opened();
  assert.equal((await second.askToJoin("b")).code, "too_fast");
  await joinedFrom(t, gateway.url, "c", "2001:db8:0:1::1");
});

test("signs of life from one address are dropped beyond four times its rate, and nobody is closed for that", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: [...PROXY, "--rate-per-address", "0.1:2", "--rate", "0"] });
  const ann = await joinedFrom(t, gateway.url, "ann", ANN);
  for (let i = 0; i < 300; i++) ann.send({ type: "ping" });
  await ann.say("end");
  assert.equal(ann.received.filter(({ type }) => type === "pong").length, 8);
  assert.equal(ann.closed, null);
});

test("a room that is open here is no new one", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: [...PROXY, "--rooms-per-address", "0.1:1"] });
  await joined(t, gateway.url, "zoe");
  for (const name of ["a", "b", "c"]) await joinedFrom(t, gateway.url, name, ANN);
});

test("under pressure each message of an address costs two", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: [...PROXY, "--rate", "0", "--rate-per-address", "0.1:4", "--pressure", "1"] });
  const ann = await joinedFrom(t, gateway.url, "ann", ANN);
  for (let i = 0; i < 4; i++) ann.send({ type: "say", text: "a", nonce: `${i}` });
  await until("all are answered", () => ann.received.filter(({ type }) => type === "ack" || type === "error").length === 4);
  assert.equal(ann.received.filter(({ type }) => type === "ack").length, 2);
});
