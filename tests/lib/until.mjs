// Waiting and time. A test polls for a state until a deadline; it never sleeps to wait.
import assert from "node:assert/strict";

export const DEADLINE_MS = Number(process.env.TEST_DEADLINE_MS ?? 30000);
const POLL_MS = 10;

/** A pause for causes that last: a fault, or a client that obeys `retry_after`. Not for waiting until something happens. */
export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Calls `check` until it returns a true value. Fails with `what` after the deadline. */
export async function until(what, check, ms = DEADLINE_MS) {
  const end = Date.now() + ms;
  for (;;) {
    const result = await check();
    if (result) return result;
    if (Date.now() > end) assert.fail(`not within ${ms} ms: ${typeof what === "function" ? what() : what}`);
    await pause(POLL_MS);
  }
}

/** A function that returns the seconds since this call. For bounds that grow with time (“at most n a second”): a busy machine makes
 *  them wider, never narrower. */
export function stopwatch() {
  const from = performance.now();
  return () => (performance.now() - from) / 1000;
}

/** A duration that begins with this call, such as a grace period or a lease. `over()` tells whether it has passed, `end()` waits for the
 *  rest of it. If an event of the system shows the same, wait for that event. */
export function lapse(ms) {
  const seconds = stopwatch();
  const over = () => seconds() * 1000 >= ms;
  return { over, end: () => until(`${ms} ms pass`, over, ms + DEADLINE_MS) };
}
