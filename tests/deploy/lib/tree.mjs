// Fresh Debian systems with systemd in trees, by tree.sh. They end with the test, and with this process.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import path from "node:path";
import { atEnd } from "../../lib/endings.mjs";
import { shortDirectory, top } from "../../lib/files.mjs";
import { untilOpen } from "../../lib/ports.mjs";
import { Process } from "../../lib/process.mjs";
import { until } from "../../lib/until.mjs";

const environment = ["env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8"];

/** Runs a command and returns { status, output, errors }. */
async function run([command, ...args], { input = "", ...options } = {}) {
  const child = spawn(command, args, options);
  const result = { output: "", errors: "" };
  child.stdout.on("data", (data) => (result.output += data));
  child.stderr.on("data", (data) => (result.errors += data));
  child.stdin.on("error", () => {}); // it does not read
  child.stdin.end(input);
  const [status, signal] = await once(child, "close");
  return { ...result, status: status ?? signal };
}

/** Runs a command that must succeed, and returns its output. */
async function demand(command, options) {
  const { status, output, errors } = await run(command, options);
  assert.equal(status, 0, `${command.join(" ")}: ${errors}${output}`);
  return output;
}

/** A program that ends when its input ends. Resolves to its first line. */
async function held(t, command) {
  const child = spawn(command[0], command.slice(1), { stdio: ["pipe", "pipe", "inherit"] });
  let output = "";
  child.stdout.on("data", (data) => (output += data));
  const ended = once(child, "close");
  atEnd(t, () => {
    child.stdin.end();
    return ended;
  });
  await Promise.race([once(child.stdout, "data"), ended]);
  assert.ok(output.includes("\n"), `${command.join(" ")} ended`);
  return { child, line: output.trim() };
}

/** A network that trees join: a bridge. This machine is no part of it, but runs programs in it. */
export class Network {
  static async start(t, address = "192.0.2.1/24") {
    const bridge = `ip link set lo up && ip link add br0 type bridge && ip address add ${address} dev br0 && ip link set br0 up && echo up && exec cat`;
    const { child } = await held(t, ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "sh", "-c", bridge]);
    return Object.assign(new Network(), { pid: child.pid, length: address.split("/")[1] });
  }

  /** Runs a program of this machine in the network. */
  run(command, options) {
    return run(["nsenter", "-t", String(this.pid), "-n", ...command], options);
  }

  demand(command, options) {
    return demand(["nsenter", "-t", String(this.pid), "-n", ...command], options);
  }
}

export class Tree {
  /** Boots a tree with these packages. `archive` names packages that apt in the tree can install. With a `network` it has an `address` there. */
  static async start(t, { packages = [], archive = [], hostname, network, address } = {}) {
    const args = ["hold", "--archive", archive.join(" ")];
    if (hostname) args.push("--hostname", hostname);
    if (network) args.push("--network", String(network.pid), "--address", `${address}/${network.length}`);
    const { line } = await held(t, [path.join(top, "tests/deploy/lib/tree.sh"), ...args, ...packages]);
    const [pid, root] = line.split(" ");
    return Object.assign(new Tree(), { pid: Number(pid), root, address });
  }

  /** The command that runs `command` in the tree. */
  command(command) {
    return ["nsenter", "-t", String(this.pid), "-m", "-u", "-i", "-n", "-p", ...environment, ...command];
  }

  /** Runs a command in the tree and returns { status, output, errors }. */
  run(command, options) {
    return run(this.command(command), options);
  }

  /** Runs a command in the tree that must succeed, and returns its output. */
  demand(command, options) {
    return demand(this.command(command), options);
  }

  /** A file of the tree as this machine sees it, mounts such as /run included. A symbolic link with an absolute target leads to this machine. */
  path(name) {
    return path.join(`/proc/${this.pid}/root`, name);
  }

  read(name) {
    return fs.readFileSync(this.path(name), "utf8");
  }

  /** Writes a file, and the directories above it. */
  write(name, content, mode = 0o644) {
    fs.mkdirSync(path.dirname(this.path(name)), { recursive: true });
    fs.writeFileSync(this.path(name), content);
    fs.chmodSync(this.path(name), mode);
  }

  /** Copies a file of this machine into the tree, with its mode. */
  copy(from, name) {
    this.write(name, fs.readFileSync(from), fs.statSync(from).mode & 0o777);
  }

  /** A unix socket of this machine that leads to a TCP port in the tree. */
  async pathTo(t, port, host = "127.0.0.1") {
    const socket = path.join(shortDirectory(t), "s");
    const relay = `const net = require("net");
      net.createServer({ allowHalfOpen: true }, (near) => {
        const far = net.connect({ port: ${port}, host: "${host}", allowHalfOpen: true });
        near.pipe(far).pipe(near);
        for (const [one, other] of [[near, far], [far, near]]) one.on("error", () => other.destroy()).on("close", () => other.destroy());
      }).listen("${socket}")`;
    new Process(t, "setpriv", ["--pdeathsig", "KILL", "nsenter", "-t", String(this.pid), "-n", process.execPath, "-e", relay]);
    await untilOpen({ path: socket });
    return socket;
  }

  /** Waits until a command in the tree succeeds, and returns its output. */
  async until(command, ms) {
    let last;
    return until(
      () => `${command.join(" ")}: ${last.errors}${last.output}`,
      async () => {
        last = await this.run(command);
        return last.status === 0 && { output: last.output };
      },
      ms,
    ).then(({ output }) => output);
  }
}

/** The reason why this machine cannot boot a tree, or false. For the option `skip` of a test. */
export async function whyNoTree() {
  const { status, errors } = await run([path.join(top, "tests/deploy/lib/tree.sh"), "check"]);
  return status === 0 ? false : errors.trim();
}
