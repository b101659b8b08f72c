// Checks every member's record against the five promises, independently of how the records were made.
//
// A record is a list of { t, what, ... } in the order in which the member saw the events: start, welcome,
// message, presence, ack, gap, lost, leave, refused, ended. After a welcome the member is owed every
// message of that epoch with a greater number, until it leaves or receives a gap.

import { History } from "./history.mjs";

/** The messages that all members together saw, each with its number in the epoch in which it was assigned. */
function collectTruth(members, history) {
  const truth = { epochs: new Map(), byNonce: new Map(), conflicts: [] };
  for (const member of members) {
    for (const { what, epoch, seq, nonce, text, from } of member.record) {
      if (what !== "message") continue;
      const origin = history.origin(epoch, seq);
      if (!truth.epochs.has(origin)) truth.epochs.set(origin, new Map());
      const messages = truth.epochs.get(origin);
      const before = messages.get(seq);
      if (!before) messages.set(seq, { nonce, text, from });
      else if (before.text !== text || before.nonce !== nonce) truth.conflicts.push(`${origin} ${seq}: ${before.text} and ${text}`);
      const key = `${from} ${nonce} ${text}`;
      if (!truth.byNonce.has(key)) truth.byNonce.set(key, new Set());
      truth.byNonce.get(key).add(`${origin} ${seq}`);
    }
  }
  return truth;
}

const UNKNOWN_MS = 15000; // a lease, the grace, and the way of whoever stood in between

/** The ranges of numbers that a member is owed: { epoch, after, upTo, seen }. */
function stretchesOf({ record, name }, verdict, history, wentBack) {
  // Redis returned with an older state, and the gateway that would have reinstated the member ended too early
  const isUnknown = (t) => wentBack.some((at) => t >= at && t - at < UNKNOWN_MS);
  let id = null;
  const stretches = [];
  let open = null;
  const begin = (epoch, seq) => {
    open = { epoch, after: seq, last: seq, upTo: Infinity, seen: new Set() };
    stretches.push(open);
  };
  const end = (upTo) => {
    if (open) open.upTo = upTo;
    open = null;
  };
  const goOn = (epoch) => {
    if (!history.shares(open.epoch, epoch, open.last)) verdict.disorder.push(`${name} was told that it missed nothing in ${epoch}, after ${open.last} of ${open.epoch}`);
    open.epoch = epoch;
  };
  for (const entry of record) {
    const { what, epoch, seq } = entry;
    if (what === "start") {
      end(open?.last);
    } else if (what === "welcome") {
      if (open && entry.recovered) {
        goOn(epoch);
        continue;
      }
      const stranger = entry.id !== id && isUnknown(entry.t);
      id = entry.id;
      if (open && stranger) verdict.strangers++;
      else if (open && open.epoch === epoch) verdict.unexcused.push(`${name} came back to epoch ${epoch} at ${seq} after ${open.last}, and missed ${entry.missed}`);
      if (open && open.epoch !== epoch) open.awaitsGap = true;
      const left = open;
      end(open?.last);
      begin(epoch, seq);
      open.before = left;
    } else if (what === "epoch") {
      verdict.epochs++;
      if (open) goOn(epoch);
    } else if (what === "gap") {
      verdict.gaps++;
      const back = open?.before?.awaitsGap; // its gateway may have been beyond the fork
      if (back) verdict.needless += history.shares(open.before.epoch, epoch, open.before.last);
      else if (open && history.shares(open.epoch, epoch, open.last)) verdict.unexcused.push(`${name}: a gap in ${epoch}, though everything up to ${open.last} of ${open.epoch} is in it`);
      if (back) open.before.awaitsGap = false;
      else if (open && open.epoch === epoch) verdict.unexcused.push(`${name}: a gap of ${entry.missed} in epoch ${epoch} at ${seq} after ${open.last}`);
      if (entry.missed !== 0 && !back) verdict.unexcused.push(`${name}: a gap of ${entry.missed}, not 0, though Redis lost its memory`);
      if (open?.epoch === epoch && open.last === seq) continue;
      end(open?.last);
      begin(epoch, seq);
    } else if (what === "message" || what === "presence") {
      if (!open) verdict.disorder.push(`${name} saw ${what} ${seq} before a welcome`);
      else if (open.epoch !== epoch) verdict.disorder.push(`${name} saw ${what} ${seq} of ${epoch}, being in ${open.epoch}`);
      // a presence that only names members of the welcome's list has the welcome's number
      else if (seq < open.last || (seq === open.last && (what !== "presence" || seq !== open.after))) verdict.disorder.push(`${name} saw ${what} ${seq} after ${open.last} (${epoch})`);
      if (!open) continue;
      open.last = Math.max(open.last, seq);
      if (what === "message") open.seen.add(seq);
    } else if (what === "leave") {
      end(open?.last);
    }
  }
  for (const stretch of stretches) if (stretch.awaitsGap) verdict.unexcused.push(`${name} was not told that epoch ${stretch.epoch} ended`);
  return stretches;
}

