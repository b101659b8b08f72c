// Processes that a test starts and stops, and look-ups of other processes.
import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import { atEnd } from "./endings.mjs";
import { pause, until } from "./until.mjs";

/** A process that the test owns. Its output is stored. */
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

  /** Waits for its end and returns the exit status. */
  async status(ms) {
    await until("it has ended", () => !this.running, ms);
    return (await this.ended).code;
  }

  /** As `stop`, but kills the process if it does not end in time. */
  async stopOrKill(ms = 5000) {
    const killer = setTimeout(() => this.child.kill("SIGKILL"), ms);
    const status = await this.stop();
    clearTimeout(killer);
    return status;
  }

  /** Stops it (SIGSTOP) until `thaw` or the end of the test. */
  freeze(t) {
    this.signal("SIGSTOP");
    atEnd(t, () => this.thaw());
  }

  thaw() {
    if (this.running) this.signal("SIGCONT");
  }

  /** Stops it for `ms`: a fault of a known duration. */
  async freezeFor(ms) {
    this.signal("SIGSTOP");
    await pause(ms);
    this.thaw();
  }
}

/** Pid, parent, name and command line of all running processes. */
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

/** The pids of the running children of a process. */
export const childrenOf = (pid) => processes().filter(({ parent }) => parent === pid).map((child) => child.pid);

export const isRunning = (pid) => processes().some((each) => each.pid === pid);

/** The open descriptors of a process. */
export const descriptorsOf = (pid) => fs.readdirSync(`/proc/${pid}/fd`).map(Number);
