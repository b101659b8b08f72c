// What members and newcomers run into, and what their operator learns of it: limits, floods, ends of connections.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import test from "node:test";
import { Member, atEnd, get, joined, lasting, startGateway, startNginx, startRedis, until } from "../lib/harness.mjs";

const ofKind = (gateway, kind) => gateway.log.filter((line) => line.kind === kind);
const limitLines = (gateway, name) => ofKind(gateway, "limit").filter((line) => line.limit === name);

/** A counter of /metrics with its one label: { value of the label: count }, without those that are 0. */
async function counts(gateway, name) {
  const { body } = await get(`${gateway.origin}/metrics`);
  const lines = [...body.matchAll(new RegExp(`^yukizuri_${name}\\{\\w+="([^"]*)"\\} (\\d+)$`, "gm"))];
  return Object.fromEntries(lines.map(([, word, count]) => [word, Number(count)]).filter(([, count]) => count > 0));
}

/** A WebSocket that does nothing by itself; `received` has the bytes after the handshake's answer. */
async function rawVisitor(t, gateway) {
  const socket = net.connect(gateway.port, "127.0.0.1");
  atEnd(t, () => socket.destroy());
  socket.on("error", () => {});
  socket.write("GET /room HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
  const [answer] = await once(socket, "data");
  assert.match(answer.toString("latin1"), /^HTTP\/1.1 101 /);
  return socket;
}

/** A frame of a client, masked with zeros. */
const frame = (opcode, payload) => Buffer.concat([Buffer.from([0x80 | opcode, 0x80 | payload.length, 0, 0, 0, 0]), Buffer.from(payload)]);

async function refusedAt(member) {
  return until("it is refused", () => member.error);
}

// --- Each limit is told ---

const LIMITS = {
  "max-connections": {
    args: ["--max-connections", "1"],
    async reach(t, gateway) {
      await new Member(t, gateway.url).opened();
      await refusedAt(new Member(t, gateway.url));
    },
  },
  "max-connections-per-address": {
    args: ["--max-connections-per-address", "1", "--trusted-proxy", "127.0.0.1"],
    async reach(t, gateway) {
      const headers = { "X-Forwarded-For": "203.0.113.7" };
      await new Member(t, gateway.url, { headers }).opened();
      await refusedAt(new Member(t, gateway.url, { headers }));
    },
    address: "203.0.113.7",
  },
  "max-members": {
    args: ["--max-members", "1"],
    async reach(t, gateway, more = "") {
      await joined(t, gateway.url, `alice${more}`);
      const bob = await new Member(t, gateway.url).opened();
      bob.send({ type: "join", name: `bob${more}` });
      await bob.waitFor({ type: "error", code: "room_full" });
    },
  },
  rate: {
    args: ["--rate", "1:1"],
    async reach(t, gateway, more = "") {
      const alice = await joined(t, gateway.url, `alice${more}`);
      alice.send({ type: "say", text: "hello", nonce: "1" });
      await alice.waitFor({ type: "error", code: "too_fast", nonce: "1" });
    },
  },
  "max-text": {
    args: ["--max-text", "3"],
    async reach(t, gateway, more = "") {
      const alice = await joined(t, gateway.url, `alice${more}`);
      alice.send({ type: "say", text: "hello", nonce: "1" });
      await alice.waitFor({ type: "error", code: "too_long", nonce: "1" });
    },
  },
  "max-message": {
    args: ["--max-text", "10", "--max-message", "1000"],
    async reach(t, gateway, more = "") {
      const alice = await joined(t, gateway.url, `alice${more}`);
      alice.send("x".repeat(1001));
      assert.equal((await alice.waitClosed()).code, 1009);
    },
  },
  "max-head": {
    args: ["--max-head", "1024"],
    async reach(t, gateway) {
      assert.equal((await get(`${gateway.origin}/`, { headers: { long: "x".repeat(2000) } })).status, 431);
    },
  },
  headers: {
    args: [],
    async reach(t, gateway) {
      const headers = Object.fromEntries(Array.from({ length: 80 }, (_, i) => [`h${i}`, "x"]));
      assert.equal((await get(`${gateway.origin}/`, { headers })).status, 431);
    },
  },
  "head-time": {
    args: [],
    async reach(t, gateway) {
      const socket = net.connect(gateway.port, "127.0.0.1");
      atEnd(t, () => socket.destroy());
      socket.write("GET / HTTP/1.1\r\n");
      const [answer] = await once(socket, "data");
      assert.match(answer.toString("latin1"), /^HTTP\/1.1 408 /);
    },
  },
};

for (const [name, { args, reach, address }] of Object.entries(LIMITS)) {
  test(`who is refused because of ${name} is a line of the log at once, and counted`, async (t) => {
    const gateway = await startGateway(t, { redis: await startRedis(t), args });
    await reach(t, gateway);
    await until("the line is there", () => limitLines(gateway, name).length > 0);
    const [line] = limitLines(gateway, name);
    assert.deepEqual([line.level, line.count, line.remote_addr], ["warn", "1", address]);
    const refused = await counts(gateway, "refused_total");
    assert.ok(refused[name] > 0, JSON.stringify(refused));
    assert.equal((await gateway.stats()).refused[name], refused[name]);
    await reach(t, gateway, "2").catch(() => {}); // who is in stays in: one may be refused sooner
    const { [name]: again } = await counts(gateway, "refused_total");
    assert.ok(again > refused[name], `${again}`);
    assert.equal(limitLines(gateway, name).length, 1, "further ones wait for the next line");
  });
}

/** Lets the process have so many open files. */
const limitFiles = (gateway, soft) => execFileSync("prlimit", ["--pid", String(gateway.pid), `--nofile=${soft}:`]);

test("a gateway without a free descriptor says so, does not spin, and takes who waited when there are some again", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  const alice = await joined(t, gateway.url, "alice");
  limitFiles(gateway, 5);
  const began = Date.now();
  const late = new Member(t, gateway.url);
  await until("the line is there", () => limitLines(gateway, "descriptors").length === 1);
  await lasting(1000);
  limitFiles(gateway, 1000);
  await late.join("late");
  const seconds = (Date.now() - began) / 1000;
  const { descriptors } = await counts(gateway, "refused_total");
  assert.ok(descriptors >= 1 && descriptors <= 10 + 20 * seconds, `tried ${descriptors} times in ${seconds} s`);
  await alice.settled();
  assert.equal(limitLines(gateway, "descriptors").length, 1);
});

