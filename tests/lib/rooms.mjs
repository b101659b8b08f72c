// A room and its gateways as Redis has them.
import { until } from "./until.mjs";

export const ROOM = "yukizuri:{lobby}";
export const HEAD = `${ROOM}:head`;

/** The names of a room's members, sorted. */
export const membersOf = (redis, room = ROOM) => redis.lines("SMEMBERS", `${room}:members`).sort();

/** The room's events so far, as far as they are kept. */
export const keptEvents = (redis) => redis.lines("XRANGE", `${ROOM}:recent`, "-", "+").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));

/** Whom each of them says to have come ("joined") or to be gone ("left"). */
const told = (redis, way) => keptEvents(redis).map((event) => event[way]?.map(({ name }) => name) ?? []).filter((names) => names.length > 0);
export const arrivals = (redis) => told(redis, "joined");
export const departures = (redis) => told(redis, "left");

export const leaseOf = (id) => `yukizuri:gateway:${id}`;

/** Which of the processes that had this id has the lease. */
export const incarnationOf = (redis, id) => redis.run("HGET", leaseOf(id), "life");

/** How often the lease of this gateway was renewed: three times while it lasts. A clock that the gateway itself moves. */
export const renewals = (redis, id) => Number(redis.run("HGET", leaseOf(id), "renewals"));

/** So many renewals go by from now on. */
export async function renewalsPass(redis, id, count, ms) {
  const from = renewals(redis, id);
  await until(() => `${count} renewals of ${id}: ${renewals(redis, id) - from}`, () => renewals(redis, id) >= from + count, ms);
}
