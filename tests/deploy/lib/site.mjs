// nginx with a rendered configuration, on free ports.
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { Process, atEnd, freePort, get, shortDirectory, startGateway, temporaryDirectory, top, until } from "../../lib/harness.mjs";
import { makeCertificate } from "./tls.mjs";

export const NAME = "chat.example.org";
export const nginxCommand = fs.existsSync("/usr/sbin/nginx") ? "/usr/sbin/nginx" : "nginx";
export const renderScript = path.join(top, "deploy/nginx/render.sh");

/** Runs render.sh and returns { status, stdout, stderr }. */
export const render = (...args) => spawnSync("sh", [renderScript, ...args], { encoding: "utf8" });

/** Gateways on unix sockets: each has `upstream`, for --upstream. */
export function startGateways(t, redis, count, args = []) {
  return Promise.all(
    Array.from({ length: count }, async (_, i) => {
      const socket = path.join(shortDirectory(t), "gateway.sock");
      const gateway = await startGateway(t, { redis, args: ["--addr", `unix:${socket}`, "--gateway-id", `gateway-${i + 1}`, ...args] });
      return Object.assign(gateway, { upstream: `unix:${socket}` });
    }),
  );
}

export const options = (name, values) => values.flatMap((value) => [name, value]);

/** Runs nginx with the nginx.conf in this directory until the end of the test. `nginx(...)` runs it for one order, such as -t. */
export class Nginx extends Process {
  constructor(t, directory) {
    const args = ["-e", path.join(directory, "nginx-error.log"), "-p", directory, "-c", path.join(directory, "nginx.conf")];
    super(t, nginxCommand, [...args, "-g", "daemon off;"]);
    atEnd(t, () => this.stop("SIGTERM"));
    Object.assign(this, { directory, args });
  }

  order(...order) {
    return spawnSync(nginxCommand, [...this.args, ...order], { encoding: "utf8" });
  }

  get complaints() {
    return `${this.errors}${fs.readFileSync(path.join(this.directory, "nginx-error.log"), { encoding: "utf8", flag: "a+" })}`;
  }
}

/** `nginx -t` for the nginx.conf in this directory. */
export const testConfiguration = (directory) =>
  spawnSync(nginxCommand, ["-t", "-e", path.join(directory, "nginx-error.log"), "-p", directory, "-c", path.join(directory, "nginx.conf")], { encoding: "utf8" });

/** Starts nginx for these gateways, with TLS unless `tls` is false. */
export async function startSite(t, gateways, { tls = true, args = [] } = {}) {
  const directory = temporaryDirectory(t);
  const [port, tlsPort, statusPort] = [await freePort(), await freePort(), await freePort()];
  const made = makeCertificate(directory, [NAME]);
  const acme = path.join(directory, "acme");
  const log = path.join(directory, "access.log");
  const secure = ["--name", NAME, "--certificate", made.certificate, "--certificate-key", made.key, "--listen-tls", `127.0.0.1:${tlsPort}`];
  const { stdout, stderr, status } = render(
    ...["--listen", `127.0.0.1:${port}`, ...(tls ? secure : []), ...options("--upstream", gateways.map(({ upstream }) => upstream))],
    ...["--acme", acme, "--status", `127.0.0.1:${statusPort}`, "--access-log", log, ...args],
    ...["--whole", directory, "--user", os.userInfo().username],
  );
  if (status !== 0) throw new Error(stderr);
  fs.writeFileSync(path.join(directory, "nginx.conf"), stdout);
  const nginx = new Nginx(t, directory);
  const origin = `http://127.0.0.1:${port}`;
  await until(() => `nginx is up: ${nginx.complaints}`, () => get(`${origin}/healthz`).then(() => true, () => false));
  const secureOrigin = `https://${NAME}:${tlsPort}`;
  return Object.assign(nginx, { ...made, acme, log, port, tlsPort, statusPort, origin, secureOrigin, url: tls ? `wss://${NAME}:${tlsPort}/room` : `ws://127.0.0.1:${port}/room` });
}