test("of 60 clients those for whom there are no descriptors are counted, and the log says why they are not in", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, wrap: ["prlimit", "--nofile=80:80"] });
  const all = Array.from({ length: 60 }, () => new Member(t, gateway.url));
  await until("each is in or not", () => all.every(({ socket, error }) => socket.readyState === 1 || error));
  const out = all.filter(({ error }) => error).length;
  assert.ok(out > 0 && out < 60, `${out} are out`);
  await until("the line is there", () => limitLines(gateway, "descriptors").length === 1);
  all[0].socket.terminate();
  const stats = await until("there is one for the operator", async () => gateway.stats().catch(() => null));
  assert.ok(stats.refused.descriptors >= out);
});

// --- Rate ---

/** Sends it again and again, as fast as it goes, until the connection is closed. */
async function floodUntilClosed(member, send) {
  await until("it is closed", async () => {
    for (let i = 0; i < 50 && member.socket.readyState === 1; i++) send(member);
    return member.closed;
  });
  return member.closed.code;
}

const FLOODS = {
  "lines": (member) => member.send({ type: "say", text: "hello" }),
  "JSON pings": (member) => member.send({ type: "ping" }),
  "typing": (member) => member.send({ type: "typing" }),
  "rubbish": (member) => member.send("rubbish"),
  "unknown types": (member) => member.send({ type: "teleport" }),
  "lists": (member) => member.send({ type: "members" }),
  "joins": (member) => member.send({ type: "join", name: "alice" }),
  "WebSocket pings": (member) => member.socket.ping("x"),
  "WebSocket pongs": (member) => member.socket.pong("x"),
};

