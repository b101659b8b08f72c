// Limits: each refusal is reported to the client, counted, and logged.
import assert from "node:assert/strict";
import { once } from "node:events";
import fs from "node:fs";
import net from "node:net";
import path from "node:path";
import test from "node:test";
import { Member, UPGRADE, atEnd, counts, get, joined, lapse, maskedFrame, ofKind, rawWebSocket, runAsGateway, startGateway, startRedis, stopwatch, temporaryDirectory, until } from "../lib/harness.mjs";
import { talkUntilSlow } from "../lib/floods.mjs";
import { preload } from "../lib/preload.mjs";

const limitLines = (gateway, name) => ofKind(gateway, "limit").filter((line) => line.limit === name);

test("at most 1,000 rooms without members stay open", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--rate", "0"] });
  for (let i = 0; i < 1200; i += 50)
    await Promise.all(
      Array.from({ length: 50 }, async (_, k) => {
        const member = await joined(t, `${gateway.url}/r${i + k}`, "a");
        member.send({ type: "leave" });
        await member.settled();
        member.socket.terminate();
      }),
    );
  await until("at most 1,000 linger", async () => (await gateway.stats()).rooms <= 1000);
});

test("connections above the limit per address are refused, also behind a trusted proxy", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--max-connections-per-address", "2", "--trusted-proxy", "127.0.0.1"] });
  const from = (address) => new Member(t, gateway.url, { headers: { "X-Forwarded-For": address } });
  await from("203.0.113.7").opened();
  const second = await from("203.0.113.7").opened();
  const third = from("203.0.113.7");
  await until("it is refused", () => third.error);
  assert.match(third.error.message, /429/);
  await from("203.0.113.8").opened();
  second.socket.terminate();
  await until("a place is free again", async () => (await gateway.stats()).connections === 2);
  await from("203.0.113.7").opened();
});

test("connections above the limit of the gateway are refused with 503", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--max-connections", "1"] });
  await new Member(t, gateway.url).opened();
  const second = new Member(t, gateway.url);
  await until("it is refused", () => second.error);
  assert.match(second.error.message, /503/);
});

test("a full room refuses joins until a place is free", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--max-members", "2", "--leave-grace", "0"] });
  const alice = await joined(t, gateway.url, "alice");
  await joined(t, gateway.url, "bob");
  const carol = await new Member(t, gateway.url).opened();
  carol.send({ type: "join", name: "carol" });
  assert.ok((await carol.waitFor({ type: "error", code: "room_full" })).retry_after > 0);
  await joined(t, `${gateway.url}/elsewhere`, "carol");
  alice.send({ type: "leave" });
  await alice.settled();
  await until("carol comes in", async () => (await carol.askToJoin("carol")).type === "welcome");
});

test("a reader that takes most of max-unsent is closed with 4408, newcomers get 503 meanwhile, and all of it is free afterwards", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--max-unsent", "140000", "--rate", "0"] });
  const bob = await joined(t, gateway.url, "bob");
  const lazy = await rawWebSocket(t, gateway);
  lazy.pause();
  await until("it is closed", async () => {
    lazy.write(PINGS);
    return (await counts(gateway, "refused_total"))["max-unsent"] > 0;
  });
  const { unsent_bytes: unsent } = await gateway.stats();
  assert.ok(unsent >= 70000 && unsent <= 140000, `${unsent}`);
  const late = new Member(t, gateway.url);
  await refusedAt(late);
  assert.match(late.error.message, /503/);
  await bob.say("still here");
  lazy.destroy();
  await until("all is free", async () => (await gateway.stats()).unsent_bytes === 0);
  await joined(t, gateway.url, "carol");
});

