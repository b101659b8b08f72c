// The private Redis of a gateway or of workers: it starts, restarts, and ends with them.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import test from "node:test";
import { Gateway, Process, binary, childrenOf, freePort, get, isRunning, joined, memberThatIsIn, processes, readyz, shortDirectory, startGateway, temporaryDirectory, until, untilReady } from "../lib/harness.mjs";

const isGone = (pid) => until(`${pid} is gone`, () => !isRunning(pid));

/** The private redis-server of this gateway, whose parent is the keeper; undefined if there is none. */
function privateRedis(gateway) {
  const all = processes();
  const keepers = all.filter(({ parent }) => parent === gateway.pid).map(({ pid }) => pid);
  return all.find(({ name, parent }) => name === "redis-server" && keepers.includes(parent));
}

const anotherRedis = (gateway, than) =>
  until("another redis-server", () => {
    const found = privateRedis(gateway);
    return found !== undefined && found.pid !== than.pid && found;
  });

/** A directory for PATH with a redis-server that waits while the directory contains the file `hold`. */
function redisThatCanBeHeld(t) {
  const directory = temporaryDirectory(t);
  const real = execFileSync("sh", ["-c", "command -v redis-server"], { encoding: "utf8" }).trim();
  fs.writeFileSync(path.join(directory, "redis-server"), `#!/bin/sh\nwhile [ -e ${directory}/hold ]; do sleep 0.05; done\nexec ${real} "$@"\n`, { mode: 0o755 });
  return { hold: path.join(directory, "hold"), env: { ...process.env, PATH: `${directory}:${process.env.PATH}` } };
}

for (const workers of ["1", "2"]) {
  const many = workers === "1" ? "" : `, which ${workers} workers share,`;

  test(`a private Redis that was killed${many} is started again: members receive a gap and can talk again`, { timeout: 120000 }, async (t) => {
    const { hold, env } = redisThatCanBeHeld(t);
    const gateway = await startGateway(t, { args: ["--workers", workers], env });
    const [alice, bob] = [await joined(t, gateway.url, "alice"), await joined(t, gateway.url, "bob")];
    alice.send({ type: "say", text: "one", nonce: "1" });
    await bob.waitFor({ type: "message", text: "one" });

    const redis = privateRedis(gateway);
    fs.writeFileSync(hold, "");
    process.kill(redis.pid, "SIGKILL");
    await until("it is not ready", async () => (await readyz(gateway)).status === 503);
    assert.equal((await get(`${gateway.origin}/healthz`)).status, 200);
    fs.rmSync(hold);
    await untilReady(gateway);
    for (const member of [alice, bob]) await member.waitFor({ type: "gap" });
    alice.send({ type: "say", text: "two", nonce: "2" });
    for (const member of [alice, bob]) await member.waitFor({ type: "message", text: "two" });
    const said = /the private Redis ended by signal 9 and was started again, empty/;
    if (workers === "1") await until("the log says so", () => gateway.log.some(({ kind, message }) => kind === "embedded-redis" && said.test(message)));
    else await until("the supervisor says so", () => said.test(gateway.errors));
    await memberThatIsIn(t, gateway.url, "carol"); // whichever worker it is
  });

  test(`a private Redis${many} that dies three times within a minute ends the gateway with a clear line and status 1`, { timeout: 120000 }, async (t) => {
    const port = await freePort();
    const gateway = new Gateway(t, port, ["--workers", workers]);
    await untilReady(gateway);
    const alice = await joined(t, gateway.url, "alice");
    let redis = privateRedis(gateway);
    for (let death = 1; death <= 3; death++) {
      process.kill(redis.pid, "SIGKILL");
      if (death < 3) redis = await anotherRedis(gateway, redis);
    }
    assert.deepEqual(await gateway.ended, { code: 1, signal: null });
    assert.match(gateway.errors, /^yukizuri: the private Redis ended 3 times within 60 seconds, lastly by signal 9: see that it can run \(.*\n$/m);
    if (workers === "1") assert.ok(gateway.log.some(({ level, kind }) => kind === "embedded-redis" && level === "error"));
    await alice.waitClosed();
  });
}

test("a private Redis that cannot run ends the gateway with its status", { timeout: 120000 }, async (t) => {
  const directory = temporaryDirectory(t);
  fs.writeFileSync(path.join(directory, "redis-server"), "#!/bin/sh\nexit 9\n", { mode: 0o755 });
  const gateway = new Process(t, binary, ["--addr", `127.0.0.1:${await freePort()}`], { env: { ...process.env, PATH: directory } });
  assert.deepEqual(await gateway.ended, { code: 1, signal: null });
  assert.match(gateway.errors, /^yukizuri: the private Redis ended 3 times within 60 seconds, lastly with status 9: .*\n$/);
});

test("a killed keeper is replaced, together with a Redis through which members can talk", { timeout: 120000 }, async (t) => {
  const gateway = await startGateway(t);
  const alice = await joined(t, gateway.url, "alice");
  const redis = privateRedis(gateway);
  process.kill(redis.parent, "SIGKILL");
  await isGone(redis.pid);
  await anotherRedis(gateway, redis);
  await alice.waitFor({ type: "gap" });
  alice.send({ type: "say", text: "again", nonce: "1" });
  await alice.waitFor({ type: "message", text: "again" });
});

test("a gateway exits even if its keeper was stopped, and leaves no process and no file", { timeout: 120000 }, async (t) => {
  const directory = shortDirectory(t);
  const gateway = await startGateway(t, { env: { ...process.env, TMPDIR: directory } });
  const redis = privateRedis(gateway);
  process.kill(redis.parent, "SIGSTOP");
  gateway.signal("SIGTERM");
  await until("it has ended", () => !gateway.running);
  assert.deepEqual(await gateway.ended, { code: 0, signal: null });
  await isGone(redis.parent);
  await isGone(redis.pid);
  assert.deepEqual(fs.readdirSync(directory), []);
});

test("the embedded Redis starts and ends with the gateway, even if the gateway is killed", async (t) => {
  for (const signal of ["SIGINT", "SIGTERM", "SIGKILL"]) {
    const short = shortDirectory(t);
    const gateway = await startGateway(t, { env: { ...process.env, TMPDIR: short } });
    await joined(t, gateway.url, "alice");
    const [made] = fs.readdirSync(short);
    assert.ok(fs.existsSync(`${short}/${made}/redis.sock`));
    await gateway.stop(signal);
    await until(`nothing is left after ${signal}`, () => fs.readdirSync(short).length === 0);
  }
});

test("a keeper that is killed just after it started a Redis leaves none behind", { timeout: 120000 }, async (t) => {
  const directory = shortDirectory(t);
  const left = () => spawnSync("pgrep", ["-f", `${directory}/`], { encoding: "utf8" }).stdout.trim();
  const port = await freePort();
  for (let round = 0; round < 20; round++) {
    const gateway = new Process(t, binary, ["--addr", `127.0.0.1:${port}`, "--drain", "0"], { env: { ...process.env, TMPDIR: directory } });
    const keeper = await until("there is a keeper with a child", () => childrenOf(gateway.pid).find((pid) => childrenOf(pid).length > 0));
    process.kill(keeper, "SIGKILL");
    gateway.signal("SIGINT");
    await gateway.ended;
    await until(() => `nothing is left: ${left()}`, () => left() === "");
  }
});