for (const [what, send] of Object.entries(FLOODS)) {
  test(`who floods with ${what} is closed with 4429 within seconds, member or not`, async (t) => {
    const gateway = await startGateway(t, { redis: await startRedis(t) });
    const bob = await joined(t, gateway.url, "bob");
    assert.equal(await floodUntilClosed(await joined(t, gateway.url, "alice"), send), 4429);
    assert.equal(await floodUntilClosed(await new Member(t, gateway.url).opened(), send), 4429);
    await bob.settled();
    assert.equal(bob.closed, null);
  });
}

test("who floods without answering pings is closed with 4429, too", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  const socket = await rawVisitor(t, gateway);
  const parts = [];
  socket.on("data", (part) => parts.push(part));
  await until("it is closed", () => {
    if (!socket.destroyed) socket.write(Buffer.concat(Array(20).fill(frame(1, "rubbish"))));
    return Buffer.concat(parts).includes(Buffer.from([0x11, 0x4d])); // 4429
  }, 60000);
});

/** Says so many lines at once, and each that is refused again when the answer says so, until all are accepted. */
async function obey(t, member, count) {
  const timers = [];
  atEnd(t, () => timers.forEach(clearTimeout));
  const say = (nonce) => member.send({ type: "say", text: nonce, nonce });
  member.socket.on("message", (data) => {
    const { code, nonce, retry_after } = JSON.parse(data.toString());
    if (code === "too_fast") timers.push(setTimeout(() => say(nonce), retry_after * 1000));
  });
  for (let i = 0; i < count; i++) say(`n${i}`);
  await until(() => `all are accepted; closed ${JSON.stringify(member.closed)}`, () => member.closed || new Set(member.received.filter(({ type }) => type === "ack").map(({ nonce }) => nonce)).size === count, 30000);
  assert.equal(member.closed, null);
}

test("a client that does what retry_after says is never closed, and all its lines are accepted, however many it sends at once", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--rate", "40:20"] });
  const alice = await joined(t, gateway.url, "alice");
  const LINES = 300;
  await obey(t, alice, LINES);
  const again = alice.received.filter(({ code }) => code === "too_fast");
  assert.ok(again.length < 2 * LINES, `${again.length} refusals: they come back at different times`);
});

test("a client that does what retry_after says is never closed, though each late line leaves the next without a token", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--rate", "50:1"] });
  const alice = await joined(t, gateway.url, "alice");
  await obey(t, alice, 100);
});

test("who cannot have read that it is too fast, for want of a good line, is not closed", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  const alice = await joined(t, gateway.url, "alice");
  const flood = (count) => Array.from({ length: count }, () => FLOODS.lines(alice));
  alice.socket.pause();
  flood(100);
  await until("the first ones are refused", async () => (await counts(gateway, "refused_total")).rate > 50);
  await lasting(6000);
  flood(300);
  await until("the others, too", async () => (await counts(gateway, "refused_total")).rate > 300);
  alice.socket.resume();
  await alice.settled();
  assert.equal(alice.closed, null);
});

test("a client that pings, types and speaks as it may never notices the rate", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  const alice = await joined(t, gateway.url, "alice");
  for (let i = 0; i < 12; i++) alice.send({ type: "say", text: `${i}`, nonce: `${i}` }); // and some are left, as delays differ
  for (let i = 12; i < 34; i++) { // five in a second
    await lasting(220);
    alice.send({ type: "say", text: `${i}`, nonce: `${i}` });
    if (i % 5 === 0) for (const type of ["typing", "ping"]) alice.send({ type });
    if (i % 5 === 0) alice.socket.ping();
  }
  await alice.waitFor({ type: "ack", nonce: "33" });
  await alice.settled();
  assert.deepEqual(alice.received.filter(({ type }) => type === "error"), []);
  assert.deepEqual(await counts(gateway, "refused_total"), {});
});

