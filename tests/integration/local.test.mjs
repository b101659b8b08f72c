// deploy/local.sh, run as by a new user.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import net from "node:net";
import path from "node:path";
import test from "node:test";
import { Process, freePort, get, joined, processes, temporaryDirectory, top, until } from "../lib/harness.mjs";

const script = path.join(top, "deploy/local.sh");

/** local.sh runs everything as whoever starts it, and nobody else may enter its directory: here no gateway becomes another user. */
const { YUKIZURI_USER, ...environment } = process.env;

/** Processes whose command line names this directory. */
const processesOf = (directory) => processes().filter(({ command }) => command.includes(directory)).map(({ pid }) => pid);

for (const signal of ["SIGINT", "SIGKILL"]) {
  test(`local.sh starts a working chat; after ${signal} no process, port or file remains`, { timeout: 300000 }, async (t) => {
    const directory = temporaryDirectory(t);
    const port = await freePort();
    const local = new Process(t, "bash", [script, "--gateways", "3", "--port", String(port)], { env: { ...environment, TMPDIR: directory } });
    await until(() => `it says that it runs: ${local.output} ${local.errors}`, () => !local.running || local.output.includes("Ctrl-C stops it"), 240000);
    assert.ok(local.running, local.errors);
    assert.match(local.output, new RegExp(`http://localhost:${port}`));
    const [, socket] = local.output.match(/redis-cli -s (\S+)/);
    const members = [];
    for (const name of ["a", "b", "c"]) members.push(await joined(t, `ws://127.0.0.1:${port}/room`, name));
    members[0].send({ type: "say", text: "hello", nonce: "1" });
    for (const member of members) await member.waitFor({ type: "message", text: "hello" });
    const inside = spawnSync("redis-cli", ["-s", socket, "SMEMBERS", "yukizuri:{lobby}:members"], { encoding: "utf8" });
    assert.deepEqual(inside.stdout.trim().split("\n").sort(), ["a", "b", "c"]);
    assert.equal((await get(`http://localhost:${port}/`)).status, 200);

    local.signal(signal);
    if (signal === "SIGINT") await local.ended;
    await until(() => `no process is left: ${processesOf(directory)}`, () => processesOf(directory).length === 0);
    await until("the port is free", async () => (await get(`http://127.0.0.1:${port}/`).catch((error) => error.code)) === "ECONNREFUSED");
    if (signal === "SIGINT") assert.deepEqual(fs.readdirSync(directory), []);
  });
}

test("a busy port, an invalid number and an unknown argument each give one clear line", async () => {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const run = (...args) => spawnSync("bash", [script, ...args], { encoding: "utf8" });
  for (const [args, line] of [
    [["--port", String(server.address().port)], /^local\.sh: port \d+ is in use; choose another with --port\n$/],
    [["--port", "x"], /^local\.sh: --port needs a number, not "x"\n$/],
    [["--gateways"], /^local\.sh: --gateways needs a number\n$/],
    [["--gateways", "0"], /^local\.sh: --gateways needs a number, not "0"\n$/],
    [["--frobnicate"], /^local\.sh: unknown argument --frobnicate; see --help\n$/],
  ]) {
    const { status, stderr } = run(...args);
    assert.equal(status, 1);
    assert.match(stderr, line);
  }
  assert.match(run("--help").stdout, /--gateways N/);
  server.close();
});

test("local.sh reports the version of a Redis that is too old, and the required version", async (t) => {
  const directory = temporaryDirectory(t);
  const run = async (version) => {
    fs.writeFileSync(path.join(directory, "redis-server"), `#!/bin/sh\necho '${version}'\n`, { mode: 0o755 });
    fs.writeFileSync(path.join(directory, "cmake"), "#!/bin/sh\nexit 1\n", { mode: 0o755 }); // it gets this far
    return spawnSync("bash", [script, "--port", String(await freePort())], { encoding: "utf8", env: { ...process.env, PATH: `${directory}:${process.env.PATH}`, TMPDIR: directory } }).stderr;
  };
  assert.equal(await run("Redis server v=6.0.16 sha=00000000:0 malloc=jemalloc-5.2.1 bits=64 build=a3fdef44459b3ad6"), "local.sh: redis-server is 6.0: Redis 7.0 or newer is needed\n");
  assert.equal(await run("something else"), "local.sh: redis-server is of an unknown version: Redis 7.0 or newer is needed\n");
  for (const version of ["Redis server v=7.0.15 sha=0", "Redis server v=10.2.0 sha=0", "Valkey server v=8.0.1 sha=0"]) assert.match(await run(version), /^local\.sh: the build failed/);
});

test("local.sh without apt names the packages and stops", async (t) => {
  const directory = temporaryDirectory(t);
  for (const name of ["bash", "cat", "dirname", "basename", "tr", "sed"]) fs.symlinkSync(spawnSync("which", [name], { encoding: "utf8" }).stdout.trim(), path.join(directory, name));
  const { status, stderr } = spawnSync(path.join(directory, "bash"), [script, "--port", String(await freePort())], { encoding: "utf8", env: { PATH: directory } });
  assert.equal(status, 1);
  assert.match(stderr, /^local\.sh: there is no apt here; please install what these Debian packages hold: .*libwslay-dev.*\n$/s);
});
