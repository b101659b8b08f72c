// Damages a room's keys, and checks the rules that every script call must keep even then. After the
// damage the model does not know the state of the room; it adopts the state after each check.
import assert from "node:assert/strict";
import { checkTtls, readAll, readRoom, withoutTime } from "./room-state.mjs";
import { RespError } from "./resp.mjs";
import { canBeShown } from "./room-model.mjs";
import { plain } from "./room-world.mjs";
import { words } from "./room-calls.mjs";

const RUBBISH = ["nan", "inf", "-inf", "-1", "1e300", "x", "", "\0", "1.5", "0x10", " 7", "99999999999999999999", "a".repeat(300), "a:b", 'a"b', "\xff"];
const FORKS = ["a:b:c :: 5", "x:99999999999999999999999999", "\0:1 -:1", `${"y".repeat(5000)}:3`, "nan:nan", Array.from({ length: 40 }, (_, i) => `f${i}:${i}`).join(" ")];
const FIELDS = {
  head: ["epoch", "seq", "said", "history", "forks", "bytes"],
  member: ["id", "name", "address", "shown", "mark", "gateway", "session", "resume", "floor", "asked_at", "floor_epoch"],
  left: ["resume", "floor", "floor_epoch", "asked_at", "session", "name"],
};
const OPTIONAL = "floor_epoch"; // records of an older gateway have none
const make = {
  string: (key) => ["SET", key, "x"],
  list: (key) => ["RPUSH", key, "x"],
  hash: (key) => ["HSET", key, "foreign", "x"],
  set: (key) => ["SADD", key, "x"],
  zset: (key) => ["ZADD", key, "1", "x"],
  stream: (key) => ["XADD", key, "*", "foreign", "x"],
};
const LAST_ID = "18446744073709551615-18446744073709551615";

/** A random key of the room, as [kind, key]. */
function someKey(random, room) {
  const of = (kind, names) => [kind, `${room.base}:${kind}:${names.length > 0 ? random.pick(names) : "nobody"}`];
  const kind = random.pick(["head", "recent", "members", "member", "left", "nonces"]);
  if (kind === "member") return of(kind, [...room.members.keys()]);
  if (kind === "left") return of(kind, [...new Set([...room.left.keys(), ...[...room.members.values()].map(({ id }) => id)])]);
  if (kind === "nonces") return of(kind, [...room.nonces.keys()]);
  return [kind, `${room.base}:${kind}`];
}

function breakField(random, kind, key) {
  const field = random.pick(FIELDS[kind]);
  if (random.chance(0.25)) return ["HDEL", key, field];
  return ["HSET", key, field, random.pick(field === "forks" ? FORKS : RUBBISH)];
}

function breakWithin(random, room, kind, key) {
  const seq = room.head?.seq ?? 0;
  const nonce = random.pick(["n1", "n2", "n3", "x"]);
  if (kind === "nonces") return ["ZADD", key, random.pick(["inf", "-inf", "-1", "1.5", "1e300", "0"]), nonce];
  if (kind === "members") return random.pick([["SADD", key, "", "no such", "\0"], ["DEL", key]]);
  if (kind !== "recent") return breakField(random, kind, key);
  return random.pick([
    ["XADD", key, "*", "foreign", "x"], ["XADD", key, LAST_ID, "at", "x"], ["XADD", key, `${seq + 1}-7`, "at", "1", "event", "{}", "said", "0"],
    ["XADD", key, `${seq}-7`, "a", "b", "c", "d", "e", "f"], ["XDEL", key, `${Math.max(1, seq - 1)}-0`], ["XADD", key, `${seq + 9}-0`, "event", "x"],
  ]);
}

/** Breaks one key. Returns the commands, for the message of a failure. */
export async function breakSomething(world, room) {
  const { random } = world;
  const [kind, key] = someKey(random, room);
  const other = random.chance(0.5);
  const commands = other ? [["DEL", key], random.pick(Object.values(make))(key)] : [breakWithin(random, room, kind, key)];
  for (const command of [...commands, ["EXPIRE", key, 300]]) await world.redis.call(...command);
  // without this key nobody can tell which of two sessions is the later one, or that there are two
  room.records = room.records.filter(({ folded, session }) => kind !== "left" || room.members.get(folded)?.session === session);
  return commands;
}

const isCount = (text) => /^\s*\d+\s*$|^0x/.test(text ?? "") && Number(text) < 2 ** 52;
const find = (all, key) => all.find((one) => one.key === key);

