// Calls the scripts of gateway/scripts as the gateway does (gateway/broker/commands.c): prelude.lua is
// prepended (cmake/embed.c), each script is loaded once and run by its hash.
import fs from "node:fs";
import path from "node:path";
import { top } from "./harness.mjs";

export const scripts = ["reap", "join", "leave", "ours", "publish", "recent", "refresh", "roster", "trim"];
const source = (name) => fs.readFileSync(path.join(top, `gateway/scripts/${name}.lua`), "latin1");

export class RoomCalls {
  #hashes;
  #redis;

  static async load(redis) {
    const calls = new RoomCalls();
    calls.#redis = redis;
    const prelude = source("prelude");
    const hashes = await Promise.all(scripts.map((name) => redis.call("SCRIPT", "LOAD", prelude + source(name))));
    calls.#hashes = Object.fromEntries(scripts.map((name, i) => [name, hashes[i]]));
    return calls;
  }

  /** Calls the script `name` for a room with the arguments of this script. `changed` replaces words, to simulate a bug. */
  run(name, room, newEpoch, { keys = [], args = [] }, changed = {}) {
    const words = [newEpoch, room.headTtl, room.retention, `${room.mostKept}:${room.mostBytes}`, ...args];
    for (const [index, word] of Object.entries(changed)) words[index - 1] = word; // counted as in Lua
    const all = [room.base, `${room.base}:head`, `${room.base}:recent`, ...keys];
    return this.#redis.call("EVALSHA", this.#hashes[name], all.length, ...all, ...words.filter((word) => word !== undefined));
  }
}

const member = (room, folded) => `${room.base}:member:${folded}`;
const left = (room, id) => `${room.base}:left:${id}`;
const nonces = (room, id) => `${room.base}:nonces:${id}`;
const members = (room) => `${room.base}:members`;

/** The keys and arguments of each script beside the common ones, from a call in the model's terms. */
export const words = {
  join: (room, { gateway, until, people }) => ({
    keys: [members(room), ...people.flatMap((one) => [member(room, one.folded), left(room, one.shownId)])],
    args: [
      gateway, room.memberTtl, room.mostMembers, member(room, ""), "yukizuri:gateway:", until,
      ...people.flatMap((one) => [
        one.name, one.address, one.shown, one.mark, one.session, one.id, one.hash, one.shownId, one.shownHash, one.folded,
        one.asked, one.restore ? "1" : "0", one.floor, one.floorEpoch,
      ]),
    ],
  }),
  leave: (room, { gateway, leaves }) => ({
    keys: [members(room), ...leaves.map(({ folded }) => member(room, folded))],
    args: [gateway, left(room, ""), member(room, ""), ...leaves.flatMap((one) => [one.session, one.said ? "1" : "0", one.spared])],
  }),
  refresh: (room, { records }) => ({
    keys: [members(room), ...records.map(({ folded }) => member(room, folded))],
    args: [room.memberTtl, member(room, ""), left(room, ""), ...records.map(({ session }) => session)],
  }),
  reap: (room, { gateway, spared, names }) => ({
    keys: [members(room)],
    args: [gateway, member(room, ""), left(room, ""), spared, ...names],
  }),
  publish: (room, { says }) => ({
    keys: says.filter(({ nonce }) => nonce !== "").map(({ id }) => nonces(room, id)),
    args: [room.mostNonces, room.nonceTtl, ...says.flatMap(({ body, nonce, epoch }) => [body, nonce, epoch])],
  }),
  recent: (_, { after, most, bytes = 1 << 20, last = "" }) => ({ args: [after, most, bytes, last] }),
  roster: (room, { most }) => ({ keys: [members(room)], args: [most, member(room, "")] }),
  ours: (room, { gateway, most }) => ({ keys: [members(room)], args: [gateway, member(room, ""), "0", most] }),
  trim: (_, { seq, epoch }) => ({ args: [seq, epoch] }),
};
