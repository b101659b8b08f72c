// What the process of a gateway may do: its user, its rights, its sandbox, and how its binary is built.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import test from "node:test";
import { assertHardened } from "../lib/elf.mjs";
import { preload } from "../lib/preload.mjs";
import { Gateway, Process, binary, childrenOf, freePort, isRunning, joined, memberThatIsIn, processes, redisPassword, shortDirectory, startGateway, startRedis, temporaryDirectory, top, until, untilReady } from "../lib/harness.mjs";

const isRoot = process.getuid() === 0;
const sanitized = execFileSync("readelf", ["--dyn-syms", "-W", binary], { encoding: "utf8" }).includes("__asan_init");
const rootAlone = isRoot ? {} : { skip: "only root can become another user" };
const nobody = execFileSync("id", ["-u", "nobody"], { encoding: "utf8" }).trim();
const nogroup = execFileSync("id", ["-g", "nobody"], { encoding: "utf8" }).trim();

/** A value in /proc/PID/status: real, effective, saved and file-system id, say. */
const status = (pid, name) => fs.readFileSync(`/proc/${pid}/status`, "utf8").match(new RegExp(`^${name}:\\s*(.*)$`, "m"))[1].trim().split(/\s+/).join(" ");

/** The gateway, and all that it has started. */
function family(pid) {
  return [pid, ...childrenOf(pid).flatMap(family)];
}

const nameOf = (pid) => processes().find((each) => each.pid === pid)?.name;

function assertIsNobody(pid) {
  assert.equal(status(pid, "Uid"), Array(4).fill(nobody).join(" "), nameOf(pid));
  assert.equal(status(pid, "Gid"), Array(4).fill(nogroup).join(" "), nameOf(pid));
  assert.ok(!status(pid, "Groups").split(" ").includes("0"), nameOf(pid));
  for (const set of ["CapPrm", "CapEff"]) assert.match(status(pid, set), /^0+$/, nameOf(pid));
}

/** Runs it with an environment that is this one's and `env`. */
const run = (args, { env = {}, wrap = [] } = {}) => {
  const [command, ...rest] = [...wrap, binary, ...args];
  return spawnSync(command, rest, { encoding: "utf8", env: { ...process.env, ...env }, timeout: 60000 });
};

// --- User

test("a gateway started as root becomes its user, and so does its private Redis; its files belong to the user", { timeout: 120000, ...rootAlone }, async (t) => {
  const directory = shortDirectory(t);
  fs.chmodSync(directory, 0o1777);
  const [log, socket] = [path.join(directory, "log"), path.join(directory, "socket")];
  const gateway = await startGateway(t, { args: ["--user", "nobody", "--log-file", log, "--addr", `unix:${socket}`], env: { ...process.env, TMPDIR: directory } });
  const all = await until("a redis-server runs", () => {
    const pids = family(gateway.pid);
    return pids.some((pid) => nameOf(pid) === "redis-server") && pids;
  });
  for (const pid of all) assertIsNobody(pid);
  for (const file of fs.readdirSync(directory)) assert.equal(String(fs.statSync(path.join(directory, file)).uid), nobody, file);

  fs.renameSync(log, `${log}.1`);
  gateway.signal("SIGHUP");
  await until("it has opened its log again", () => fs.existsSync(log));
  fs.rmSync(log);
  fs.rmSync(`${log}.1`);
  assert.deepEqual(await gateway.stop(), { code: 0, signal: null });
  assert.deepEqual(fs.readdirSync(directory).filter((name) => name !== "log"), [], "its sockets and directories are gone");
});

test("a password file that root alone may read is read before the gateway becomes its user", { timeout: 120000, ...rootAlone }, async (t) => {
  const redis = await startRedis(t);
  const file = path.join(temporaryDirectory(t), "password");
  fs.writeFileSync(file, `${redisPassword}\n`, { mode: 0o400 });
  const gateway = await startGateway(t, { redis: redis.url.replace(/:[^:@]*@/, "@"), args: ["--user", "nobody", "--redis-password-file", file] });
  assertIsNobody(gateway.pid);
});