/** The head as a script must read it; null if it is broken. */
function headOf(all, room) {
  const head = find(all, `${room.base}:head`);
  const good = head?.kind === "hash" && /^[\w-]{1,20}$/.test(head.value.epoch ?? "") && isCount(head.value.seq);
  return good ? { ...head.value, seq: Number(head.value.seq) } : null;
}

function checkNumbers(room, before, after, events) {
  const [was, is] = [headOf(before, room), headOf(after, room)];
  const goesOn = was !== null && was.history === room.history;
  if (was !== null && is !== null && goesOn) assert.equal(is.epoch, was.epoch, "the epoch stays");
  const numbered = events.filter(({ type }) => type !== "epoch");
  let seq = was?.seq ?? 0;
  for (const event of numbered) assert.equal(event.seq, ++seq, "numbers grow without holes");
  if (numbered.length > 0) assert.equal(is.seq, seq, "the head has the last number");
  const forked = events.flatMap(({ type }, i) => (type === "epoch" ? [i] : []));
  if (numbered.length > 0) assert.deepEqual(forked, was !== null && !goesOn ? [0] : [], "another epoch is told first, and once");
  if (is !== null && events.length > 0) assert.ok((is.forks ?? "").length < 400 || is.forks === was?.forks, "forks are bounded");
}

function checkKept(room, after, numbered) {
  if (room.retention === 0 || numbered.length === 0 || headOf(after, room).said === "0") return; // a silent room keeps nothing
  const entries = find(after, `${room.base}:recent`).value.slice(-numbered.length);
  const events = entries.map(([id, fields]) => ({ id, event: withoutTime(JSON.parse(fields[3])) }));
  const expected = numbered.slice(-room.mostKept).map((event) => ({ id: `${event.seq}-0`, event }));
  assert.deepEqual(events.slice(-expected.length), expected, "what was published is kept");
}

function checkPeople(room, before, after, call, events) {
  const listed = find(after, `${room.base}:members`)?.value ?? [];
  const last = events.findLast(({ type }) => type === "presence");
  if (last) assert.equal(last.count, listed.length, "the count is that of the list");
  const members = after.filter(({ key, kind }) => kind === "hash" && key.startsWith(`${room.base}:member:`));
  const ids = members.map(({ value }) => value.id).filter((id) => id);
  assert.equal(new Set(ids).size, ids.length, "one id is one member");
  const named = new Set([...(call.people ?? call.leaves ?? []).map(({ folded }) => folded), ...(call.names ?? [])].map((name) => `${room.base}:member:${name}`));
  for (const { key, kind, value } of before) {
    if (!key.startsWith(`${room.base}:member:`) || named.has(key) || kind !== "hash") continue;
    assert.deepEqual(find(after, key)?.value, value, "whoever was not meant is left alone");
  }
}

/** A joined member must be complete: its key, its place in the list, and the announcement. */
function checkJoined(room, after, { people }, answers, events) {
  const listed = find(after, `${room.base}:members`)?.value ?? [];
  people.forEach((person, i) => {
    const [status, id, number, floor] = answers[i];
    if (status !== "joined" && status !== "resumed") return;
    const there = find(after, `${room.base}:member:${person.folded}`)?.value;
    assert.ok(there, `${status}: the key is there`);
    assert.ok(there.id === id || people.some((other) => other !== person && other.folded === person.folded), `${status} as this id`);
    assert.ok(floor >= 0 && floor <= number, `a floor is a number of the room: ${floor}`);
    if (status === "resumed") return;
    assert.ok(listed.includes(person.folded), "who joined is on the list");
    if (![person.name, person.shown, person.mark, id].every(canBeShown)) return;
    assert.ok(events.some(({ seq, joined = [] }) => seq === number && joined.some((one) => one.id === id)), "who joined was told of");
  });
}

/** Exactly the members that were announced as left are gone. */
function checkGone(room, before, after, names, events) {
  const told = events.flatMap(({ left = [] }) => left).map(({ id }) => id);
  for (const folded of names) {
    const key = `${room.base}:member:${folded}`;
    const [was, is] = [find(before, key), find(after, key)];
    if (was?.kind !== "hash" || !was.value.id || !was.value.name || !canBeShown(was.value.id) || !canBeShown(was.value.name)) continue;
    assert.equal(is === undefined, told.includes(was.value.id), "gone is who was told to be");
  }
}