test("without a rate nothing is refused, and nobody is closed", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--rate", "0"] });
  const alice = await joined(t, gateway.url, "alice");
  for (let i = 0; i < 500; i++) {
    alice.send({ type: "say", text: `${i}`, nonce: `${i}` });
    alice.send({ type: "ping" });
    alice.socket.ping();
  }
  await alice.waitFor({ type: "ack", nonce: "499" });
  await until("every ping is answered", () => alice.received.filter(({ type }) => type === "pong").length === 500);
  assert.deepEqual(alice.received.filter(({ type }) => type === "error"), []);
});

test("who is closed for what it sent is told so through nginx, too, however much is still under way", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--trusted-proxy", "127.0.0.1"] });
  const nginx = await startNginx(t, [`127.0.0.1:${gateway.port}`]);
  const flooder = await joined(t, nginx.url, "flooder");
  for (let i = 0; i < 50000; i++) FLOODS.typing(flooder);
  assert.equal((await flooder.waitClosed()).code, 4429);
  const big = await joined(t, nginx.url, "big");
  big.send("x".repeat(20000000));
  assert.equal((await big.waitClosed()).code, 1009);
});

// --- The operator asks: who is flooding? ---

test("who is flooding: one line of the log for a member in a minute, also when it comes back to go on", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  const alice = await joined(t, `${gateway.url}/den`, "alice");
  await joined(t, `${gateway.url}/den`, "bob");
  assert.equal(await floodUntilClosed(alice, FLOODS.lines), 4429);
  const [line] = await until("the line", () => ofKind(gateway, "flood").length > 0 && ofKind(gateway, "flood"));
  assert.deepEqual([line.id, line.username, line.remote_addr, line.room], [alice.welcome.me.id, "alice", "127.0.0.1", "den"]);
  const lost = await until("its end", () => ofKind(gateway, "lost").find(({ username }) => username === "alice"));
  assert.ok(Number(line.count) > 50 && Number(line.count) <= Number(lost.refused), `${line.count} of ${lost.refused}`);
  const again = await joined(t, `${gateway.url}/den`, "alice", { resume: alice.welcome.resume });
  assert.equal(again.welcome.me.id, alice.welcome.me.id);
  assert.equal(await floodUntilClosed(again, FLOODS.lines), 4429);
  await until("its second end", () => ofKind(gateway, "lost").filter(({ username, why }) => username === "alice" && why === "rate").length === 2);
  assert.equal(ofKind(gateway, "flood").length, 1);
});

test("who is flooding without having joined is known by its address", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--log-address", "masked", "--trusted-proxy", "127.0.0.1"] });
  const visitor = await new Member(t, gateway.url, { headers: { "X-Forwarded-For": "203.0.113.7" } }).opened();
  await floodUntilClosed(visitor, FLOODS.rubbish);
  const [line] = await until("the line", () => ofKind(gateway, "flood").length > 0 && ofKind(gateway, "flood"));
  assert.deepEqual([line.id, line.username, line.remote_addr, line.room], [undefined, undefined, "203.0.113.x", "lobby"]);
});

test("who floods and stays is told of while it does", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--rate", "1:2"] });
  const alice = await joined(t, gateway.url, "alice");
  for (let i = 0; i < 30; i++) FLOODS.lines(alice);
  const [line] = await until("the line", () => ofKind(gateway, "flood").length > 0 && ofKind(gateway, "flood"));
  assert.equal(line.username, "alice");
  assert.ok(Number(line.count) >= 25 && Number(line.count) <= 29, line.count); // of 30, and the token of the join is gone
  assert.equal(alice.closed, null);
});

// --- The operator asks: why was X cut off? ---

const LINE = "x".repeat(2000);

/** Says lines until so many readers were closed because they do not read. */
async function talkUntilSlow(gateway, talker, count = 1) {
  let said = 0;
  await until("the lazy one is too slow", async () => {
    for (let i = 0; i < 50; i++) talker.send({ type: "say", text: LINE, nonce: `n${said++}` });
    await until("they are acknowledged", () => talker.find({ type: "ack", nonce: `n${said - 1}` }));
    return (await gateway.stats()).slow_readers === count;
  }, 60000);
}

