// deploy/release.sh over a real sshd, to gateways of a real supervisor behind nginx, while people talk.
import assert from "node:assert/strict";
import { execFile, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import test from "node:test";
import { promisify } from "node:util";
import { Process, atEnd, binary, freePort, get, shortDirectory, startNginx, startRedis, temporaryDirectory, top, until, untilOpen } from "../lib/harness.mjs";
import { startConversation } from "./lib/conversation.mjs";

const script = path.join(top, "deploy/release.sh");
const asRoot = os.userInfo().uid === 0;

async function run(args, options = {}) {
  const child = spawn("bash", [script, ...args], { stdio: ["ignore", "pipe", "pipe"], ...options });
  const result = { output: "", errors: "" };
  child.stdout.on("data", (data) => (result.output += data));
  child.stderr.on("data", (data) => (result.errors += data));
  [result.status] = await once(child, "close");
  return result;
}

/** An sshd with keys of its own. Who logs in has this PATH. `one` is this machine, and `away` is nowhere. */
async function startSshd(t, where) {
  const directory = temporaryDirectory(t);
  const file = (name) => path.join(directory, name);
  for (const key of ["host", "user"]) execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", file(key)]);
  const port = await freePort();
  const lines = [`Port ${port}`, "ListenAddress 127.0.0.1", `HostKey ${file("host")}`, `AuthorizedKeysFile ${file("user.pub")}`, "StrictModes no", "UsePAM no", "PasswordAuthentication no", "PermitRootLogin yes", "PidFile none", `SetEnv PATH=${where}`];
  fs.writeFileSync(file("sshd_config"), lines.join("\n") + "\n");
  if (asRoot) fs.mkdirSync("/run/sshd", { recursive: true });
  new Process(t, "/usr/sbin/sshd", ["-D", "-e", "-f", file("sshd_config")]);
  await untilOpen({ port, host: "127.0.0.1" });
  const host = (name, at) => `Host ${name}\n HostName 127.0.0.1\n Port ${at}\n IdentityFile ${file("user")}\n IdentitiesOnly yes\n StrictHostKeyChecking no\n UserKnownHostsFile /dev/null\n LogLevel ERROR\n BatchMode yes\n`;
  fs.writeFileSync(file("ssh_config"), host("one", port) + host("away", await freePort()));
  return `ssh -F ${file("ssh_config")}`;
}

/** Two gateways under supervisor behind nginx; `release` runs release.sh for them. */
async function startService(t) {
  const redis = await startRedis(t);
  const directory = shortDirectory(t);
  const file = (name) => path.join(directory, name);
  const bin = file("bin");
  fs.mkdirSync(bin);
  const target = path.join(bin, "yukizuri");
  fs.copyFileSync(binary, target);
  const args = `--redis ${redis.url} --drain 2 --drain-delay 1`.replaceAll("%", "%%");
  const program = (i) => `[program:gateway-${i}]\ncommand=${target} --addr unix:${file(`${i}.sock`)} --gateway-id gateway-${i} ${args}\nstopwaitsecs=15\nstartsecs=1\nstartretries=2\nredirect_stderr=true\nstdout_logfile=${file(`${i}.log`)}\n`;
  const sections = [
    `[supervisord]\nlogfile=${file("supervisord.log")}\npidfile=${file("supervisord.pid")}\nchildlogdir=${directory}\n${asRoot ? "user=root\n" : ""}`,
    `[unix_http_server]\nfile=${file("control.sock")}\n[supervisorctl]\nserverurl=unix://${file("control.sock")}\n`,
    "[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n",
    program(1), program(2), "[group:yukizuri-gateway]\nprograms=gateway-1,gateway-2\n",
  ];
  fs.writeFileSync(file("supervisord.conf"), sections.join("\n"));
  const supervisor = new Process(t, "supervisord", ["-n", "-c", file("supervisord.conf")]);
  atEnd(t, async () => {
    spawnSync("supervisorctl", ["-c", file("supervisord.conf"), "signal", "INT", "yukizuri-gateway:*"]); // they end at once
    await supervisor.stop("SIGTERM");
  });
  fs.writeFileSync(path.join(bin, "supervisorctl"), `#!/bin/sh\nexec /usr/bin/supervisorctl -c ${file("supervisord.conf")} "$@"\n`, { mode: 0o755 });
  const sockets = [1, 2].map((i) => file(`${i}.sock`));
  for (const socketPath of sockets) await until("a gateway is ready", async () => (await get("http://gateway/readyz", { socketPath }).catch(() => null))?.status === 200);
  const nginx = await startNginx(t, sockets.map((socket) => `unix:${socket}`));
  const ssh = await startSshd(t, `${bin}:/usr/sbin:/usr/bin:/sbin:/bin`);
  const options = ["--ssh", ssh, "--supervisor", "--target", target, "--ready", `unix:${file("%i.sock")}`];
  const release = (...more) => run([...options, ...more]);
  const pidOf = async (i) => (await promisify(execFile)(path.join(bin, "supervisorctl"), ["pid", `yukizuri-gateway:gateway-${i}`])).stdout.trim();
  const running = async () => (await Promise.all([1, 2].map(pidOf))).map((pid) => fs.readFileSync(`/proc/${pid}/exe`));
  const files = () => fs.readdirSync(bin).filter((name) => !["supervisorctl", "yukizuri.lock"].includes(name)).sort();
  return { nginx, directory, bin, target, release, running, files };
}

/** The binary with some bytes behind its end: another file that is the same program. */
function otherBuild(directory, word) {
  const file = path.join(directory, `build-${word}`);
  fs.copyFileSync(binary, file);
  fs.appendFileSync(file, word);
  return file;
}

/** A program that tells its version, and then does this. */
function brokenBuild(directory, what) {
  const file = path.join(directory, "broken");
  fs.writeFileSync(file, `#!/bin/sh\n[ "$1" != --version ] || { echo yukizuri 9.9; exit; }\n${what}\n`, { mode: 0o755 });
  return file;
}

const assertKept = ({ kept, problems, ...figures }) => assert.ok(kept, `${JSON.stringify(figures)}\n${problems.join("\n")}`);

test("a release during a conversation harms nobody, is repeatable, and is taken back", { timeout: 900000 }, async (t) => {
  const service = await startService(t);
  for (const day of ["01", "02", "03"]) fs.writeFileSync(`${service.target}.202001${day}T000000Z-0.0.1`, "an old one");
  const talk = await startConversation(t, { url: service.nginx.url });
  for (const word of ["one", "two"]) {
    const build = otherBuild(service.directory, word);
    const { status, output, errors } = await service.release("--binary", build, "one");
    assert.equal(status, 0, output + errors);
    assert.match(output, /one: yukizuri-gateway:gateway-1 is ready after \d+ s\none: yukizuri-gateway:gateway-2 is ready after/);
    for (const exe of await service.running()) assert.ok(exe.equals(fs.readFileSync(build)), "every gateway runs it");
    await talk.goesOn();
  }
  assert.deepEqual(service.files().slice(0, 2), ["yukizuri", "yukizuri.20200103T000000Z-0.0.1"], "the older ones are gone");
  assert.equal(service.files().length, 4, `the binary and its last three backups: ${service.files()}`);
  for (const name of service.files().slice(1)) assert.match(name, /^yukizuri\.\d{8}T\d{6}Z-\d+\.\d+\.\d+$/);
  const again = await service.release("--binary", path.join(service.directory, "build-two"), "one");
  assert.match(again.output, /gateway-1 runs it already\none: yukizuri-gateway:gateway-2 runs it already/);
  const back = await service.release("--back", "one");
  assert.equal(back.status, 0, back.output + back.errors);
  for (const exe of await service.running()) assert.ok(exe.equals(fs.readFileSync(path.join(service.directory, "build-one"))), "the previous one");
  const verdict = await talk.end();
  assertKept(verdict);
  assert.ok(verdict.reconnects >= 2 * verdict.people, `they have moved: ${verdict.reconnects}`);
});

test("what does not become ready is taken back, and nobody notices", { timeout: 900000 }, async (t) => {
  const service = await startService(t);
  const before = fs.readFileSync(service.target);
  const talk = await startConversation(t, { url: service.nginx.url });
  for (const [what, why] of [["exit 1", /gateway-1 FAILED: it ended at once/], ["exec sleep 1000", /gateway-1 FAILED: it was not ready within 15 s/]]) {
    const { status, output, errors } = await service.release("--wait", "15", "--binary", brokenBuild(service.directory, what), "one");
    assert.equal(status, 1, output + errors);
    assert.match(output, why);
    assert.match(output, /gateway-1 is ready with the previous binary/);
    assert.doesNotMatch(output, /gateway-2 is ready/);
    assert.match(errors, /one failed/);
    for (const exe of await service.running()) assert.ok(exe.equals(before), "every gateway runs the previous one");
    assert.deepEqual(service.files(), ["yukizuri"]);
    await talk.goesOn();
  }
  assertKept(await talk.end());
});

test("nothing is changed if a host, its disk, a gateway or the binary is not as it should be", { timeout: 600000 }, async (t) => {
  const service = await startService(t);
  const build = otherBuild(service.directory, "new");
  const before = fs.readFileSync(service.target);
  const assertRefused = async (pattern, ...args) => {
    const { status, output, errors } = await service.release(...args);
    assert.equal(status, 1, output + errors);
    assert.match(errors, pattern);
    assert.match(errors, /Nothing was changed on any host\n$/);
    assert.deepEqual([service.files(), fs.readFileSync(service.target).equals(before)], [["yukizuri"], true]);
  };
  const dry = await service.release("--dry-run", "--binary", build, "one");
  assert.deepEqual([dry.status, service.files()], [0, ["yukizuri"]]);
  await assertRefused(/away: cannot be reached: .*refused/, "--binary", build, "one", "away");
  await assertRefused(/one: the binary does not run there/, "--binary", "/etc/hostname", "one");
  await assertRefused(/one: no gateway runs there/, "--gateways", "nobody:*", "--binary", build, "one");
  await assertRefused(/one: yukizuri-gateway:gateway-1 is not ready at http/, "--ready", "http://127.0.0.1:1", "--binary", build, "one");
  const other = path.join(service.directory, "other");
  fs.writeFileSync(other, "");
  await assertRefused(/one: yukizuri-gateway:gateway-1 runs .*, not .*\/other/, "--target", other, "--binary", build, "one");
  await assertRefused(/one: \/usr\/bin\/env belongs to a Debian package; upgrade it by apt/, "--target", "/usr/bin/env", "--binary", build, "one");
  await assertRefused(/one: it has no backup/, "--back", "one");
  assert.equal((await run([])).status, 2);
  assert.match((await run(["--wait", "x"])).errors, /--wait needs a number/);
});

test("a disk that is full or cannot be written is told before anything is changed", { skip: !asRoot && "only root mounts a small disk", timeout: 600000 }, async (t) => {
  const directory = temporaryDirectory(t);
  const size = fs.statSync(binary).size;
  execFileSync("mount", ["-t", "tmpfs", "-o", `size=${Math.ceil(size * 1.5)}`, "tmpfs", directory]);
  atEnd(t, () => execFileSync("umount", [directory]));
  fs.copyFileSync(binary, path.join(directory, "yukizuri"));
  const ssh = await startSshd(t, "/usr/sbin:/usr/bin:/sbin:/bin");
  const args = ["--ssh", ssh, "--supervisor", "--target", path.join(directory, "yukizuri"), "--binary", binary, "one"];
  assert.match((await run(args)).errors, /one: the disk of .* is full: \d+ bytes are left/);
  execFileSync("mount", ["-o", "remount,ro", directory]);
  assert.match((await run(args)).errors, /one: .* cannot be written\. Nothing was changed/);
});

test("the build of one commit is the same bytes twice", { skip: !process.env.DEPLOY_ALL && "two builds: only with --all", timeout: 900000 }, async (t) => {
  const sums = [];
  for (const name of ["a", "b"]) {
    const directory = path.join(temporaryDirectory(t), name);
    const { status, output, errors } = await run(["--build", directory]);
    assert.equal(status, 0, output + errors);
    sums.push(/SHA-256 ([0-9a-f]{64})/.exec(output)[1]);
    assert.match(execFileSync(path.join(directory, "yukizuri"), ["--version"], { encoding: "utf8" }), /^yukizuri \d/);
  }
  assert.equal(sums[0], sums[1]);
});
