// A room on two gateways. The path from one of them to Redis can be stalled.
import { startGateway } from "./gateway.mjs";
import { joined } from "./member.mjs";
import { startHeldPath } from "./redis-paths.mjs";
import { startRedis } from "./redis.mjs";

/** Starts Redis, a gateway, and one whose path to Redis can be stalled. alice is on the first gateway; another member has
 * opened the room on the second. */
export async function startHeldRoom(t, { opened = true } = {}) {
  const redis = await startRedis(t);
  const path = await startHeldPath(t, redis);
  const [near, far] = [await startGateway(t, { redis }), await startGateway(t, { redis: path.url, args: ["--gateway-id", "far"] })];
  const alice = await joined(t, near.url, "alice");
  if (opened) await joined(t, far.url, "carol");
  const session = () => redis.lines("HMGET", "yukizuri:{lobby}:member:alice", "gateway", "session");
  const comeBack = { type: "join", name: "alice", resume: alice.welcome.resume };
  return { redis, path, near, far, alice, session, comeBack };
}