test("workers run as the user, also one that takes a dead one's place; they end with a killed supervisor", { timeout: 120000, ...rootAlone }, async (t) => {
  const gateway = await startGateway(t, { args: ["--workers", "2", "--user", "nobody"] });
  const workers = () => childrenOf(gateway.pid).filter((pid) => nameOf(pid) === "yukizuri" && status(pid, "Uid") === Array(4).fill(nobody).join(" "));
  const before = await until("two workers and a keeper run as the user", () => workers().length === 3 && workers());
  for (const pid of before.flatMap(family)) assertIsNobody(pid);
  const victim = before.find((pid) => childrenOf(pid).length === 0);
  process.kill(victim, "SIGKILL");
  const after = await until("another worker runs as the user", () => workers().length === 3 && !workers().includes(victim) && workers());
  await memberThatIsIn(t, gateway.url, "alice");
  const all = after.flatMap(family);
  await gateway.stop("SIGKILL");
  await until("nothing is left", () => all.every((pid) => !isRunning(pid)));
});

test("an unknown user, root itself, and another user without being root are an error before anything is opened", () => {
  const log = "/nonexistent/log";
  const unknown = run(["--user", "nobody-of-that-name", "--log-file", log]);
  assert.equal(unknown.status, 2);
  assert.match(unknown.stderr, /^yukizuri: --user: there is no user "nobody-of-that-name" on this machine\n$/);
  if (!isRoot) return;
  const root = run(["--user", "root", "--log-file", log]);
  assert.equal(root.status, 2);
  assert.match(root.stderr, /^yukizuri: --user: "root" is root: name a user without its rights\n$/);
  const other = run(["--user", "daemon", "--log-file", log], { wrap: ["setpriv", "--reuid", nobody, "--clear-groups"] });
  assert.equal(other.status, 2, other.stderr);
  assert.match(other.stderr, /^yukizuri: --user: only root can become "daemon": start the gateway as root, or as this user\n$/);
  const same = run(["--user", "nobody", "--log-file", log], { wrap: ["setpriv", "--reuid", nobody, "--regid", nogroup, "--clear-groups"] });
  assert.match(same.stderr, /^yukizuri: log-file: cannot open \/nonexistent\/log/, "who is the user already goes on");
});

// --- What every process gives up

test("no process of a gateway gains rights or writes a core", { timeout: 120000 }, async (t) => {
  const gateway = await startGateway(t, { args: ["--workers", "2"] });
  const all = await until("a redis-server runs", () => {
    const pids = family(gateway.pid);
    return pids.some((pid) => nameOf(pid) === "redis-server") && pids;
  });
  for (const pid of all) {
    assert.equal(status(pid, "NoNewPrivs"), "1", nameOf(pid));
    assert.match(fs.readFileSync(`/proc/${pid}/limits`, "utf8"), /^Max core file size +0 +0 /m, nameOf(pid));
  }
});

test("other processes of the user cannot read a gateway's memory", { ...rootAlone, ...(sanitized && { skip: "a build with sanitizers can be read" }) }, async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, wrap: ["setpriv", "--reuid", nobody, "--regid", nogroup, "--clear-groups"] });
  assert.equal(status(gateway.pid, "Uid"), Array(4).fill(nobody).join(" "));
  assert.equal(fs.statSync(`/proc/${gateway.pid}/maps`).uid, 0, "the kernel gives the files of what is not dumpable to root");
});

test("the binary is hardened", () => {
  assertHardened(binary, { fortified: !sanitized });
  const release = path.join(top, "build/release/yukizuri");
  if (fs.existsSync(release)) assertHardened(release, { fortified: true });
});

// --- Sandbox

/** The mode of seccomp in each thread: 2 is a filter. */
const filters = (pid) => fs.readdirSync(`/proc/${pid}/task`).map((thread) => status(`${pid}/task/${thread}`, "Seccomp"));

/** A worker may end while it is looked at. */
function isConfined(pid) {
  try {
    return filters(pid).every((mode) => mode === "2");
  } catch {
    return false;
  }
}

test("in the sandbox people talk, the log is reopened, a killed Redis and a killed keeper are replaced", { timeout: 120000 }, async (t) => {
  const directory = temporaryDirectory(t);
  const log = path.join(directory, "log");
  const gateway = await startGateway(t, { args: ["--sandbox", "--log-file", log] });
  assert.ok(filters(gateway.pid).length >= 2, "the log has a thread of its own");
  for (const mode of filters(gateway.pid)) assert.equal(mode, "2");
  const [alice, bob] = [await joined(t, gateway.url, "alice"), await joined(t, gateway.url, "bob")];
  const talk = async (text) => {
    alice.send({ type: "say", text, nonce: text });
    await bob.waitFor({ type: "message", text });
  };
  await talk("one");
  fs.renameSync(log, `${log}.1`);
  gateway.signal("SIGHUP");
  await until("it has opened its log again", () => fs.existsSync(log));
  const server = () => processes().find(({ name, parent }) => name === "redis-server" && childrenOf(gateway.pid).includes(parent));
  for (const victim of ["pid", "parent"]) {
    const before = await until("a redis-server runs", server);
    process.kill(before[victim], "SIGKILL");
    await until("another redis-server runs", () => (server()?.pid ?? before.pid) !== before.pid);
    const gaps = victim === "pid" ? 1 : 2;
    for (const member of [alice, bob]) await until("it has heard of the gap", () => member.gaps().length === gaps);
    await talk(`after ${victim}`);
  }
  assert.deepEqual(await gateway.stop(), { code: 0, signal: null });
});

