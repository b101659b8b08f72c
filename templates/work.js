// The proof of work that newcomers do when many come: SHA-256(challenge + ":" + work) begins with so many zero
// bits. It is looked for in a worker, so that the page goes on; where there are none, in steps.

const STEP = 2048; // hashes between two looks at the page

const K = [];
const START = [];

/** The first 32 bits of the fractional part of a root. */
const fraction = (x) => ((x - Math.floor(x)) * 2 ** 32) | 0;
for (let n = 2; K.length < 64; n++) {
  let prime = true;
  for (let i = 2; i * i <= n; i++) if (n % i === 0) prime = false;
  if (!prime) continue;
  if (START.length < 8) START.push(fraction(Math.sqrt(n)));
  K.push(fraction(Math.cbrt(n)));
}

/** The first word of SHA-256 (FIPS 180-4) of bytes, as an unsigned number. The browser's own is there only with TLS. */
export function firstWord(bytes) {
  const length = ((bytes.length + 8) >> 6) * 16 + 16;
  const blocks = new Uint32Array(length);
  for (let i = 0; i < bytes.length; i++) blocks[i >> 2] |= bytes[i] << (24 - (i & 3) * 8);
  blocks[bytes.length >> 2] |= 0x80 << (24 - (bytes.length & 3) * 8);
  blocks[length - 1] = bytes.length * 8;
  const w = new Int32Array(64);
  const hash = START.slice();
  const turn = (x, n) => (x >>> n) | (x << (32 - n));
  for (let at = 0; at < length; at += 16) {
    for (let i = 0; i < 64; i++) {
      if (i < 16) w[i] = blocks[at + i];
      else {
        const [a, b] = [w[i - 15], w[i - 2]];
        w[i] = w[i - 16] + (turn(a, 7) ^ turn(a, 18) ^ (a >>> 3)) + w[i - 7] + (turn(b, 17) ^ turn(b, 19) ^ (b >>> 10));
      }
    }
    let [a, b, c, d, e, f, g, h] = hash;
    for (let i = 0; i < 64; i++) {
      const one = (h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + K[i] + w[i]) | 0;
      const two = ((turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      [h, g, f, e, d, c, b, a] = [g, f, e, (d + one) | 0, c, b, a, (one + two) | 0];
    }
    for (const [i, value] of [a, b, c, d, e, f, g, h].entries()) hash[i] = (hash[i] + value) | 0;
  }
  return hash[0] >>> 0;
}

/** Tries some from `from` on; the work, or null. A challenge of more than 32 bits is not one of ours. */
function tryFrom({ challenge, bits }, from) {
  const encoder = new TextEncoder();
  for (let n = from; n < from + STEP; n++) if (firstWord(encoder.encode(`${challenge}:${n}`)) < 2 ** (32 - bits)) return String(n);
  return null;
}

async function inSteps(question) {
  for (let n = 0; ; n += STEP) {
    const work = tryFrom(question, n);
    if (work !== null) return work;
    await new Promise((resolve) => setTimeout(resolve));
  }
}

/** What the next join has to bring, after the error `work_needed`. */
export const solve = async (error) => ({ challenge: error.challenge, work: await findWork(error) });

async function findWork({ challenge, bits }) {
  const question = { challenge, bits };
  if (typeof Worker === "undefined" || typeof document === "undefined") return inSteps(question);
  const worker = new Worker(import.meta.url, { type: "module" });
  try {
    return await new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = reject;
      worker.postMessage(question);
    });
  } catch {
    return inSteps(question); // a browser without workers of this kind
  } finally {
    worker.terminate();
  }
}

if (typeof WorkerGlobalScope !== "undefined" && globalThis instanceof WorkerGlobalScope)
  globalThis.onmessage = async ({ data }) => globalThis.postMessage(await inSteps(data));
