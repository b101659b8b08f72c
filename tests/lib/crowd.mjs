// Many who want to come in at once.
import assert from "node:assert/strict";
import { Member } from "./member.mjs";
import { arrivals } from "./rooms.mjs";
import { until } from "./until.mjs";

/** Everybody asks to come in while Redis stands still (until the test thaws it), and the gateway has read it when this is done. */
export async function waitingCrowd(t, gateway, redis, count) {
  const crowd = Array.from({ length: count }, () => new Member(t, gateway.url));
  await Promise.all(crowd.map((member) => member.opened()));
  redis.freeze(t);
  for (const [i, member] of crowd.entries()) member.sendTogether([{ type: "join", name: `guest-${i}` }, { type: "ping" }]);
  await Promise.all(crowd.map((member) => member.waitFor({ type: "pong" })));
  return crowd;
}

/** Opens a socket for each of these joins; they stand in line behind so many others that they share calls. All are answered. */
export async function joinTogether(t, gateway, redis, joins) {
  const sockets = await Promise.all(joins.map(() => new Member(t, gateway.url).opened()));
  const before = await waitingCrowd(t, gateway, redis, 130); // at most 120 can be under way
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
