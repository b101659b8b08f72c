// A real nginx with the shipped configuration.
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { atEnd } from "./endings.mjs";
import { temporaryDirectory, top } from "./files.mjs";
import { get } from "./http.mjs";
import { freePort } from "./ports.mjs";
import { Process } from "./process.mjs";
import { until } from "./until.mjs";

export async function startNginx(t, upstreams) {
  const directory = temporaryDirectory(t);
  const port = await freePort();
  const config = execFileSync(path.join(top, "deploy/nginx/render.sh"), [
    "--listen",
    `127.0.0.1:${port}`,
    ...upstreams.flatMap((upstream) => ["--upstream", upstream]),
    "--whole",
    directory,
    "--user",
    os.userInfo().username,
  ]);
  fs.writeFileSync(path.join(directory, "nginx.conf"), config);
  const command = fs.existsSync("/usr/sbin/nginx") ? "/usr/sbin/nginx" : "nginx";
  const nginx = new Process(t, command, ["-e", path.join(directory, "nginx-error.log"), "-p", directory, "-c", path.join(directory, "nginx.conf"), "-g", "daemon off;"]);
  atEnd(t, () => nginx.stop("SIGTERM"));
  nginx.directory = directory;
  nginx.port = port;
  nginx.origin = `http://127.0.0.1:${port}`;
  nginx.url = `ws://127.0.0.1:${port}/room`;
  await until(
    () => `nginx is up: ${nginx.errors}`,
    async () => (await get(`${nginx.origin}/healthz`).catch(() => null))?.status === 200,
  );
  return nginx;
}