test("readers who take nothing, each of them little, and use half of max-unsent, are closed with 4408", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--max-unsent", "600000", "--rate", "0", "--ping", "2"] });
  const unsent = async () => (await gateway.stats()).unsent_bytes;
  const lazy = [];
  while ((await unsent()) < 300000) {
    const one = await rawWebSocket(t, gateway);
    one.pause();
    lazy.push(one);
    const before = await unsent();
    await until("some waits for it", async () => {
      one.write(PINGS.subarray(0, 300 * (125 + 6)));
      return (await unsent()) > before + 40000;
    });
  }
  const late = new Member(t, gateway.url);
  await refusedAt(late);
  assert.match(late.error.message, /503/);
  const pong = maskedFrame(10, "");
  await until("all are closed", async () => {
    for (const one of lazy) one.write(pong); // none is silent
    return (await counts(gateway, "refused_total"))["max-unsent"] === lazy.length + 1;
  });
  for (const one of lazy) one.resume();
  await until("all is free", async () => (await unsent()) === 0);
  await joined(t, gateway.url, "carol");
  await until("their ends are told", async () => (await counts(gateway, "closes_total"))["4408"] === lazy.length);
});

test("a room that somebody left makes place for another one", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--max-rooms", "1"] });
  const alice = await joined(t, gateway.url, "alice");
  alice.send({ type: "leave" });
  await alice.settled();
  alice.socket.terminate();
  const bob = await new Member(t, `${gateway.url}/den`).opened();
  await until("he is in", async () => (await bob.askToJoin("bob")).type === "welcome");
});

async function refusedAt(member) {
  return until("it is refused", () => member.error);
}

// --- Each limit is logged ---