function judgeDelivery(members, truth, verdict, history, wentBack) {
  for (const member of members) {
    for (const { epoch, after, upTo, seen } of stretchesOf(member, verdict, history, wentBack)) {
      for (const [origin, messages] of truth.epochs)
        for (const [seq, { text }] of messages)
          if (seq > after && seq <= upTo && !seen.has(seq) && history.origin(epoch, seq) === origin) verdict.lost.push(`${member.name} did not get ${origin} ${seq} (${text}), being owed ${after} to ${upTo} of ${epoch}`);
      verdict.delivered += seen.size;
    }
  }
  for (const [key, places] of truth.byNonce) if (places.size > 1) verdict.doubled.push(`${key}: ${[...places].join(", ")}`);
  verdict.disorder.push(...truth.conflicts);
}

/** An acknowledged message that no member saw is lost, unless Redis lost its memory of it. */
function judgeAcknowledged(members, truth, verdict, lastEpoch, history) {
  for (const member of members) {
    for (const { what, epoch, seq, nonce } of member.record) {
      if (what !== "ack") continue;
      verdict.acknowledged++;
      const messages = [...truth.epochs].filter(([, all]) => all.get(seq)?.nonce === nonce);
      if (messages.length > 0) continue;
      const origin = history.origin(epoch, seq);
      const later = [...(truth.epochs.get(origin)?.keys() ?? [])].some((other) => other > seq);
      if (origin === history.origin(lastEpoch, seq) || later) verdict.lost.push(`${member.name}'s ${nonce} was acknowledged as ${seq}, and nobody saw it`);
      else verdict.forgotten++;
    }
    verdict.sent += member.said.size;
    verdict.given += member.failed.size;
  }
}

/** Lines may be dropped, and names refused, only if this is unavoidable. */
function judgeRefusals(members, verdict, emptied) {
  for (const { name, record, failed } of members) {
    for (const [nonce, code] of failed)
      if (code !== "left" && (emptied === 0 || !["epoch_changed", "new_id"].includes(code))) verdict.refusals.push(`${name}'s ${nonce} was refused for good: ${code}`);
    for (const { t, what, code } of record) {
      if (what !== "refused") continue;
      verdict.refused++;
      // a name after a leave, or after a join without an answer, is free again within seconds
      const fresh = record.some((entry) => entry.what === "start" && t - entry.t >= 0 && t - entry.t < 60000);
      if (code !== "name_taken" || (!fresh && emptied === 0)) verdict.refusals.push(`${name} was refused: ${code}`);
    }
  }
}

// --- Joins and leaves ---

const SLACK_MS = 1000; // a probe every 2 s tells a gateway roughly when Redis went
const STALE_MS = 2000;
const SIGNS = new Set(["welcome", "message", "presence", "ack"]);

/** The time for which a member had received nothing from the room, without the time in which Redis was
 *  unavailable (ms), because nobody could reconnect then. */
function absenceBefore(member, t, { away, stalls }) {
  // data from a stalled path, socket or gateway is old: other gateways may have given the member up
  const isStale = (entry) => stalls.some(([from, to]) => entry.t >= from && entry.t <= to + STALE_MS);
  const last = member.record.findLast((entry) => entry.t <= t && SIGNS.has(entry.what) && !isStale(entry));
  if (!last) return Infinity;
  let absent = t - last.t;
  let counted = last.t; // outages may overlap
  for (const [from, to] of away) {
    absent -= Math.max(0, Math.min(t, to) - Math.max(counted, from));
    counted = Math.max(counted, Math.min(t, to));
  }
  return absent;
}

/** The owner of each id over time: { id → { member, from, until } }. */
function collectIdentities(members) {
  const identities = new Map();
  for (const member of members) {
    for (const { t, what, id } of member.record) {
      if (what === "welcome" && !identities.has(id)) identities.set(id, { member, until: Infinity });
      if (what === "leave") identities.get(id).until = t;
    }
    let current = null; // a member that got a new id has not been its old one since
    for (const { t, what, id } of member.record) {
      if (what !== "welcome" || id === current) continue;
      if (current !== null) identities.get(current).until = Math.min(identities.get(current).until, t);
      current = id;
    }
  }
  return identities;
}