test("each worker is in the sandbox, and the supervisor replaces one that was killed", { timeout: 120000 }, async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--workers", "2", "--sandbox"] });
  const confined = () => childrenOf(gateway.pid).filter(isConfined);
  const before = await until("both are in it", () => confined().length === 2 && confined());
  process.kill(before[0], "SIGKILL");
  await until("another one is in it", () => confined().length === 2 && !confined().includes(before[0]));
  await memberThatIsIn(t, gateway.url, "alice");
});

test("in the sandbox a host name is resolved, on every connection", { timeout: 120000 }, async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis: redis.urlAt("localhost", redis.port), args: ["--sandbox"] });
  await joined(t, gateway.url, "alice");
});

test("in the sandbox a host name is resolved where a nameserver has an address of the link, with a zone", { timeout: 120000 }, async (t) => {
  if (spawnSync("unshare", ["-m", "true"]).status !== 0) return t.skip("a private /etc/resolv.conf needs a namespace of mounts");
  const servers = path.join(temporaryDirectory(t), "servers");
  fs.writeFileSync(servers, "nameserver fe80::1%lo\n");
  const redis = await startRedis(t);
  const wrap = ["unshare", "-m", "sh", "-c", `mount --bind ${servers} /etc/resolv.conf && exec "$0" "$@"`];
  const gateway = await startGateway(t, { redis: redis.urlAt("localhost", redis.port), args: ["--sandbox"], wrap });
  await joined(t, gateway.url, "alice");
});

test("a gateway as its user in the sandbox serves, and removes its socket", { timeout: 120000, ...rootAlone }, async (t) => {
  const directory = shortDirectory(t);
  fs.chmodSync(directory, 0o1777);
  const gateway = await startGateway(t, { args: ["--sandbox", "--user", "nobody", "--addr", `unix:${directory}/socket`], env: { ...process.env, TMPDIR: directory } });
  await joined(t, gateway.url, "alice");
  assertIsNobody(gateway.pid);
  assert.deepEqual(await gateway.stop(), { code: 0, signal: null });
  assert.deepEqual(fs.readdirSync(directory), []);
});

/** Calls that no gateway makes, and some that are allowed with other arguments. (LeakSanitizer makes processes.) */
const FORBIDDEN = ["sethostname", "execve", "io_uring_setup", "setresuid", "socket", "ioctl", ...(sanitized ? [] : ["clone"])];

test("a system call that the sandbox forbids ends the gateway with a line that names it", { timeout: 120000 }, async (t) => {
  const fifo = path.join(temporaryDirectory(t), "fifo");
  execFileSync("mkfifo", [fifo]);
  const redis = await startRedis(t);
  const env = preload(t, { FORBIDDEN_CALL: fifo });
  for (const name of FORBIDDEN) {
    const gateway = new Gateway(t, await freePort(), ["--redis", redis.url, "--sandbox"], { env });
    await untilReady(gateway);
    fs.writeFileSync(fifo, name);
    await until(() => `${name} has ended it`, () => !gateway.running);
    assert.deepEqual(await gateway.ended, { code: 1, signal: null }, name);
    assert.match(gateway.errors, new RegExp(`^yukizuri: the sandbox does not allow the system call ${name}, number \\d+: the process ends\\n$`));
  }
});

test("where the kernel has no seccomp, a gateway that wants the sandbox does not run, and says why", { timeout: 120000 }, async (t) => {
  const gateway = new Process(t, binary, ["--addr", `127.0.0.1:${await freePort()}`, "--redis", "redis://127.0.0.1:1", "--sandbox"], { env: preload(t, { NO_SECCOMP: "1" }) });
  assert.deepEqual(await gateway.ended, { code: 1, signal: null });
  assert.match(gateway.errors, /^yukizuri: sandbox: this kernel has no seccomp filters, or something forbids them; start without --sandbox\n$/);
});
