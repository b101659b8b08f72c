// The state of a room and of its gateways in Redis.
import { until } from "./until.mjs";

export const ROOM = "yukizuri:{lobby}";
export const HEAD = `${ROOM}:head`;

/** The names of a room's members, sorted. */
export const membersOf = (redis, room = ROOM) => redis.lines("SMEMBERS", `${room}:members`).sort();

/** Makes the room, which has been joined, store presence events from here on, as after its first message. */
export const breakSilence = (redis) => redis.run("HSET", HEAD, "said", "1");

/** The stored events of the room. */
export const keptEvents = (redis) => redis.lines("XRANGE", `${ROOM}:recent`, "-", "+").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));

/** The names in the `joined` or `left` list of each event. */
const told = (redis, way) => keptEvents(redis).map((event) => event[way]?.map(({ name }) => name) ?? []).filter((names) => names.length > 0);
export const arrivals = (redis) => told(redis, "joined");
export const departures = (redis) => told(redis, "left");

export const leaseOf = (id) => `yukizuri:gateway:${id}`;

/** The incarnation that has the lease of this id. */
export const incarnationOf = (redis, id) => redis.run("HGET", leaseOf(id), "life");

/** The number of renewals of this gateway's lease, three per `lease`. It serves as a clock that the gateway itself advances. */
export const renewals = (redis, id) => Number(redis.run("HGET", leaseOf(id), "renewals"));

/** Waits for `count` renewals. */
export async function renewalsPass(redis, id, count, ms) {
  const from = renewals(redis, id);
  await until(() => `${count} renewals of ${id}: ${renewals(redis, id) - from}`, () => renewals(redis, id) >= from + count, ms);
}
