// Client addresses: the trusted sources, the visible forms, and the key of the hash.
import assert from "node:assert/strict";
import path from "node:path";
import test from "node:test";
import { Member, get, joinedFrom, rawText, startGateway, startRedis, temporaryDirectory, until, untilLogged } from "../lib/harness.mjs";

const from = (address) => ({ headers: { "X-Forwarded-For": address } });
const shown = async (t, gateway, name, address = "203.0.113.7") => (await new Member(t, gateway.url, from(address)).join(name)).welcome.me.address;
const statuses = (text) => [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map((match) => Number(match[1]));

test("X-Forwarded-For from a peer that is not a trusted proxy is neither used nor shown", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  assert.equal((await get(`${gateway.origin}/metrics`)).status, 200, "we are local");
  for (const headers of [{ "X-Forwarded-For": "127.0.0.1" }, { "X-Real-IP": "127.0.0.1" }, { "X-Forwarded-For": "10.0.0.1, 127.0.0.1" }]) assert.equal((await get(`${gateway.origin}/metrics`, { headers })).status, 403);
  const eve = await new Member(t, gateway.url, { headers: { "X-Forwarded-For": "8.8.8.8" } }).join("eve");
  assert.equal(eve.welcome.me.address, "127.0.0.x");
  await until("it is warned about once", () => gateway.log.filter((line) => line.kind === "forwarded-ignored").length === 1);
});

// --- The key under which addresses are hashed ---

const cloaked = ["--show-address", "cloak", "--trusted-proxy", "127.0.0.1"];

test("the cloaked address of a person is the same on two gateways and after a restart, and differs from that of another person", async (t) => {
  const redis = await startRedis(t);
  const gateways = [await startGateway(t, { redis, args: cloaked }), await startGateway(t, { redis, args: cloaked })];
  const cloak = await shown(t, gateways[0], "a");
  assert.ok(cloak.length > 5 && !cloak.includes("203"), cloak);
  assert.equal(await shown(t, gateways[1], "b"), cloak);
  assert.notEqual(await shown(t, gateways[1], "c", "203.0.113.8"), cloak);
  await Promise.all(gateways.map((gateway) => gateway.stop("SIGINT")));
  assert.equal(await shown(t, await startGateway(t, { redis, args: cloaked }), "d"), cloak);
  for (const key of redis.lines("KEYS", "yukizuri:cloak:*")) assert.ok(Number(redis.run("TTL", key)) > 0, key);
  assert.equal(redis.lines("KEYS", "yukizuri:cloak:*").length, 2); // today's and tomorrow's
});

test("after Redis lost its memory, the gateways restore the key of the day, and a new gateway uses it", async (t) => {
  const redis = await startRedis(t);
  const args = [...cloaked, "--lease", "1"];
  const first = await startGateway(t, { redis, args });
  const cloak = await shown(t, first, "a");
  redis.run("FLUSHALL");
  await until("the keys are back", () => redis.lines("KEYS", "yukizuri:cloak:*").length === 2);
  assert.equal(await shown(t, await startGateway(t, { redis, args }), "b"), cloak);
  const day = redis.lines("KEYS", "yukizuri:cloak:*").sort()[0];
  for (const command of [["SET", day, "junk"], ["LPUSH", day, "junk"]]) {
    redis.run("DEL", day);
    redis.run(...command);
    await until(`it is mended after ${command[0]}`, () => redis.run("TYPE", day) === "string" && redis.run("STRLEN", day) === "43" && redis.run("TTL", day) !== "-1");
  }
  assert.ok(first.running, first.errors + first.output);
  assert.equal(await shown(t, first, "c"), cloak);
});

test("with cloak for log-address alone the log shows no address", async (t) => {
  const redis = await startRedis(t);
  const logged = await startGateway(t, { redis, args: ["--log-address", "cloak", "--trusted-proxy", "127.0.0.1"] });
  await new Member(t, logged.url, from("203.0.113.7")).join("b");
  const [line] = await untilLogged(logged, "join");
  assert.ok(line.remote_addr && !logged.output.includes("203.0.113.7"));
});

