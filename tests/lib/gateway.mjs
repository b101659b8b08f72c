// A gateway under test. Sanitizers watch its memory, and it must exit without a report.
import assert from "node:assert/strict";
import { atEnd } from "./endings.mjs";
import { binary } from "./files.mjs";
import { get } from "./http.mjs";
import { parseLog } from "./logs.mjs";
import { freePort } from "./ports.mjs";
import { Process } from "./process.mjs";
import { until } from "./until.mjs";

export class Gateway extends Process {
  constructor(t, port, args, { wrap = [], ...options } = {}) {
    const [command, ...rest] = [...wrap, binary, "--addr", `127.0.0.1:${port}`, ...args];
    super(t, command, rest, options);
    this.port = port;
    this.origin = `http://127.0.0.1:${port}`;
    this.url = `ws://127.0.0.1:${port}/room`;
    this.logs = !args.some((arg) => /^-?-log/.test(arg)); // to where it can be read here
    atEnd(t, () => this.#checkSanitizers());
  }

  /** Every test of a gateway is also a test of its memory. The report is also printed, because a test that has failed already
   *  shows its first failure only, and this may be the cause. */
  #checkSanitizers() {
    if (/Sanitizer|runtime error/.test(this.errors)) console.error(this.errors);
    assert.doesNotMatch(this.errors, /Sanitizer|runtime error/, `the gateway's sanitizers complained:\n${this.errors}`);
  }

  /** The lines of the log as objects. */
  get log() {
    return parseLog(this.output);
  }

  async stats() {
    return JSON.parse((await get(`${this.origin}/api/stats`)).body);
  }

  /** Waits until `path` answers 200 and this gateway is the one that answers. Until its log has `sign`, an older gateway on the port may answer. */
  async untilAnswers(path, sign = null) {
    await until(
      () => `the gateway answers ${path}: ${this.errors}`,
      async () => {
        if (!this.running) throw new Error(`the gateway ended: ${this.errors}`);
        if (sign !== null && !this.output.includes(sign)) return false;
        return (await get(this.origin + path).catch(() => null))?.status === 200;
      },
    );
  }
}

/** Starts a gateway on a free port; `wrap` is a command that gets it as its argument. The gateway is shut down after the test in an
 *  orderly way, so that leaks are found. */
export async function startGateway(t, { redis, args = [], ready = true, port, env, wrap } = {}) {
  const where = redis ? ["--redis", typeof redis === "string" ? redis : redis.url] : [];
  const gateway = new Gateway(t, port ?? (await freePort()), [...where, "--drain", "0", "--drain-delay", "0", ...args], { wrap, ...(env && { env }) });
  atEnd(t, async () => {
    if (!gateway.running) return;
    const { code, signal } = await gateway.stop("SIGINT");
    assert.deepEqual({ code, signal }, { code: 0, signal: null }, `a gateway ended badly:\n${gateway.errors}`);
  });
  await gateway.untilAnswers(ready ? "/readyz" : "/healthz", gateway.logs ? "\tkind:start\t" : null);
  return gateway;
}
