// Waiting, and time. A test polls for the state that it needs, with a deadline; it never sleeps instead.
import assert from "node:assert/strict";

export const DEADLINE_MS = Number(process.env.TEST_DEADLINE_MS ?? 30000);
const POLL_MS = 10;

/** For who makes time itself pass: a fault that lasts, a client that obeys `retry_after`. Not to wait for what should happen. */
export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Calls `check` until it returns something true; fails with `what` after the deadline. */
export async function until(what, check, ms = DEADLINE_MS) {
  const end = Date.now() + ms;
  for (;;) {
    const result = await check();
    if (result) return result;
    if (Date.now() > end) assert.fail(`not within ${ms} ms: ${typeof what === "function" ? what() : what}`);
    await pause(POLL_MS);
  }
}

/** Seconds since now, as a function. For bounds that grow with the time ("so many a second at most"): a busy machine makes
 *  them wider, never narrower. */
export function stopwatch() {
  const from = performance.now();
  return () => (performance.now() - from) / 1000;
}

/** So much time, from now on: a grace, a lease, a keep-alive. `over()` says whether it has passed, `end()` waits for what is left
 *  of it. Where an event of the system shows the same, wait for that. */
export function lapse(ms) {
  const seconds = stopwatch();
  const over = () => seconds() * 1000 >= ms;
  return { over, end: () => until(`${ms} ms pass`, over, ms + DEADLINE_MS) };
}
