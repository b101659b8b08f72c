// Bans: keys that an operator sets with redis-cli.
import assert from "node:assert/strict";
import net from "node:net";
import test from "node:test";
import { Member, freePort, joined, joinedFrom, metric, startGateway, startRedis, unfit, until } from "../lib/harness.mjs";
import { startHeldPath } from "../lib/redis-paths.mjs";

const args = ["--trusted-proxy", "127.0.0.1", "--leave-grace", "60"];
const from = (address) => ({ headers: { "X-Forwarded-For": address } });

async function startTwo(t) {
  const redis = await startRedis(t);
  return { redis, gateways: [await startGateway(t, { redis, args }), await startGateway(t, { redis, args })] };
}

/** A connection of a banned address. While another one of it is closing, the handshake is refused. */
const openBanned = (t, gateway, address) => until("a connection", () => new Member(t, gateway.url, from(address)).opened().catch((error) => /403/.test(error.message) || Promise.reject(error)).then((one) => one !== true && one));

/** A connection of this address asks to join, and is refused. */
async function isRefused(t, gateway, address, name = "mallory") {
  const member = await openBanned(t, gateway, address);
  const error = await member.askToJoin(name);
  assert.equal(error.code, "banned", JSON.stringify(error));
  assert.equal((await member.waitClosed()).code, 4503);
  return error;
}

test("a ban puts out who is in, on each gateway, and tells why and until when; others stay", async (t) => {
  const { redis, gateways } = await startTwo(t);
  const bad = await Promise.all(gateways.map((gateway, i) => joinedFrom(t, gateway.url, `mallory${i}`, "203.0.113.7")));
  const good = await Promise.all(gateways.map((gateway, i) => joinedFrom(t, gateway.url, `alice${i}`, "203.0.113.8")));
  const before = redis.now();
  redis.run("SET", "yukizuri:ban:203.0.113.7", "spam", "EX", "3600");
  for (const member of bad) {
    assert.deepEqual(await member.waitClosed(), { code: 4503, reason: "spam" });
    const { message, until: end } = member.find({ type: "error", code: "banned" });
    assert.equal(message, "spam");
    assert.ok(end > before + 3_590_000 && end < redis.now() + 3_610_000, `${end}`);
  }
  for (const member of good) {
    await until("they have left at once, without a grace", () => member.saw("left", "mallory0") && member.saw("left", "mallory1"));
    assert.equal(member.closed, null);
  }
  for (const gateway of gateways) assert.equal(await metric(gateway, 'closes_total{code="4503"}'), 1);
});

for (const [ban, inside, outside] of [
  ["203.0.113.7", "203.0.113.7", "203.0.113.6"],
  ["203.0.113.0/24", "203.0.113.200", "203.0.114.1"],
  ["203.0.0.0/8", "203.255.1.1", "204.0.0.1"],
  ["203.0.113.6/31", "203.0.113.7", "203.0.113.8"],
  ["2001:db8::1", "2001:DB8:0::1", "2001:db8::2"],
  ["2001:db8::/32", "2001:db8:ffff::1", "2001:db9::1"],
  ["2001:db8:0:4::/63", "2001:db8:0:5::1", "2001:db8:0:6::1"],
])
  test(`a ban of ${ban} refuses ${inside}, also with a good token, and lets ${outside} in`, async (t) => {
    const { redis, gateways: [gateway] } = await startTwo(t);
    const { resume } = (await joinedFrom(t, gateway.url, "mallory", inside)).welcome;
    redis.run("SET", `yukizuri:ban:${ban}`, "", "EX", "3600");
    await until("who is in is out", async () => (await metric(gateway, "members")) === 0);
    const member = await openBanned(t, gateway, inside);
    const error = await member.askToJoin("mallory", { resume });
    assert.deepEqual([error.code, error.message], ["banned", "You cannot come in here."]);
    await joinedFrom(t, gateway.url, "alice", outside);
  });

