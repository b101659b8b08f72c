// A container engine and its compose command, for tests that bring the service up for real.
//
// The default is Docker. For a machine without it, YUKIZURI_CONTAINERS names a program that has podman with podman-compose in a network
// namespace of their own:
//
//   build DIRECTORY TAG ARGUMENT...   builds an image
//   in COMMAND...                     runs a command in the namespace: podman, podman-compose, or what connects to a published port
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { Process, atEnd, shortDirectory, temporaryDirectory, until } from "../../lib/harness.mjs";

const wrapper = process.env.YUKIZURI_CONTAINERS;
/** Then images that are built here must do. */
export const withoutRegistry = wrapper !== undefined;
const inside = (...command) => (wrapper ? [wrapper, "in", ...command] : command);

export function run([command, ...args], { env = {}, status = 0, input } = {}) {
  const result = spawnSync(command, args, { encoding: "utf8", env: { ...process.env, ...env }, input, maxBuffer: 1 << 26 });
  if (status !== null && result.status !== status) throw new Error(`${command} ${args.join(" ")}: status ${result.status ?? result.error}\n${result.stdout}\n${result.stderr}`);
  return result;
}

export const engine = (...args) => run(inside(wrapper ? "podman" : "docker", ...args)).stdout.trim();

/** Why there is no engine here, or false. */
export function lacking() {
  const { status, error, stderr } = run(inside(wrapper ? "podman" : "docker", "info"), { status: null });
  return status === 0 ? false : `no container engine: ${error?.message ?? stderr.trim().split("\n").at(-1)}; see YUKIZURI_CONTAINERS in tests/deploy/lib/containers.mjs`;
}

export function buildImage(directory, tag, ...args) {
  run(wrapper ? [wrapper, "build", directory, tag, ...args] : ["docker", "build", "-t", tag, ...args, directory]);
}

/** podman-compose 1.0 puts a service with a network_mode on the project's network too, which podman refuses. And podman 4 sets the number of processes to a
 *  limit that the machine may not permit, once another limit is given. This podman leaves out the one and sets the other. */
const SHIM = `#!/bin/bash
args=("$@")
if [ "$1" = run ] || [ "$1" = create ]; then
    args=("$1" --ulimit nproc=4096:4096)
    [[ " $* " == *" --network none "* ]] && alone=yes || alone=
    shift
    while [ $# -gt 0 ]; do
        case $alone$1 in yes--net | yes--network-alias) shift 2 ;; *) args+=("$1"); shift ;; esac
    done
fi
exec podman "\${args[@]}"
`;

/** A compose project of its own. It is taken down at the end of the test, with its volumes. */
export class Project {
  constructor(t, name, files, env = {}) {
    Object.assign(this, { t, name, files, env });
    this.shim = path.join(temporaryDirectory(t), "podman");
    fs.writeFileSync(this.shim, SHIM, { mode: 0o755 });
    atEnd(t, () => this.down());
  }

  /** The compose command with the project and its files. */
  get command() {
    const command = wrapper ? ["podman-compose", "--podman-path", this.shim] : ["docker", "compose"];
    return inside(...command, "-p", this.name, ...this.files.flatMap((file) => ["-f", file]));
  }

  compose(...args) {
    return run([...this.command, ...args], { env: this.env });
  }

  down() {
    if (wrapper) for (const id of this.ids("gateway")) this.remove(id); // podman-compose 1.0 knows only as many as there should be now
    this.compose("down", "-v", "-t", "60");
    if (wrapper) for (const network of this.networks()) engine("network", "rm", network); // and leaves these
  }

  networks() {
    return engine("network", "ls", "-q", "--filter", `label=com.docker.compose.project=${this.name}`).split("\n").filter((name) => name !== "");
  }

  /** The ids of the running containers of a service, or of all. */
  ids(service) {
    const list = engine("ps", "-q", "--filter", `label=com.docker.compose.project=${this.name}`, ...(service ? ["--filter", `label=com.docker.compose.service=${service}`] : []));
    return list.split("\n").filter((id) => id !== "");
  }

  inspect(id) {
    return JSON.parse(engine("inspect", id))[0];
  }

  exec(id, ...command) {
    return run(inside(wrapper ? "podman" : "docker", "exec", id, ...command), { status: null });
  }

  /** Standard output and error of all containers of a service. */
  logs(service) {
    return this.ids(service).map((id) => {
      const { stdout, stderr } = run(inside(wrapper ? "podman" : "docker", "logs", id));
      return stdout + stderr;
    }).join("");
  }

  /** Stops one container as compose does when it scales down, and removes it. */
  remove(id) {
    engine("stop", "-t", "60", id);
    engine("rm", id);
  }
}

/** For compose/upgrade.sh. */
export const upgradeEnvironment = (project) => ({ COMPOSE: project.command.join(" "), ENGINE: inside(wrapper ? "podman" : "docker").join(" "), COMPOSE_PROJECT_NAME: project.name });

const RELAY = `
const net = require("node:net");
const [socket, port] = process.argv.slice(1);
net.createServer((near) => {
  const far = net.connect(Number(port), "127.0.0.1");
  near.pipe(far).pipe(near);
  for (const each of [near, far]) each.on("error", () => { near.destroy(); far.destroy(); });
}).listen(socket, () => console.log(process.pid));
`;

/** How to reach a published port: its pid is in the right network namespace, and `socket` leads to the port from outside. */
export async function door(t, port) {
  if (!wrapper) return { url: `ws://127.0.0.1:${port}/room`, origin: `http://127.0.0.1:${port}` };
  const socket = path.join(shortDirectory(t), "s");
  const relay = new Process(t, wrapper, ["in", process.execPath, "-e", RELAY, socket, String(port)]);
  await until(() => `the relay listens: ${relay.errors}`, () => relay.output !== "");
  const pid = Number(relay.output);
  atEnd(t, () => { try { process.kill(pid, "SIGKILL"); } catch { /* it has ended */ } });
  return { url: `ws+unix:${socket}:/room`, origin: "http://localhost", socketPath: socket, pid };
}