/** Many pings with long payloads, as one client sends them that reads no pong. */
const PINGS = Buffer.concat(Array(2000).fill(maskedFrame(9, "x".repeat(125))));

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
  "max-rooms": {
    args: ["--max-rooms", "1"],
    async reach(t, gateway, more = "") {
      await joined(t, gateway.url, `alice${more}`);
      const bob = await new Member(t, `${gateway.url}/den${more}`).opened();
      const { code, retry_after } = await bob.askToJoin("bob");
      assert.deepEqual([code, retry_after], ["unavailable", 10]);
    },
  },
  "max-pending": {
    args: ["--max-pending", "1"],
    async reach(t, gateway, more = "") {
      const alice = await joined(t, gateway.url, `alice${more}`);
      alice.sendTogether(["1", "2"].map((nonce) => ({ type: "say", text: "hello", nonce })));
      const { code, accepted, retry_after } = await alice.waitFor({ type: "error", nonce: "2" });
      assert.deepEqual([code, accepted, retry_after], ["unavailable", false, 1]);
      await alice.waitFor({ type: "ack", nonce: "1" });
      assert.equal((await alice.insist("3")).type, "ack");
    },
  },
  "max-unsent": {
    args: ["--max-unsent", "80000", "--rate", "0"],
    async reach(t, gateway) {
      const lazy = await rawWebSocket(t, gateway);
      lazy.pause();
      const refused = async () => (await counts(gateway, "refused_total"))["max-unsent"] ?? 0;
      const before = await refused();
      await until("it is closed", async () => {
        lazy.write(PINGS);
        return (await refused()) > before;
      });
    },
  },
  backlog: {
    args: ["--rate", "0", "--backlog", "65536"],
    async reach(t, gateway, more = "") {
      const talker = await joined(t, gateway.url, `talker${more}`);
      const lazy = await joined(t, gateway.url, `lazy${more}`);
      lazy.socket.pause();
      await talkUntilSlow(gateway, talker);
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
  "max-fragments": {
    args: ["--max-fragments", "8"],
    async reach(t, gateway, more = "") {
      const alice = await joined(t, gateway.url, `alice${more}`);
      for (let i = 0; i < 9; i++) alice.socket.send("x", { fin: false });
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
  test(`a client that is refused because of ${name} is logged at once and counted`, async (t) => {
    const gateway = await startGateway(t, { redis: await startRedis(t), args });
    await reach(t, gateway);
    await until("the line is there", () => limitLines(gateway, name).length > 0);
    const [line] = limitLines(gateway, name);
    assert.deepEqual([line.level, line.count, line.remote_addr], ["warn", "1", address]);
    const refused = await counts(gateway, "refused_total");
    assert.ok(refused[name] > 0, JSON.stringify(refused));
    assert.equal((await gateway.stats()).refused[name], refused[name]);
    await reach(t, gateway, "2").catch(() => {}); // joined members stay, so one client may be refused earlier
    const { [name]: again } = await counts(gateway, "refused_total");
    assert.ok(again > refused[name], `${again}`);
    assert.equal(limitLines(gateway, name).length, 1, "further ones wait for the next line");
  });
}

/** Sets the limit of open files of a process. */
const limitFiles = (gateway, soft) => runAsGateway("prlimit", ["--pid", String(gateway.pid), `--nofile=${soft}:`]);

test("a gateway without a free descriptor logs this, does not spin, and accepts the waiting clients when descriptors are free", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  const alice = await joined(t, gateway.url, "alice");
  limitFiles(gateway, 5);
  const seconds = stopwatch();
  const late = new Member(t, gateway.url);
  await until("the line is there", () => limitLines(gateway, "descriptors").length === 1);
  await lapse(1000).end(); // this cannot be observed from outside, because a request takes a descriptor
  limitFiles(gateway, 1000);
  await late.join("late");
  const { descriptors } = await counts(gateway, "refused_total");
  assert.ok(descriptors >= 1 && descriptors <= 10 + 20 * seconds(), `tried ${descriptors} times in ${seconds()} s`);
  await alice.settled();
  assert.equal(limitLines(gateway, "descriptors").length, 1);
});

test("where the kernel has no memory for a socket, this is logged, nothing spins, and who waits is accepted when there is some", async (t) => {
  const file = path.join(temporaryDirectory(t), "without");
  const gateway = await startGateway(t, { redis: await startRedis(t), env: preload(t, { NO_MEMORY: file }) });
  const refused = async () => (await counts(gateway, "refused_total"))["kernel-memory"];
  fs.writeFileSync(file, "accept4");
  const seconds = stopwatch();
  const late = new Member(t, gateway.url);
  await until("the line is there", () => limitLines(gateway, "kernel-memory").length === 1);
  await lapse(1000).end();
  fs.rmSync(file);
  await late.join("late");
  const tried = await refused();
  assert.ok(tried >= 2 && tried <= 10 + 20 * seconds(), `tried ${tried} times in ${seconds()} s`);

  gateway.freeze(t); // so that a whole handshake is there when it accepts
  fs.writeFileSync(file, "epoll_ctl");
  const cut = net.connect(gateway.port, "127.0.0.1");
  const ended = once(cut, "close");
  cut.on("error", () => {});
  cut.write(UPGRADE);
  await once(cut, "connect");
  gateway.thaw();
  await ended;
  fs.rmSync(file);
  await until("its end is told", () => ofKind(gateway, "lost").some(({ why }) => why === "kernel memory"));
  assert.ok((await refused()) > tried); // whatever else it watched meanwhile has failed, too
  await late.settled();
});

test("of 60 clients, those without a descriptor are counted, and the log gives the reason", async (t) => {
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

test("a gateway without a free descriptor for Redis reports this reason, not a missing thread", async (t) => {
  const redis = await startRedis(t, { shipped: false });
  const gateway = await startGateway(t, { redis });
  const socket = net.connect(gateway.port, "127.0.0.1");
  let answer = "";
  socket.on("data", (data) => (answer += data));
  atEnd(t, () => socket.destroy());
  const ask = async () => {
    answer = "";
    socket.write("GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n");
    await until("an answer", () => /\r\n\r\n[^]/.test(answer));
    return answer;
  };
  assert.match(await ask(), / 200 /);
  await redis.stop("SIGKILL");
  await until("it has noticed", async () => / 503 /.test(await ask()));
  const limit = (most) => runAsGateway("prlimit", ["--pid", String(gateway.pid), `--nofile=${most}:${before}`]);
  const before = runAsGateway("prlimit", ["--pid", String(gateway.pid), "--nofile", "--noheadings", "--output", "HARD"]).trim();
  let least = Infinity; // some are in use for a short time only, for the next attempt
  const leaveNone = () => {
    const used = new Set(fs.readdirSync(`/proc/${gateway.pid}/fd`).map(Number));
    let free = 0;
    while (used.has(free)) free++;
    least = Math.min(least, free);
    limit(least);
  };
  await until(() => `it says what is missing: ${answer}`, async () => {
    leaveNone();
    return /Too many open files; no descriptor is free: raise the limit of open files/.test(await ask());
  });
  limit(before);
});