test("a ban ends by itself and by DEL; one without an end has no until; a reason that is not UTF-8 is not shown", async (t) => {
  const { redis, gateways: [gateway] } = await startTwo(t);
  redis.run("SET", "yukizuri:ban:203.0.113.7", "for a second", "PX", "1500");
  await isRefused(t, gateway, "203.0.113.7");
  const member = await until("the ban is over", async () => {
    const one = await new Member(t, gateway.url, from("203.0.113.7")).opened();
    return (await one.askToJoin("mallory")).type === "welcome" && one;
  });
  assert.deepEqual(redis.lines("KEYS", "yukizuri:ban:*"), []);
  redis.run("SET", "yukizuri:ban:203.0.113.0/24", "\xff\xfe");
  assert.equal((await member.waitClosed()).code, 4503);
  const error = await isRefused(t, gateway, "203.0.113.7");
  assert.equal(error.until, undefined);
  redis.run("DEL", "yukizuri:ban:203.0.113.0/24");
  await joinedFrom(t, gateway.url, "mallory", "203.0.113.7");
});

test("a key that is no string, and an address that a proxy has for itself, ban nobody", async (t) => {
  const { redis, gateways: [gateway] } = await startTwo(t);
  redis.run("LPUSH", "yukizuri:ban:203.0.113.7", "spam");
  redis.run("SET", "yukizuri:ban:127.0.0.1", "the proxy", "EX", "60");
  await joinedFrom(t, gateway.url, "alice", "203.0.113.7");
  await joined(t, gateway.url, "bob");
  const open = await startGateway(t, { redis });
  const refused = await new Member(t, open.url).opened();
  assert.equal((await refused.askToJoin("carol")).code, "banned", "where it is nobody's proxy, it is somebody's address");
});

test("on a node of a cluster, which takes no command about keys of several slots, bans of addresses and blocks hold", async (t) => {
  const redis = await startRedis(t, { args: ["--cluster-enabled", "yes"] });
  redis.run("CLUSTER", "ADDSLOTSRANGE", "0", "16383");
  const gateway = await startGateway(t, { redis, args });
  for (const [ban, address] of [["203.0.113.7", "203.0.113.7"], ["2001:db8::/32", "2001:db8::1"]]) {
    const member = await joinedFrom(t, gateway.url, "mallory", address);
    redis.run("SET", `yukizuri:ban:${ban}`, "spam", "EX", "60");
    assert.equal((await member.waitClosed()).reason, "spam");
    await isRefused(t, gateway, address);
  }
  assert.equal(await metric(gateway, 'redis_errors_total{code="CROSSSLOT"}'), 0);
});

test("of several bans the reason of the smallest block is told", async (t) => {
  const { redis, gateways: [gateway] } = await startTwo(t);
  for (const ban of ["203.0.0.0/8", "203.0.113.0/24", "203.0.113.7/32"]) redis.run("SET", `yukizuri:ban:${ban}`, ban, "EX", "60");
  assert.equal((await isRefused(t, gateway, "203.0.113.7")).message, "203.0.113.7/32");
  assert.equal((await isRefused(t, gateway, "203.0.113.8")).message, "203.0.113.0/24");
});

test("who is kicked with `for` cannot come back by what Redis answered before", { skip: unfit("cluster", "the path leads to one server") }, async (t) => {
  const redis = await startRedis(t);
  const path = await startHeldPath(t, redis);
  const gateway = await startGateway(t, { redis: path.url, args });
  const member = await joinedFrom(t, gateway.url, "mallory", "203.0.113.7");
  path.holdAnswers();
  await until("it is asked for again", () => path.wasAsked("yukizuri:ban:203.0.113.7"));
  redis.run("PUBLISH", "yukizuri:control", '{"do":"kick","room":"lobby","name":"mallory","for":60,"reason":"spam"}');
  assert.equal((await member.waitClosed()).code, 4503);
  const back = await openBanned(t, gateway, "203.0.113.7");
  const answer = back.askToJoin("mallory");
  await back.settled();
  path.release();
  assert.equal((await answer).code, "banned");
});

