// The state of a room in Redis, in the form of the model.
import assert from "node:assert/strict";

const READ_ALL = `
local how = {hash = {'HGETALL'}, set = {'SMEMBERS'}, zset = {'ZRANGE', '0', '-1', 'WITHSCORES'}, string = {'GET'},
             stream = {'XRANGE', '-', '+'}, list = {'LRANGE', '0', '-1'}}
local all = {}
for i, key in ipairs(redis.call('KEYS', '*')) do
    local kind = redis.call('TYPE', key).ok
    local read = how[kind]
    all[i] = {key, kind, redis.call('PTTL', key), redis.call(read[1], key, unpack(read, 2))}
end
return all`;

const pairs = (list) => Object.fromEntries(Array.from({ length: list.length / 2 }, (_, i) => [list[2 * i], list[2 * i + 1]]));
const sorted = (map) => Object.fromEntries([...map].sort(([a], [b]) => (a < b ? -1 : 1)));

/** Every key as {key, kind, ttl, value}, in order; hashes and sorted sets as objects. */
export async function readAll(redis) {
  const all = await redis.call("EVAL", READ_ALL, 0);
  const read = { hash: pairs, zset: pairs, set: (names) => names.sort() };
  const keys = all.map(([key, kind, ttl, value]) => ({ key, kind, ttl, value: (read[kind] ?? ((same) => same))(value) }));
  return keys.sort((a, b) => (a.key < b.key ? -1 : 1));
}

export function checkTtls(all) {
  for (const { key, ttl } of all) assert.ok(ttl > 0, `${JSON.stringify(key)} has a TTL`);
}

function entry([id, [, , , event, , said]]) {
  return { seq: Number(id.split("-")[0]), said: Number(said), event: withoutTime(JSON.parse(event)) };
}

/** An event without its time. */
export function withoutTime({ at, ...event }) {
  if (event.type === "message") assert.ok(Number.isInteger(at) && at > 1e12, `${at} is a moment`);
  return event;
}

const readForks = (text) => (text ?? "").split(" ").filter((fork) => fork !== "").map((fork) => [fork.split(":")[0], Number(fork.split(":")[1])]);

const readers = {
  head: (state, { epoch, seq, said, history, forks }) => (state.head = { epoch, seq: Number(seq), said: Number(said), history, forks: readForks(forks) }),
  recent: (state, entries) => (state.kept = entries.map(entry)),
  members: (state, names) => (state.listed = new Set(names)),
  member: (state, { id, name, address, shown, mark = "", gateway, session, asked_at, resume, floor, floor_epoch = "" }, folded) =>
    state.members.set(folded, { id, name, address, shown, mark, gateway, session, asked: Number(asked_at), hash: resume, floor: Number(floor), floorEpoch: floor_epoch }),
  left: (state, { resume, floor, floor_epoch = "", asked_at, session, name }, id) =>
    state.left.set(id, { ...(resume !== undefined && { hash: resume, floor: Number(floor), floorEpoch: floor_epoch }), asked: Number(asked_at), session, name }),
  nonces: (state, scores, id) => state.nonces.set(id, new Map(Object.entries(scores).map(([nonce, number]) => [nonce, Number(number)]))),
};

/** The state of one room, from `readAll`. If `model` is not null, it adopts this state. */
export function readRoom(all, base) {
  const state = { head: null, kept: [], listed: new Set(), members: new Map(), left: new Map(), nonces: new Map() };
  for (const { key, value } of all) {
    if (!key.startsWith(`${base}:`)) continue;
    const [, kind, name] = /^([a-z]+):?(.*)$/s.exec(key.slice(base.length + 1));
    readers[kind](state, value, name);
  }
  return state;
}

/** A form in which model and Redis are equal if they agree. */
export function comparable({ head, kept, listed, members, left, nonces }) {
  return {
    head, kept, listed: [...listed].sort(), members: sorted(members), left: sorted(left),
    nonces: sorted(new Map([...nonces].map(([id, numbers]) => [id, sorted(numbers)]))),
  };
}
