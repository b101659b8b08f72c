// Rooms in a real Redis, their models, and random calls for both from a seed.
import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import { RoomCalls, words } from "./room-calls.mjs";
import { RoomModel } from "./room-model.mjs";
import { Resp, RespError } from "./resp.mjs";
import { checkTtls, comparable, readAll, readRoom, withoutTime } from "./room-state.mjs";
import { atEnd, until } from "./harness.mjs";

/** Repeatable random numbers from a seed (mulberry32). */
export class Random {
  constructor(seed) {
    this.state = seed >>> 0;
  }

  next() {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let t = this.state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  below(n) {
    return Math.floor(this.next() * n);
  }

  chance(p) {
    return this.next() < p;
  }

  pick(list) {
    return list[this.below(list.length)];
  }

  some(most, make) {
    return Array.from({ length: 1 + this.below(most) }, make);
  }

  /** One of {name: weight}. */
  weighted(weights) {
    let at = this.next() * Object.values(weights).reduce((a, b) => a + b);
    return Object.keys(weights).find((name) => (at -= weights[name]) < 0);
  }
}

// These also contain bytes that no name, text or id of a gateway has: NUL, controls, quotes, invalid UTF-8.
const NAMES = ["ann", "ann2", "ann3", "bo", "b\0o", "c\xff\xfe", 'd"\\', "e e", "\x01\x7f", "f:g", "%s", "*"];
const NONCES = ["n1", "n2", "n3", "n4", "n\0", "\xff", '"', ""];
const GATEWAYS = ["g1", "g2", "g3"];
const HOUR_MS = 3600000;
const MOST_RECORDS = 60;
const common = { retention: 120, mostKept: 12, mostBytes: 0, mostMembers: 0, mostNonces: 4, nonceTtl: 120, memberTtl: 240, headTtl: 360 };

export class World {
  published = []; // what the models say
  received = []; // what Redis published
  statuses = new Set(); // what joins were answered
  count = 0; // of epochs, ids, sessions

  static async start(t, redis, seed) {
    const world = new World();
    world.random = new Random(seed);
    world.redis = await Resp.connect(redis.port);
    world.listener = await Resp.connect(redis.port);
    atEnd(t, () => (world.redis.close(), world.listener.close()));
    world.calls = await RoomCalls.load(world.redis);
    world.listener.onMessage = (channel, text) => world.received.push([channel, text]);
    world.listener.call("PSUBSCRIBE", "*");
    await until("the listener is there", async () => (await world.redis.call("PUBSUB", "NUMPAT")) === 1);
    const history = /master_replid:(\w+)/.exec(await world.redis.call("INFO", "replication"))[1];
    world.start = Number((await world.redis.call("TIME"))[0]) * 1000;
    const make = (name, more) => Object.assign(new RoomModel({ ...common, base: `yukizuri:{${name}}`, ...more }, history), { published: world.published, records: [] });
    world.rooms = [make("a"), make("b", { mostMembers: 4, mostKept: 3 }), make("none kept", { retention: 0 })];
    world.incarnations = Object.fromEntries(GATEWAYS.map((gateway) => [gateway, `${gateway}.0-`]));
    return world;
  }

  fresh(letter) {
    return `${letter}${++this.count}`;
  }

  // --- random calls ---

  #session(gateway) {
    return this.incarnations[gateway] + this.fresh("");
  }