function checkRecent(room, before, call, got) {
  const stream = find(before, `${room.base}:recent`);
  if (headOf(before, room) === null || stream?.kind !== "stream") return assert.deepEqual(got.events, [], "nothing is kept");
  const ours = stream.value.filter(([id, fields]) => /^\d+-0$/.test(id) && fields[0] === "at" && fields[2] === "event" && fields[4] === "said");
  const after = ours.map(([id]) => Number(id.split("-")[0])).filter((seq) => seq > call.after && seq <= headOf(before, room).seq).slice(0, call.most);
  if (after.length === call.most) return; // what is foreign counts
  assert.deepEqual(got.events.map(({ seq }) => seq), after, "what is kept is answered");
}

/** Makes a random call in a room with a broken key. */
async function callBroken(world, room, broken) {
  const before = await readAll(world.redis);
  const name = world.random.pick(Object.keys(words));
  const call = { ...world[name](room), ...(name === "join" && { until: 0 }) };
  const reply = await world.calls.run(name, room, world.fresh("e"), words[name](room, call));
  try {
    assert.ok(!(reply instanceof RespError), `no error: ${reply?.text}`);
    const got = plain(name, reply);
    const events = (await world.receivedSince()).filter(([channel]) => channel === room.base).map(([, event]) => event);
    const after = await readAll(world.redis);
    checkTtls(after);
    checkNumbers(room, before, after, events);
    checkKept(room, after, events.filter(({ type }) => type !== "epoch"));
    checkPeople(room, before, after, call, events);
    if (name === "join") checkJoined(room, after, call, got, events);
    if (name === "leave" || name === "reap") checkGone(room, before, after, call.names ?? call.leaves.map(({ folded }) => folded), events);
    if (name === "recent") checkRecent(room, before, call, got);
    if (name === "publish") assert.ok(got.every((answer) => answer === "OTHEREPOCH" || (Number.isInteger(answer) && answer >= 0)), `numbers: ${got}`);
    if (name === "join") world.remember(room, call.gateway, call.people, got);
  } catch (error) {
    error.message = `${error.message}\nafter ${JSON.stringify(broken)}, with ${name} ${JSON.stringify(call)}: ${JSON.stringify(reply)}`;
    throw error;
  }
}

const wellFormed = {
  head: ({ kind, value }) => kind === "hash" && FIELDS.head.every((field) => field in value) && isCount(value.seq) && isCount(value.said) && /^([\w-]{1,20}:\d{1,16} ?)*$/.test(value.forks),
  recent: ({ kind, value }) => kind === "stream" && value.every(([id, fields], i) => id === `${Number.parseInt(value[0][0]) + i}-0` && fields[4] === "said" && fields[3].startsWith('{"type"')),
  members: ({ kind }) => kind === "set",
  member: ({ kind, value }) => kind === "hash" && FIELDS.member.every((field) => field in value || field === OPTIONAL) && value.id !== "" && /^\d+$/.test(value.floor) && /^\d+$/.test(value.asked_at),
  left: ({ kind, value }) => kind === "hash" && FIELDS.left.slice(3).every((field) => field in value) && /^\d+$/.test(value.floor ?? "0") && /^\d+$/.test(value.asked_at) && "floor" in value === "resume" in value,
  nonces: ({ kind, value }) => kind === "zset" && Object.values(value).every((number) => /^\d+$/.test(number)),
};

/** Deletes broken keys that no script has repaired; the model adopts the state of Redis. */
async function lookAgain(world, room) {
  for (const one of await readAll(world.redis)) {
    if (!one.key.startsWith(`${room.base}:`)) continue;
    const kind = /^[a-z]+/.exec(one.key.slice(room.base.length + 1))[0];
    if (!wellFormed[kind](one)) await world.redis.call("DEL", one.key);
  }
  Object.assign(room, readRoom(await readAll(world.redis), room.base));
  const same = ({ id, folded, session }) => room.members.get(folded)?.session === session && room.members.get(folded).id === id;
  room.records = room.records.filter(same);
}

/** Breaks a key of a room, and checks the rules during `calls` calls. */
export async function liveWithBroken(world, calls) {
  const room = world.random.pick(world.rooms);
  const broken = await breakSomething(world, room);
  for (let i = 0; i < calls; i++) await callBroken(world, room, broken);
  await lookAgain(world, room);
}