test("who is banned while Redis lets it in is put out at once", { skip: unfit("cluster", "the path leads to one server") }, async (t) => {
  const redis = await startRedis(t);
  const path = await startHeldPath(t, redis);
  const gateway = await startGateway(t, { redis: path.url, args });
  const watcher = await joinedFrom(t, gateway.url, "watcher", "203.0.113.8");
  const mallory = await new Member(t, gateway.url, from("203.0.113.7")).opened();
  assert.equal((await mallory.askToJoin("watcher")).code, "name_taken", "it is known that there is no ban");
  path.holdAnswersFrom(/PTTL\r\n\$\d+\r\nyukizuri:ban:/);
  redis.run("SET", "yukizuri:ban:203.0.113.7", "spam", "EX", "60");
  await until("the ban is found", () => path.wasAsked("PTTL"));
  mallory.send({ type: "join", name: "mallory" });
  await until("Redis has let it in, and its answer is held up", () => watcher.saw("joined", "mallory"));
  path.release();
  path.holdAnswers(); // nobody asks for the ban again
  await until("it has an answer", () => mallory.find(({ type, code }) => type === "welcome" || code === "banned"));
  mallory.send({ type: "ping" });
  await until("that is handled", () => mallory.closed || mallory.find({ type: "pong" }));
  assert.deepEqual(mallory.closed, { code: 4503, reason: "spam" });
  await until("it has left", () => watcher.saw("left", "mallory"));
});

test("a ban that ends beyond all numbers has no end", async (t) => {
  const { redis, gateways: [gateway] } = await startTwo(t);
  const member = await joinedFrom(t, gateway.url, "mallory", "203.0.113.7");
  redis.run("SET", "yukizuri:ban:203.0.113.7", "spam", "PXAT", "9223372036854775807");
  await member.waitClosed();
  for (let i = 0; i < 10; i++) assert.equal((await isRefused(t, gateway, "203.0.113.7")).until, undefined);
});

test("while another connection of a banned address is not closed yet, its handshakes are refused with 403", async (t) => {
  const { redis, gateways: [gateway] } = await startTwo(t);
  const socket = net.connect(gateway.port, "127.0.0.1"); // never answers a close frame
  t.after(() => socket.destroy());
  socket.write("GET /room HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nX-Forwarded-For: 203.0.113.7\r\n\r\n");
  await until("it is a visitor", async () => (await metric(gateway, "connections")) === 1);
  redis.run("SET", "yukizuri:ban:203.0.113.7", "spam", "EX", "60");
  const refusal = await until("a handshake is refused", async () => {
    const member = new Member(t, gateway.url, from("203.0.113.7"));
    await until("it is opened or not", () => member.error || member.socket.readyState === 1);
    member.socket.terminate();
    return member.error;
  });
  assert.match(String(refusal), /403/);
});

test("a join waits for what is to be known of its address, without Redis it is told unavailable, and nobody slips in", async (t) => {
  const port = await freePort();
  const redis = await startRedis(t, { port });
  const gateway = await startGateway(t, { redis, args });
  const early = await joinedFrom(t, gateway.url, "alice", "203.0.113.8");
  redis.run("SET", "yukizuri:ban:203.0.113.7", "spam", "EX", "60");
  redis.run("CLIENT", "PAUSE", "1500", "ALL");
  const mallory = await new Member(t, gateway.url, from("203.0.113.7")).opened();
  assert.equal((await mallory.askToJoin("mallory")).code, "banned");
  await redis.stop("SIGKILL");
  const late = await new Member(t, gateway.url, from("203.0.113.9")).opened();
  assert.equal((await late.askToJoin("bob")).code, "unavailable");
  await startRedis(t, { port });
  await until("it can join on the same connection", async () => (await late.askToJoin("bob")).type === "welcome");
  assert.equal(early.saw("joined", "mallory"), false);
});

test("a ban puts out all of a crowd that has one address", { timeout: 120000 }, async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--rate", "0"] });
  const crowd = await Promise.all(Array.from({ length: 300 }, (_, i) => joined(t, gateway.url, `member ${i}`)));
  crowd[0].socket.terminate();
  crowd[7].send({ type: "leave" });
  redis.run("SET", "yukizuri:ban:127.0.0.1", "spam", "EX", "60");
  for (const member of crowd.slice(1, 299)) if (member !== crowd[7]) assert.equal((await member.waitClosed()).code, 4503);
  await until("nobody is in", async () => (await metric(gateway, "members")) <= 1);
});