  #record(room, of = () => true) {
    const records = room.records.filter(of);
    return records.length === 0 ? undefined : this.random.pick(records);
  }

  #asked() {
    const { random, start } = this;
    return random.pick([0, start - 400 * random.below(8), start - 100 * random.below(8), start + HOUR_MS]);
  }

  #epoch(room) {
    const { head } = room;
    return this.random.pick(["", "elsewhere", head?.epoch ?? "", head?.epoch ?? "", ...(head?.forks ?? []).map(([name]) => name)]);
  }

  #person(room, gateway) {
    const { random } = this;
    const good = (one) => room.left.get(one.id)?.hash === one.hash;
    const token = random.chance(0.6) ? (random.chance(0.5) && this.#record(room, good)) || this.#record(room) : undefined;
    const folded = token && random.chance(0.6) ? token.folded : random.pick(NAMES);
    const person = {
      folded, name: folded.replace(/[a-z]/g, (letter) => letter.toUpperCase()), address: "192.0.2.1", shown: random.pick(["", "192.0.2.x"]), mark: random.pick(["", "Ab_-1234"]), session: this.#session(gateway),
      id: this.fresh("i"), hash: this.fresh("h"), shownId: token?.id ?? "", shownHash: token?.hash ?? "",
      asked: this.#asked(), restore: false, floor: 0, floorEpoch: "",
    };
    if (token && random.chance(0.1)) person.shownHash = "wrong";
    return person;
  }

  #restored(room, gateway) {
    const own = (one) => one.gateway === gateway;
    const names = new Map([...room.members].map(([folded, { id }]) => [id, folded]));
    const passed = (one) => own(one) && names.has(one.id) && names.get(one.id) !== one.folded; // the member has another name now
    const record = (this.random.chance(0.4) && this.#record(room, passed)) || this.#record(room, own);
    if (record === undefined) return this.#person(room, gateway);
    const floor = this.random.below((room.head?.seq ?? 0) + 5);
    return {
      ...this.#person(room, gateway), folded: record.folded, name: record.name, session: record.session,
      shownId: record.id, shownHash: record.hash, asked: this.random.pick([record.asked, record.asked, 0, this.#asked()]), restore: true, floor, floorEpoch: this.#epoch(room),
    };
  }

  join(room) {
    const { random } = this;
    const gateway = random.pick(GATEWAYS);
    const people = random.some(random.pick([1, 1, 4, 16]), () => (random.chance(0.25) ? this.#restored(room, gateway) : this.#person(room, gateway)));
    return { gateway, until: random.chance(0.03) ? 1 : random.pick([0, this.start + HOUR_MS]), people, now: this.start + HOUR_MS / 2 };
  }

  #names(room, most) {
    const records = this.random.some(most, () => this.#record(room) ?? { folded: this.random.pick(NAMES), session: "none", id: "none", gateway: "g1" });
    return [...new Map(records.map((record) => [record.folded, record])).values()];
  }

  leave(room) {
    const gateway = this.random.pick(GATEWAYS);
    const records = this.#names(room, 6).map((record) => (this.random.chance(0.7) ? (this.#record(room, (one) => one.gateway === gateway) ?? record) : record));
    const spared = (id) => (this.random.chance(0.1) ? id : this.random.pick(["", "", "another"]));
    return { gateway, leaves: records.map(({ folded, session, id }) => ({ folded, session, said: this.random.chance(0.3), spared: spared(id) })) };
  }

  refresh(room) {
    return { records: this.#names(room, 12) };
  }

  reap(room) {
    const gateway = this.random.pick(GATEWAYS);
    if (this.random.chance(0.3)) this.incarnations[gateway] = `${gateway}.${this.fresh("")}-`; // it was started again
    return { gateway, spared: this.random.chance(0.5) ? this.incarnations[gateway] : "", names: this.random.some(NAMES.length, () => this.random.pick(NAMES)) };
  }

  publish(room) {
    const { random } = this;
    const say = () => {
      const id = this.#record(room)?.id ?? "i0";
      const body = `"from":{"id":${JSON.stringify(id)}},"text":${JSON.stringify(random.pick(["hello", "\xff\0", '"}']))}}`;
      return { id, body, nonce: random.pick(NONCES), epoch: this.#epoch(room) };
    };
    return { says: random.some(random.pick([1, 4]), say) };
  }

  recent(room) {
    return { after: Math.max(0, (room.head?.seq ?? 0) - this.random.below(16) + 2), most: this.random.pick([1, 5, 100]) };
  }

  roster() {
    return { most: 200 };
  }

  ours() {
    return { gateway: this.random.pick(GATEWAYS), most: 200 };
  }

  trim(room) {
    return { seq: Math.max(0, (room.head?.seq ?? 0) - this.random.below(8) + 1), epoch: this.#epoch(room) };
  }

  // --- changes without a script ---

  /** Expires a key. A key with the member's TTL expires only after the member. */
  expire(room) {
    const { random } = this;
    const kind = random.weighted({ member: 10, left: 4, nonces: 4, recent: 3, members: 1, head: 3 });
    if (kind === "recent") room.kept = [];
    if (kind === "members") room.listed.clear();
    if (kind === "head") room.head = null;
    if (kind in { recent: 1, members: 1, head: 1 }) return this.redis.call("DEL", `${room.base}:${kind}`);
    const there = new Set([...room.members.values()].map(({ id }) => id));
    const map = { member: room.members, left: room.left, nonces: room.nonces }[kind];
    const names = [...map.keys()].filter((name) => kind !== "left" || !there.has(name));
    if (names.length === 0) return null;
    const name = random.pick(names);
    map.delete(name);
    return this.redis.call("DEL", `${room.base}:${kind}:${name}`);
  }

  /** Gives Redis another history than the one in which the room's numbers were assigned. */
  history(room) {
    if (room.head === null) return null;
    room.head.history = "other";
    return this.redis.call("HSET", `${room.base}:head`, "history", "other");
  }

  // --- calls and comparisons ---

  choose() {
    return this.random.weighted({ join: 30, leave: 12, refresh: 8, reap: 5, publish: 25, recent: 8, roster: 4, ours: 3, trim: 4, expire: 4, history: 1 });
  }

  remember(room, gateway, people, answers) {
    people.forEach((person, i) => {
      const [status, id] = answers[i];
      this.statuses.add(status);
      if (status !== "joined" && status !== "resumed") return;
      const hash = id === person.shownId ? person.shownHash : person.hash;
      room.records.push({ folded: person.folded, name: person.name, session: person.session, asked: person.asked, gateway, id, hash });
    });
    room.records.splice(0, Math.max(0, room.records.length - MOST_RECORDS));
  }

  /** Makes a random call. Returns the check of its reply as a function, to be called after all replies. */
  step() {
    const room = this.random.pick(this.rooms);
    const name = this.choose();
    if (name === "expire" || name === "history") return this[name](room), () => {};
    const call = this[name](room);
    const epoch = this.fresh("e");
    const late = name === "join" && call.until === 1;
    const expected = late ? "LATE" : structuredClone(room[name](epoch, call));
    if (name === "join" && !late) this.remember(room, call.gateway, call.people, expected);
    const reply = this.calls.run(name, room, epoch, words[name](room, call));
    return async () => {
      const got = plain(name, await reply);
      same(got, expected, `${name} ${JSON.stringify(call)}\n`);
    };
  }

  /** The publications since the last call, in Redis and in the model. Empties both lists. */
  async receivedSince() {
    await this.redis.call("PUBLISH", "marker", "");
    await until("the marker", () => this.received.at(-1)?.[0] === "marker");
    return this.received.splice(0).slice(0, -1).map(([channel, text]) => [channel, withoutTime(JSON.parse(text))]);
  }

  async checkPublished() {
    same(await this.receivedSince(), this.published.splice(0), "what was published: ");
  }

  async checkState() {
    const all = await readAll(this.redis);
    checkTtls(all);
    for (const room of this.rooms) {
      same(comparable(readRoom(all, room.base)), comparable(room), `what Redis holds of ${room.base}: `);
      const ids = [...room.members.values()].map(({ id }) => id);
      assert.equal(new Set(ids).size, ids.length, "one id is one member");
    }
  }

  /** Makes `count` calls without waiting between them; then compares everything. */
  async run(count) {
    const checks = Array.from({ length: count }, () => this.step());
    for (const check of checks) await check();
    await this.checkPublished();
    await this.checkState();
  }
}

/** Fails with the first difference, in a form that any terminal can show. */
function same(actual, expected, what, path = "") {
  if (isDeepStrictEqual(actual, expected)) return;
  const both = [actual, expected].every((value) => value !== null && typeof value === "object");
  if (!both) assert.fail(`${what}${path} is ${JSON.stringify(actual)}, not ${JSON.stringify(expected)}`);
  for (const key of new Set([...Object.keys(expected), ...Object.keys(actual)])) same(actual[key], expected[key], what, `${path}[${JSON.stringify(key)}]`);
}

const error = (value) => (value instanceof RespError ? value.text.split(" ")[0] : value);

function plainRecent([epoch, seq, said, , forks, , ...rest]) {
  const events = [];
  for (let i = 0; i < rest.length; i += 4) {
    const event = withoutTime(JSON.parse(rest[i + 2]));
    assert.equal(Number(rest[i]), event.seq);
    events.push({ seq: event.seq, said: Number(rest[i + 3]), event });
  }
  return { epoch, seq, said, forks, events };
}

/** The entries of a list, so many words each, sorted. */
function readPeople(words, each) {
  const people = [];
  for (let i = 0; i < words.length; i += each) people.push(words.slice(i, i + each));
  return people.sort();
}

function plainRoster([epoch, seq, said, count, ...rest]) {
  return { epoch, seq, said, count, people: readPeople(rest, 4) };
}

function plainOurs([cursor, ...rest]) {
  assert.equal(cursor, "0", "a small room is one page");
  return readPeople(rest, 3);
}

/** A reply in the model's terms. */
export function plain(name, reply) {
  if (reply instanceof RespError) return error(reply);
  if (name === "recent") return plainRecent(reply);
  if (name === "roster") return plainRoster(reply);
  if (name === "ours") return plainOurs(reply);
  return Array.isArray(reply) ? reply.map(error) : reply;
}
