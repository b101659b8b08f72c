// The schedule of faults. It depends on the seed only, so that a seed repeats the schedule.
import { Random } from "./random.mjs";

// The target of each kind. Two faults of the same target never overlap. `ms` is the duration.
export const kinds = {
  "kill -9 a gateway": { breaks: "gateway", ms: [100, 5000] },
  "drain a gateway (SIGTERM)": { breaks: "gateway", ms: [100, 1500] },
  "replace a gateway (new beside old)": { breaks: "gateway", ms: [100, 500] },
  "freeze a gateway": { breaks: "gateway", ms: [200, 8000] },
  "freeze Redis": { breaks: "redis", ms: [200, 8000] },
  "restart Redis empty": { breaks: "redis", ms: [100, 5000] },
  "restore-older": { breaks: "redis", ms: [100, 5000] },
  "failover-behind": { breaks: "redis", ms: [100, 5000] },
  "no memory left in Redis": { breaks: "redis", ms: [500, 6000] },
  "CLIENT PAUSE": { breaks: "redis", ms: [200, 7000] },
  "CLIENT KILL pubsub": { breaks: "nothing", ms: [0, 0] },
  "CLIENT KILL normal": { breaks: "nothing", ms: [0, 0] },
  "SCRIPT FLUSH": { breaks: "nothing", ms: [0, 0] },
  "stall gateway to Redis": { breaks: "path", ms: [500, 9000] },
  "stall nginx to gateway": { breaks: "path", ms: [500, 6000] },
  "stall a member's path": { breaks: "member", ms: [500, 15000] },
  "cut a member's socket": { breaks: "member", ms: [0, 0] },
  "a member stops reading": { breaks: "member", ms: [500, 20000] },
};

const targets = { gateway: "gateways", path: "gateways", member: "members" };

/** A list of { at, kind, target, ms }, in the order of `at` (ms from the start). */
export function makeSchedule({ seed, ms, gateways, members, every = 2500, only }) {
  const random = new Random(seed);
  const names = Object.keys(kinds).filter((kind) => !only || only.includes(kind));
  const counts = { gateways, members };
  const busyUntil = new Map();
  const schedule = [];
  for (let at = 1500; ; ) {
    at += Math.round(-Math.log(1 - random.next()) * every);
    if (at > ms) return schedule;
    const kind = random.pick(names);
    const { breaks, ms: [shortest, longest] } = kinds[kind];
    const lasts = Math.round(random.between(shortest, longest));
    const target = random.below(counts[targets[breaks]] ?? 1);
    const what = `${breaks} ${target}`;
    if (breaks !== "nothing" && (busyUntil.get(what) ?? 0) > at) continue;
    busyUntil.set(what, at + lasts + 1000);
    schedule.push({ at, kind, target, ms: Math.min(lasts, ms - at) });
  }
}