test("the mark of an address is the same on two gateways, whatever they show, and differs from that of another address", async (t) => {
  const redis = await startRedis(t);
  const args = ["--trusted-proxy", "127.0.0.1", "--show-address"];
  const gateways = [await startGateway(t, { redis, args: [...args, "masked"] }), await startGateway(t, { redis, args: [...args, "off"] })];
  const join = (gateway, name, address) => new Member(t, gateway.url, from(address)).join(name);
  const alice = await join(gateways[0], "alice", "203.0.113.7");
  const bob = await join(gateways[1], "bob", "203.0.113.7");
  const carol = await join(gateways[1], "carol", "203.0.113.8");
  const { mark } = alice.welcome.me;
  assert.match(mark, /^[A-Za-z0-9_-]{3}$/);
  assert.deepEqual([bob.welcome.me.mark, bob.welcome.me.address], [mark, undefined]);
  assert.match(carol.welcome.me.mark, /^[A-Za-z0-9_-]{3}$/);
  assert.notEqual(carol.welcome.me.mark, mark);
  const marks = { alice: mark, bob: mark, carol: carol.welcome.me.mark };
  assert.deepEqual(Object.fromEntries(carol.welcome.members.map((one) => [one.name, one.mark])), marks);
  await until("alice is told of both", () => alice.saw("joined", "carol"));
  const told = alice.received.filter(({ type }) => type === "presence").flatMap((line) => line.joined);
  for (const one of told) assert.equal(one.mark, marks[one.name], one.name);
  carol.send({ type: "say", text: "hello", nonce: "1" });
  assert.equal((await alice.waitFor({ type: "message" })).from.mark, marks.carol);
});

test("the mark of an address is another one than its cloaked form", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: cloaked });
  const { me } = (await new Member(t, gateway.url, from("203.0.113.7")).join("a")).welcome;
  assert.match(me.mark, /^[A-Za-z0-9_-]{3}$/);
  assert.notEqual(me.mark, me.address);
});

test("who resumes from another address has its mark and its form from then on, in Redis too", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--trusted-proxy", "127.0.0.1"] });
  const alice = await joinedFrom(t, gateway.url, "alice", "203.0.113.7");
  const { resume, me } = alice.welcome;
  alice.socket.terminate();
  const again = await new Member(t, gateway.url, { headers: { "X-Forwarded-For": "198.51.100.9" } }).join("alice", { resume });
  assert.equal(again.welcome.me.id, me.id);
  assert.equal(again.welcome.me.address, "198.51.100.x");
  const bob = await joinedFrom(t, gateway.url, "bob", "203.0.113.7");
  assert.equal(bob.welcome.me.mark, me.mark, "the mark of where she was");
  assert.notEqual(again.welcome.me.mark, me.mark);
  await again.say("hello");
  assert.deepEqual((await bob.waitFor({ type: "message" })).from, again.welcome.me);
  assert.deepEqual(redis.lines("HMGET", "yukizuri:{lobby}:member:alice", "shown", "mark"), ["198.51.100.x", again.welcome.me.mark]);
});

test("who comes through a unix socket without a forwarded address is shown as local, and has no mark", async (t) => {
  const where = path.join(temporaryDirectory(t), "socket");
  await startGateway(t, { redis: await startRedis(t), args: ["--addr", `unix:${where}`] });
  const { me } = (await new Member(t, `ws+unix:${where}:/room`).join("alice")).welcome;
  assert.deepEqual([me.address, me.mark], ["local", undefined]);
  const bob = await new Member(t, `ws+unix:${where}:/room`, from("203.0.113.7")).join("bob");
  assert.equal(bob.welcome.me.address, "203.0.113.x");
  assert.equal(bob.welcome.me.mark.length, 3);
});

test("behind a trusted proxy the list is walked from the right", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--trusted-proxy", "127.0.0.1,10.0.0.0/8", "--show-address", "full", "--log-address", "masked"] });
  const address = async (name, header) => (await new Member(t, gateway.url, { headers: { "X-Forwarded-For": header } }).join(name)).welcome.me.address;
  assert.equal(await address("a", "203.0.113.5"), "203.0.113.5");
  assert.equal(await address("b", "1.2.3.4, 203.0.113.6, 10.1.2.3"), "203.0.113.6");
  assert.equal(await address("c", "junk, 10.0.0.9"), "10.0.0.9");
  assert.equal(await address("d", "2001:db8::7"), "2001:db8::7");
  for (const header of ["203.0.113.5", "unix:", "127.0.0.1, junk", ""]) assert.equal((await get(`${gateway.origin}/metrics`, { headers: { "X-Forwarded-For": header } })).status, 403, header);
  assert.equal((await get(`${gateway.origin}/metrics`, { headers: { "X-Real-IP": "junk" } })).status, 403);
  await until("the log masks", () => gateway.log.some((line) => line.kind === "join" && line.remote_addr === "2001:db8::/48"));
});

test("each value of show-address shows addresses in its form", async (t) => {
  const redis = await startRedis(t);
  const shown = async (how, name) => {
    const gateway = await startGateway(t, { redis, args: ["--trusted-proxy", "127.0.0.1", "--show-address", how] });
    return (await new Member(t, gateway.url, { headers: { "X-Forwarded-For": "203.0.113.77" } }).join(name)).welcome.me.address;
  };
  assert.equal(await shown("full", "a"), "203.0.113.77");
  assert.equal(await shown("masked", "b"), "203.0.113.x");
  assert.match(await shown("cloak", "c"), /^[A-Za-z0-9_-]{8}$/);
  assert.equal(await shown("off", "d"), undefined);
});

