// Many clients that join at once.
import assert from "node:assert/strict";
import { Member } from "./member.mjs";
import { arrivals, breakSilence } from "./rooms.mjs";
import { until } from "./until.mjs";

/** Sends `count` joins while Redis is frozen (until the test thaws it). The gateway has read them when this returns. */
export async function waitingBurst(t, gateway, redis, count) {
  const burst = Array.from({ length: count }, () => new Member(t, gateway.url));
  await Promise.all(burst.map((member) => member.opened()));
  redis.freeze(t);
  for (const [i, member] of burst.entries()) member.sendTogether([{ type: "join", name: `guest-${i}` }, { type: "ping" }]);
  await Promise.all(burst.map((member) => member.waitFor({ type: "pong" })));
  return burst;
}

/** Opens a socket for each of these joins. They wait behind so many other joins that they share calls. Returns after all answers. */
export async function joinTogether(t, gateway, redis, joins) {
  const sockets = await Promise.all(joins.map(() => new Member(t, gateway.url).opened()));
  breakSilence(redis);
  const before = await waitingBurst(t, gateway, redis, 130); // at most 120 can be in flight
  for (const [i, socket] of sockets.entries()) {
    socket.sendTogether([{ type: "join", ...joins[i] }, { type: "ping" }]);
    await socket.waitFor({ type: "pong" });
  }
  redis.thaw();
  await Promise.all(before.map((member) => member.waitFor({ type: "welcome" })));
  await until("all are answered", () => sockets.every((member) => member.closed || member.find(({ type }) => type === "welcome" || type === "error")));
  const mine = new Set(joins.map(({ name }) => name));
  assert.ok(arrivals(redis).some((names) => names.filter((name) => mine.has(name)).length > 1), "they shared a call");
  return sockets;
}
