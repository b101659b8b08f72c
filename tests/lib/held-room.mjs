// A room on two gateways, of which one's way to Redis can be held up.
import { startGateway } from "./gateway.mjs";
import { joined } from "./member.mjs";
import { startHeldPath } from "./redis-paths.mjs";
import { startRedis } from "./redis.mjs";

/** Redis, a gateway, and one whose way to Redis can be held up; alice is on the first, and on the other somebody who
 * opened the room there. */
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
