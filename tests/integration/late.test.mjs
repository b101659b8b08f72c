// What a gateway asked of Redis, and what is carried out when it is too late: the way to Redis stood
// still, or Redis did. Bugs that breaking things on purpose has found, each under its symptom.
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import test from "node:test";
import { Member, atEnd, joined, lasting, startGateway, startRedis, until } from "../lib/harness.mjs";

/** A way to Redis that can be held up: what is sent meanwhile comes later, also of a connection that was
 * closed, as from a socket's buffer. Answers are not held up. */
async function startPath(t, port) {
  const late = [];
  let held = false;
  const pass = (deliver) => (held ? late.push(deliver) : deliver());
  const sockets = new Set();
  const server = net.createServer((gateway) => {
    const redis = net.connect(port, "127.0.0.1");
    gateway.on("data", (bytes) => pass(() => redis.write(bytes)));
    gateway.on("close", () => pass(() => redis.end()));
    redis.on("data", (bytes) => gateway.destroyed || gateway.write(bytes));
    redis.on("close", () => gateway.destroy());
    for (const socket of [gateway, redis]) sockets.add(socket.on("error", () => {}));
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  atEnd(t, () => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return {
    url: `redis://127.0.0.1:${server.address().port}`,
    hold: () => (held = true),
    release() {
      held = false;
      for (const deliver of late.splice(0)) deliver();
    },
  };
}

/** Redis, a gateway, and one whose way to Redis can be held up; alice is on the first, and on the other somebody who
 * opened the room there. */
async function startRoom(t, { opened = true } = {}) {
  const redis = await startRedis(t);
  const path = await startPath(t, redis.port);
  const [near, far] = [await startGateway(t, { redis }), await startGateway(t, { redis: path.url, args: ["--gateway-id", "far"] })];
  const alice = await joined(t, near.url, "alice");
  if (opened) await joined(t, far.url, "carol");
  const session = () => redis.lines("HMGET", "yukizuri:{lobby}:member:alice", "gateway", "session");
  const comeBack = { type: "join", name: "alice", resume: alice.welcome.resume };
  return { redis, path, near, far, alice, session, comeBack };
}

test("a join that its gateway had given up took the member from the socket it was on by then", async (t) => {
  const { redis, path, near, far, alice, session, comeBack } = await startRoom(t);
  const before = session();
  const given = await new Member(t, far.url).opened();
  path.hold();
  given.send(comeBack);
  await given.waitFor({ type: "error", code: "unavailable" });
  path.release();
  const judged = () => redis.run("INFO", "errorstats").includes("errorstat_LATE:count=1");
  await until("Redis has judged it", () => judged() || session().join() !== before.join());
  const bob = await joined(t, near.url, "bob");
  bob.send({ type: "say", text: "still here?" });
  await alice.waitFor({ type: "message", text: "still here?" });
  assert.equal(alice.closed, null);
  assert.deepEqual(session(), before);
});

for (const opened of [true, false])
  test(`a join that was held up took the member from a socket that had asked later; the room was ${opened ? "open" : "not open"} there`, async (t) => {
    const { path, near, far, session, comeBack } = await startRoom(t, { opened });
    const held = await new Member(t, far.url).opened();
    path.hold();
    held.send(comeBack);
    await lasting(400); // a gateway knows Redis' clock to a quarter of a second
    const later = await joined(t, near.url, "alice", { resume: comeBack.resume });
    const before = session();
    path.release();
    const answer = await held.waitFor(({ type }) => type === "welcome" || type === "error");
    assert.equal(answer.code, "unavailable");
    await later.settled();
    assert.equal(later.closed, null);
    assert.deepEqual(session(), before);
  });

test("a gateway that had been frozen asked for somebody who had gone meanwhile", async (t) => {
  const { near, far, session, comeBack } = await startRoom(t);
  const gone = await new Member(t, far.url).opened();
  const connections = (await far.stats()).connections;
  far.signal("SIGSTOP");
  atEnd(t, () => far.running && far.signal("SIGCONT"));
  gone.send(comeBack);
  gone.socket.terminate();
  await gone.waitClosed();
  const later = await joined(t, near.url, "alice", { resume: comeBack.resume });
  const before = session();
  far.signal("SIGCONT");
  await until("its gateway knows that it is gone", async () => (await far.stats()).connections < connections);
  await later.settled();
  assert.equal(later.closed, null);
  assert.deepEqual(session(), before);
});

test("the moment at which a member asked is of no use once Redis' clock has been set back", async (t) => {
  const { redis, near, far, alice, comeBack } = await startRoom(t);
  const key = "yukizuri:{lobby}:member:alice";
  const [asked] = redis.lines("HGET", key, "asked_at");
  assert.ok(Math.abs(Number(asked) - Date.now()) < 60000, `it is in ms of Redis' clock: ${asked}`);
  redis.run("HSET", key, "asked_at", String(Number(asked) + 3600000));
  const again = await joined(t, far.url, "alice", { resume: comeBack.resume });
  assert.equal((await alice.waitClosed()).code, 4409);
  redis.run("HSET", key, "asked_at", "broken by hand");
  await joined(t, near.url, "alice", { resume: comeBack.resume });
  assert.equal((await again.waitClosed()).code, 4409);
});