/** Checks the first announcement of each leave: a member that was present within the grace period may not be announced as left. */
function judgeLeaves(members, verdict, { graceMs, away, stallsOf, history }) {
  const identities = collectIdentities(members);
  const first = new Map(); // epoch, number and id → when it was first seen
  for (const member of members)
    for (const { t, what, epoch, seq, left } of member.record)
      if (what === "presence")
        for (const id of left) {
          const key = `${history.origin(epoch, seq)} ${seq} ${id}`;
          if (!first.has(key) || t < first.get(key)) first.set(key, t);
        }
  for (const [key, t] of first) {
    const identity = identities.get(key.split(" ")[2]);
    verdict.leaves++;
    if (!identity || identity.until <= t) continue;
    const stalls = [...(identity.member.stalls ?? []), ...stallsOf(key.split(" ")[2], t)];
    const absent = absenceBefore(identity.member, t, { away, stalls });
    if (absent < graceMs - SLACK_MS) verdict.falseLeaves.push(`${identity.member.name} was announced as left (${key}) after an absence of ${absent} ms`);
  }
}

/** A present member may not be announced as joined. After Redis lost its memory, every member is
 *  announced again, and until then a welcome lists the earlier members. A welcome before a replay
 *  lists members whose join is replayed after it, so it is not checked. */
function judgeJoins(members, verdict) {
  const firstEpoch = members[0]?.record.find(({ what }) => what === "welcome")?.epoch;
  for (const { name, record } of members) {
    let here = new Set();
    let inEpoch = null;
    let known = 0; // up to there another gateway may have made one line of what was seen already, and more
    let fresh = false; // the presence batch from before the welcome names members of its list
    for (const { what, epoch, seq, here: people, recovered, joined, left } of record) {
      if (what === "welcome") [known, fresh] = [seq, true];
      if (what === "start") inEpoch = null; // whoever was here before may have gone meanwhile
      if (what === "welcome" || what === "gap") {
        if (epoch !== inEpoch) here = new Set();
        inEpoch = epoch;
        if (what === "welcome" && !recovered && epoch === firstEpoch) here = new Set(people);
      }
      if (what !== "presence") continue;
      for (const gone of left) here.delete(gone);
      for (const come of joined) {
        if (here.has(come) && seq > known && !fresh) verdict.falseJoins.push(`${name} was told that ${come} came, who was there (${epoch})`);
        here.add(come);
      }
      fresh = false;
    }
  }
}

function noteTold(members, history) {
  for (const { record } of members) {
    let inEpoch = null;
    for (const { what, epoch, seq } of record) {
      if (what === "epoch" && inEpoch !== null && inEpoch !== epoch) history.noteTold(epoch, inEpoch, seq);
      if (["epoch", "gap", "welcome"].includes(what)) inEpoch = epoch;
    }
  }
}

// --- The verdict ---

/** Returns lists of broken promises and the figures for the table. `members` have name, record,
 *  said, failed and stalls; `lastEpoch` is the epoch at the end, `away` the times at which Redis was unusable
 *  ([from, to], in order), `emptied` the number of memory losses, `forked` the number of returns with an older
 *  state, `wentBack` their times, `history` the tree of epochs; `stallsOf(id, t)` returns when the gateway
 *  of this member at that time was stopped or cut off. */
export function judge(members, { graceMs, lastEpoch, away = [], emptied = 0, forked = 0, wentBack = [], history = new History(), stallsOf = () => [] }) {
  const verdict = {
    lost: [], doubled: [], disorder: [], unexcused: [], falseLeaves: [], falseJoins: [], refusals: [], ended: [],
    sent: 0, acknowledged: 0, delivered: 0, forgotten: 0, given: 0, gaps: 0, epochs: 0, needless: 0, strangers: 0, leaves: 0, longestSilence: 0, refused: 0,
  };
  noteTold(members, history);
  const truth = collectTruth(members, history);
  judgeDelivery(members, truth, verdict, history, wentBack);
  judgeAcknowledged(members, truth, verdict, lastEpoch, history);
  judgeRefusals(members, verdict, emptied + forked);
  const epochs = new Set([...truth.epochs.keys(), lastEpoch]);
  if (epochs.size > emptied + forked + 1) verdict.unexcused.push(`${epochs.size} epochs, though Redis lost its memory ${emptied} times and part of it ${forked} times`);
  judgeLeaves(members, verdict, { graceMs, away, stallsOf, history });
  judgeJoins(members, verdict);
  for (const { name, record } of members) {
    let before = null;
    for (const { t, what, state } of record) {
      if (what === "ended") verdict.ended.push(`${name} was ended: ${state}`);
      if (what === "leave" || what === "start") before = null;
      if (what !== "message") continue;
      if (before !== null) verdict.longestSilence = Math.max(verdict.longestSilence, t - before);
      before = t;
    }
  }
  return verdict;
}

export const promises = ["lost", "doubled", "disorder", "unexcused", "falseLeaves", "falseJoins", "refusals", "ended"];
