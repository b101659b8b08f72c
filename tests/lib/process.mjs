// Processes that a test starts and stops, and those that it finds.
import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import { atEnd } from "./endings.mjs";
import { pause, until } from "./until.mjs";

/** A process of the test's own. Its output is kept. */
export class Process {
  constructor(t, command, args, options = {}) {
    this.output = "";
    this.errors = "";
    this.child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], ...options });
    this.child.stdout?.on("data", (data) => (this.output += data));
    this.child.stderr?.on("data", (data) => (this.errors += data));
    this.ended = once(this.child, "close").then(([code, signal]) => ({ code, signal }));
    atEnd(t, () => this.stop("SIGKILL"));
  }

  get pid() {
    return this.child.pid;
  }

  get running() {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  signal(name) {
    process.kill(this.pid, name);
  }

  async stop(signal = "SIGTERM") {
    if (this.running) this.child.kill(signal);
    return this.ended;
  }

  /** The status with which it ends by itself. */
  async status(ms) {
    await until("it has ended", () => !this.running, ms);
    return (await this.ended).code;
  }

  /** As `stop`, and kills it when it has not ended in time. */
  async stopOrKill(ms = 5000) {
    const killer = setTimeout(() => this.child.kill("SIGKILL"), ms);
    const status = await this.stop();
    clearTimeout(killer);
    return status;
  }

  /** Stops it (SIGSTOP) until `thaw`, or until the test is over. */
  freeze(t) {
    this.signal("SIGSTOP");
    atEnd(t, () => this.thaw());
  }

  thaw() {
    if (this.running) this.signal("SIGCONT");
  }

  /** Stops it for so long: a fault of a known length. */
  async freezeFor(ms) {
    this.signal("SIGSTOP");
    await pause(ms);
    this.thaw();
  }
}

/** Pid, parent, name and command line of all processes that are not over. */
export function processes() {
  return fs
    .readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const [, name, state, parent] = fs.readFileSync(`/proc/${pid}/stat`, "utf8").match(/^\d+ \((.*)\) (\S) (\d+)/s);
        return state === "Z" || state === "X" ? [] : [{ pid: Number(pid), name, parent: Number(parent), command: fs.readFileSync(`/proc/${pid}/cmdline`, "utf8") }];
      } catch {
        return []; // it ended just now
      }
    });
}

/** The pids of those that this one has started and that are not over. */
export const childrenOf = (pid) => processes().filter(({ parent }) => parent === pid).map((child) => child.pid);

export const isRunning = (pid) => processes().some((each) => each.pid === pid);

/** The descriptors that a process has open. */
export const descriptorsOf = (pid) => fs.readdirSync(`/proc/${pid}/fd`).map(Number);