/** Sends one request on a connection that ends with it. Returns { status, head, body }. */
async function ask(gateway, line, headers = "") {
  const answer = await rawText(gateway, `${line} HTTP/1.1\r\n${/^host:/im.test(headers) ? "" : "Host: x\r\n"}Connection: close\r\n${headers}\r\n`);
  const [head, ...rest] = answer.split("\r\n\r\n");
  assert.equal(statuses(answer).length, 1, answer);
  return { status: statuses(answer)[0], head, body: rest.join("\r\n\r\n") };
}

test("a proxy's list may have ports, brackets, empty entries and several lines; a malformed address never counts as local", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--trusted-proxy", "127.0.0.1,10.0.0.0/8", "--show-address", "full"] });
  const address = async (name, header) => (await new Member(t, gateway.url, { headers: { "X-Forwarded-For": header } }).join(name)).welcome.me.address;
  assert.equal(await address("a", "203.0.113.5:4711"), "203.0.113.5");
  assert.equal(await address("b", "[2001:db8::7]:4711, 10.0.0.1:80"), "2001:db8::7");
  assert.equal(await address("c", "203.0.113.6,"), "203.0.113.6");
  assert.equal(await address("d", "203.0.113.7, , 10.1.2.3 ,\t"), "203.0.113.7");
  assert.equal(await address("e", "::ffff:203.0.113.8"), "203.0.113.8");
  const operates = async (headers) => (await ask(gateway, "GET /metrics", headers)).status;
  assert.equal(await operates(""), 200);
  assert.equal(await operates("X-Forwarded-For: 127.0.0.1\r\n"), 200);
  assert.equal(await operates("X-Forwarded-For: 203.0.113.5\r\nX-Forwarded-For: 127.0.0.1, 10.0.0.1\r\n"), 403);
  for (const headers of ["X-Forwarded-For: , ,\r\n", "X-Forwarded-For: 127.0.0.1:x\r\n", "X-Forwarded-For: unknown\r\n", "X-Real-IP: 127.0.0.1\r\nX-Real-IP: 203.0.113.5\r\n", "X-Real-IP:\r\n", "Forwarded: for=203.0.113.5\r\n", 'Forwarded: for="[::1]:80"\r\n']) assert.equal(await operates(headers), 403, headers);
});

test("of several headers of a trusted proxy, the one that client-address-header names is read", async (t) => {
  const redis = await startRedis(t);
  const headers = { "X-Forwarded-For": "203.0.113.1", "X-Real-IP": "203.0.113.2", Forwarded: 'for=6.6.6.6, for="[2001:db8::3]:4711";proto=https' };
  const args = ["--trusted-proxy", "127.0.0.1", "--show-address", "full", "--client-address-header"];
  for (const [header, address] of [["x-forwarded-for", "203.0.113.1"], ["x-real-ip", "203.0.113.2"], ["forwarded", "2001:db8::3"]]) {
    const gateway = await startGateway(t, { redis, args: [...args, header] });
    const join = async (name, some) => (await new Member(t, gateway.url, { headers: some }).join(name)).welcome.me.address;
    assert.equal(await join(`${header.slice(-8)} 1`, headers), address);
    const others = Object.fromEntries(Object.entries(headers).filter(([name]) => name.toLowerCase() !== header));
    if (header !== "x-forwarded-for") assert.equal(await join(`${header.slice(-8)} 2`, others), "127.0.0.1", "a header that the proxy does not write is not believed");
    assert.equal((await get(`${gateway.origin}/metrics`, { headers: header === "forwarded" ? { "X-Real-IP": "127.0.0.1" } : { Forwarded: "for=127.0.0.1" } })).status, 403);
  }
});

test("a hop that nobody names makes the client unknown, and so no operator", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--trusted-proxy", "127.0.0.1"] });
  for (const list of ["unknown", "unknown, 127.0.0.1", "_hidden, 127.0.0.1", "junk, 127.0.0.1, 127.0.0.1"]) assert.equal((await get(`${gateway.origin}/metrics`, { headers: { "X-Forwarded-For": list } })).status, 403, list);
  assert.equal((await get(`${gateway.origin}/metrics`, { headers: { "X-Forwarded-For": "junk, 127.0.0.1%, 198.51.100.1, 127.0.0.1" } })).status, 403);
  assert.equal((await get(`${gateway.origin}/metrics`, { headers: { "X-Forwarded-For": "127.0.0.1, 127.0.0.1" } })).status, 200);
});

test("a proxy list from an untrusted peer never makes a client local", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  for (const header of ["X-Forwarded-For: 127.0.0.1", "X-Real-IP: 127.0.0.1", "Forwarded: for=127.0.0.1"]) assert.equal((await ask(gateway, "GET /metrics", `${header}\r\n`)).status, 403, header);
  await until("it is told", () => gateway.log.some((line) => line.kind === "forwarded-ignored"));
});