const ENDS = {
  "closed by client": {
    by: "client", code: "1000",
    end: ({ alice }) => alice.socket.close(1000),
  },
  cut: {
    by: "network", code: "1006",
    end: ({ alice }) => alice.socket.terminate(),
  },
  "missed pong": {
    by: "gateway", code: "1006", args: ["--ping", "1"], ms: 30000,
    end: ({ alice }) => alice.socket.pause(),
  },
  "slow reader": {
    by: "gateway", code: "4408", args: ["--rate", "0", "--backlog", "65536"], ms: 60000,
    async end({ t, gateway, alice }) {
      const talker = await joined(t, gateway.url, "talker");
      alice.socket.pause();
      await talkUntilSlow(gateway, talker);
      alice.socket.resume();
    },
  },
  rate: {
    by: "gateway", code: "4429",
    end: ({ alice }) => floodUntilClosed(alice, FLOODS.lines),
  },
  "resumed elsewhere": {
    by: "gateway", code: "4409", leaves: false,
    end: ({ t, gateway, alice }) => joined(t, gateway.url, "alice", { resume: alice.welcome.resume }),
  },
  "protocol error": {
    by: "gateway", code: "1002",
    end: ({ alice }) => alice.socket._socket.write(Buffer.from([0x81, 0x01, 0x78])), // without a mask
  },
  "not text": {
    by: "gateway", code: "1003",
    end: ({ alice }) => alice.send(Buffer.from("binary")),
  },
  "max-message": {
    by: "gateway", code: "1009", args: ["--max-text", "10", "--max-message", "1000"],
    end: ({ alice }) => alice.send("x".repeat(1001)),
  },
};

for (const [why, { by, code, end, args = [], ms, leaves = true }] of Object.entries(ENDS)) {
  test(`why was X cut off: "${why}" is in the log at the moment, with who, and counted alike`, { timeout: 120000 }, async (t) => {
    const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--leave-grace", "1", ...args] });
    const alice = await joined(t, gateway.url, "alice");
    await end({ t, gateway, alice });
    const lines = () => ofKind(gateway, "lost").filter(({ username }) => username === "alice");
    await until("the line", () => lines().length > 0, ms);
    const [line] = lines();
    assert.deepEqual([line.why, line.by, line.code, line.id, line.remote_addr, line.room], [why, by, code, alice.welcome.me.id, "127.0.0.1", "lobby"]);
    for (const field of ["age", "queued", "refused"]) assert.match(line[field], /^\d+$/, field);
    const left = () => ofKind(gateway, "leave").find(({ id }) => id === alice.welcome.me.id);
    if (leaves) assert.equal((await until("it leaves", left)).message, why);
    assert.equal((await counts(gateway, "lost_total"))[why], 1);
    assert.equal((await counts(gateway, "closes_total"))[code], 1);
    assert.equal((await gateway.stats()).lost[why], 1);
  });
}

test("a gateway that stood still for longer than a pong may take cuts nobody off", { timeout: 120000 }, async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--ping", "1"] });
  const members = await Promise.all(["alice", "bob"].map((name) => joined(t, gateway.url, name)));
  gateway.signal("SIGSTOP");
  await lasting(13000); // ping + 10 s, and more
  gateway.signal("SIGCONT");
  await until("it runs again", async () => (await gateway.stats()).pings > 0);
  members[0].send({ type: "say", text: "hello", nonce: "1" });
  await members[1].waitFor({ type: "message", text: "hello" });
  assert.deepEqual(ofKind(gateway, "lost"), []);
});

test("why was X cut off: a drain is no loss of the network", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  const alice = await joined(t, gateway.url, "alice");
  gateway.signal("SIGTERM");
  assert.equal((await alice.waitClosed()).code, 1012);
  await gateway.ended;
  const [line] = ofKind(gateway, "lost");
  assert.deepEqual([line.why, line.by, line.code, line.username], ["drain", "gateway", "1012", "alice"]);
});

test("who had not joined is in the log by its address when its connection ends", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  const visitor = await new Member(t, `${gateway.url}/den`).opened();
  visitor.socket.close(1001);
  const [line] = await until("the line", () => ofKind(gateway, "lost").length > 0 && ofKind(gateway, "lost"));
  assert.deepEqual([line.why, line.code, line.username, line.id, line.remote_addr, line.room], ["closed by client", "1001", undefined, undefined, "127.0.0.1", "den"]);
});

test("strangers who come and go as fast as they can fill no log, and are counted", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--max-connections-per-address", "0"] });
  const alice = await joined(t, gateway.url, "alice");
  const began = Date.now();
  let gone = 0;
  await until("the log says so", async () => {
    const visitors = await Promise.all(Array.from({ length: 50 }, () => rawVisitor(t, gateway)));
    for (const visitor of visitors) visitor.destroy();
    gone += visitors.length;
    return ofKind(gateway, "strangers").length > 0;
  });
  await until("all are lost", async () => (await counts(gateway, "lost_total")).cut === gone);
  const [line] = ofKind(gateway, "strangers");
  const seconds = (Date.now() - began) / 1000;
  assert.ok(Number(line.count) > 0);
  assert.ok(ofKind(gateway, "lost").length <= 101 + 10 * seconds, `${ofKind(gateway, "lost").length} in ${seconds} s`);
  const flooder = await new Member(t, gateway.url).opened();
  await floodUntilClosed(flooder, FLOODS.rubbish);
  await until("who floods is told all the same", () => ofKind(gateway, "flood").length > 0);
  alice.socket.terminate();
  await until("a member's line is written all the same", () => ofKind(gateway, "lost").some(({ username }) => username === "alice"));
});

test("a reader that stops, and reads on long after it was too slow, sees 4408", { timeout: 120000 }, async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--rate", "0", "--backlog", "65536"] });
  const talker = await joined(t, gateway.url, "talker");
  const lazy = await joined(t, gateway.url, "lazy");
  lazy.socket.pause();
  await talkUntilSlow(gateway, talker);
  for (let i = 0; i < 8; i++) {
    await lasting(1000);
    lazy.send({ type: "ping" }); // what it sends must not make the kernel throw away what it has yet to read
  }
  lazy.socket.resume();
  assert.equal((await lazy.waitClosed()).code, 4408);
  const line = await until("the line", () => ofKind(gateway, "lost").find(({ username }) => username === "lazy"));
  assert.deepEqual(await counts(gateway, "closes_total"), { 4408: 1 });
  assert.deepEqual([line.code, line.why], ["4408", "slow reader"]);
});

test("a reader that stops for good is cut off in a bounded time, and its end is told as 4408", { timeout: 120000 }, async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--rate", "0", "--backlog", "65536"] });
  const talker = await joined(t, gateway.url, "talker");
  const lazy = await joined(t, gateway.url, "lazy");
  lazy.socket.pause();
  await talkUntilSlow(gateway, talker);
  await until("it is cut off", async () => (await gateway.stats()).connections === 1, 60000);
  assert.deepEqual(await counts(gateway, "lost_total"), { "slow reader": 1 });
});

// --- One form ---

test("a room has one form in all lines of the log: its name", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--rate", "1:3"] });
  const alice = await joined(t, `${gateway.url}/${encodeURIComponent("葛城")}`, "alice");
  redis.run("PUBLISH", "yukizuri:{葛城}", '{"type":"nothing of ours"}');
  for (let i = 0; i < 10; i++) FLOODS.lines(alice);
  await until("all is told", () => ["join", "dropped-event", "flood"].every((kind) => ofKind(gateway, kind).length > 0));
  alice.socket.terminate();
  await until("it is lost", () => ofKind(gateway, "lost").length > 0);
  const rooms = gateway.log.map(({ room }) => room).filter((room) => room !== undefined);
  assert.deepEqual(new Set(rooms), new Set(["葛城"]));
});
