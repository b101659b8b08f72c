// The units of deploy/systemd in a booted Debian, installed by hand as docs/operations.md describes it: real systemd, Redis, nginx and DNS.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { get, joined, parseLog, top, until } from "../lib/harness.mjs";
import { startConversationElsewhere } from "./lib/conversation.mjs";
import { Tree, whyNoTree } from "./lib/tree.mjs";
import { installUnits, libraries } from "./lib/units.mjs";

const skip = await whyNoTree();
const packages = ["redis-server", "nginx-light", "dnsmasq-base", "openssl", ...libraries];
const LONG_MS = 180000; // a watchdog, a start that is given up

const gatewayUnit = (i) => `yukizuri@${i}.service`;
const socketOf = (i) => `/run/yukizuri/${i}/gateway.sock`;
const logOf = (i) => `/var/log/yukizuri/${i}.log`;

async function install(tree) {
  tree.copy(path.join(top, "build/release/yukizuri"), "/usr/bin/yukizuri");
  installUnits(tree);
  await tree.demand(["systemd-sysusers"]);
  await tree.demand(["systemd-tmpfiles", "--create"]);
  await tree.demand(["systemctl", "disable", "-q", "--now", "redis-server.service", "nginx.service"]);
  tree.write("/etc/yukizuri/redis-password", "a password of the tests\n", 0o600);
  tree.write("/etc/yukizuri/yukizuri.conf", "redis = unix://yukizuri@/run/redis-yukizuri/redis.sock\n");
  tree.write("/etc/yukizuri/yukizuri.conf.d/test.conf", "drain = 3\n");
  tree.write("/etc/yukizuri/redis-admin-password", "another password\n", 0o600);
  const passwords = ["--password-file", tree.path("/etc/yukizuri/redis-password"), "--admin-password-file", tree.path("/etc/yukizuri/redis-admin-password")];
  const redis = execFileSync(path.join(top, "deploy/redis/render.sh"), [...passwords, "--socket", "/run/redis-yukizuri/redis.sock"]);
  tree.write("/etc/redis/redis-yukizuri.conf", redis);
  const site = execFileSync(path.join(top, "deploy/nginx/render.sh"), ["--listen", "127.0.0.1:8000", ...[1, 2].flatMap((i) => ["--upstream", `unix:${socketOf(i)}`])]);
  tree.write("/etc/nginx/conf.d/yukizuri.conf", site);
  await tree.demand(["systemctl", "daemon-reload"]);
}

async function property(tree, unit, name) {
  return (await tree.demand(["systemctl", "show", "-P", name, unit])).trim();
}

const isActive = async (tree, unit) => (await property(tree, unit, "ActiveState")) === "active";

async function untilActive(tree, ...names) {
  for (const unit of names) await until(`${unit} is active`, () => isActive(tree, unit), LONG_MS);
}

const ask = (tree, i, where) => get(`http://gateway${where}`, { socketPath: tree.path(socketOf(i)) });
const enterAt = (t, socket, name) => joined(t, `ws+unix:${socket}:/room`, name);
const enter = (t, tree, i, name) => enterAt(t, tree.path(socketOf(i)), name);

/** Starts it, or fails with its log. */
async function start(tree, i) {
  if ((await tree.run(["systemctl", "start", gatewayUnit(i)])).status !== 0) assert.fail(await tree.demand(["journalctl", "--no-pager", "-u", gatewayUnit(i)]));
}

/** Settings of one instance, in place of those of the unit. */
async function override(tree, i, lines) {
  tree.write(`/etc/systemd/system/${gatewayUnit(i)}.d/test.conf`, `[Service]\n${lines.join("\n")}\n`);
  await tree.demand(["systemctl", "daemon-reload"]);
}

let talks = 0;

/** Two people in two connections to a socket see each other's words. */
async function talkAt(t, socket) {
  talks++; // each with names of its own
  const one = await enterAt(t, socket, `one of ${talks}`);
  const other = await enterAt(t, socket, `other of ${talks}`);
  await one.say("are you there?");
  await other.waitFor({ type: "message", text: "are you there?" });
  await other.say("I am");
  await one.waitFor({ type: "message", text: "I am" });
}

test("the units of systemd", { skip, timeout: 1200000 }, async (t) => {
  const tree = await Tree.start(t, { packages, hostname: "chat" });
  await install(tree);

  await t.test("systemd-analyze has nothing to say about them, and the exposure is below 1.5", async () => {
    const names = ["yukizuri@1.service", "yukizuri.target", "yukizuri@1.socket", "redis-server@yukizuri.service"];
    const { output, errors } = await tree.run(["systemd-analyze", "verify", "--man=no", ...names]);
    assert.equal(errors + output, "");
    const judged = await tree.demand(["systemd-analyze", "security", "--no-pager", "yukizuri@1.service"]);
    const [, exposure] = /Overall exposure level for yukizuri@1\.service: ([\d.]+)/.exec(judged);
    assert.ok(Number(exposure) < 1.5, judged);
  });

  await t.test("without Redis a gateway is activating and says why; with Redis it becomes ready by itself", async () => {
    await tree.demand(["systemctl", "start", "--no-block", "yukizuri.target"]);
    const status = () => property(tree, gatewayUnit(1), "StatusText");
    await until("it says why", async () => /Redis/.test(await status()));
    assert.equal(await property(tree, gatewayUnit(1), "ActiveState"), "activating");
    await tree.demand(["systemctl", "start", "redis-server@yukizuri.service"]);
    await untilActive(tree, gatewayUnit(1), gatewayUnit(2), "yukizuri.target");
    await until(async () => `it says that it is ready: ${await status()}`, async () => /^ready/.test(await status()));
  });

  await t.test("two people talk through the sockets of two gateways, which nginx' user may use and others not", async (t) => {
    const one = await enter(t, tree, 1, "one");
    const other = await enter(t, tree, 2, "other");
    await one.say("from the first");
    await other.waitFor({ type: "message", text: "from the first" });
    await other.say("from the second");
    await one.waitFor({ type: "message", text: "from the second" });
    const shown = () => tree.demand(["systemctl", "status", "--no-pager", gatewayUnit(1)]);
    await until("its status shows the connection", async () => /Active: active \(running\)[^]*Status: "ready; 1 connections?"/.test(await shown()));
    const may = (user) => tree.run(["setpriv", "--reuid", user, "--regid", user, "--init-groups", "curl", "-sf", "--unix-socket", socketOf(1), "http://gateway/readyz"]);
    assert.equal((await may("www-data")).status, 0);
    assert.notEqual((await may("nobody")).status, 0);
    const ping = (user, group) => tree.run(["setpriv", "--reuid", user, "--regid", group, "--init-groups", "redis-cli", "-s", "/run/redis-yukizuri/redis.sock", "ping"]);
    assert.match((await ping("nobody", "nogroup")).errors, /Permission denied/);
    for (const user of ["www-data", "yukizuri"]) assert.match((await ping(user, user)).output, /^NOAUTH/, `${user} reaches the socket and has no password`);
    assert.equal(JSON.parse(await tree.demand(["curl", "-sf", "http://127.0.0.1:8082/api/stats"])).connections, 1, "the port is for monitoring");
  });

  await t.test("each gateway has its id and its log, which members of adm can read and others not", async () => {
    for (const i of [1, 2]) {
      const [start] = parseLog(tree.read(logOf(i)));
      assert.equal(start.gateway, `chat-${i}`);
      assert.equal((await tree.demand(["stat", "-c", "%a %U %G", logOf(i)])).trim(), "640 yukizuri adm");
    }
  });

  await t.test("a reload reopens the log, and no line is lost", async (t) => {
    const kept = `${logOf(1)}.1`;
    const names = Array.from({ length: 20 }, (_, i) => `visitor ${i}`);
    for (const [i, name] of names.entries()) {
      if (i === 10) {
        fs.renameSync(tree.path(logOf(1)), tree.path(kept));
        await tree.demand(["systemctl", "reload", gatewayUnit(1)]);
      }
      (await enter(t, tree, 1, name)).socket.close();
    }
    const arrived = (file) => parseLog(tree.read(file)).filter(({ kind, username }) => kind === "join" && names.includes(username)).map(({ username }) => username);
    await until("the new file has the last ones", () => fs.existsSync(tree.path(logOf(1))) && arrived(logOf(1)).includes("visitor 19"));
    assert.deepEqual([...arrived(kept), ...arrived(logOf(1))], names);
    assert.equal(await property(tree, gatewayUnit(1), "NRestarts"), "0");
  });

  await t.test("stopping one gateway leaves the other one's socket", async () => {
    await tree.demand(["systemctl", "stop", gatewayUnit(1)]);
    assert.ok(!fs.existsSync(tree.path(socketOf(1))));
    assert.equal((await ask(tree, 2, "/readyz")).status, 200);
    await tree.demand(["systemctl", "start", gatewayUnit(1)]);
    assert.equal((await ask(tree, 1, "/readyz")).status, 200);
  });

  await t.test("a gateway that hangs is restarted by the watchdog, without a core dump", async () => {
    assert.equal(await property(tree, gatewayUnit(1), "WatchdogUSec"), "30s");
    const pid = await property(tree, gatewayUnit(1), "MainPID");
    assert.match(tree.read(`/proc/${pid}/limits`), /Max core file size +0 +0/);
    await tree.demand(["kill", "-STOP", pid]);
    await until("it is another process", async () => ![pid, "0"].includes(await property(tree, gatewayUnit(1), "MainPID")), LONG_MS);
    await untilActive(tree, gatewayUnit(1));
    assert.match(await tree.demand(["journalctl", "-u", gatewayUnit(1), "--no-pager"]), /Watchdog timeout[^]*killed[^]*KILL/);
  });

  await t.test("a rolling restart during a conversation: nobody is announced as left, nothing is lost", async (t) => {
    await tree.demand(["systemctl", "start", "nginx.service"]);
    const pids = () => Promise.all([1, 2].map((i) => property(tree, gatewayUnit(i), "MainPID")));
    const before = await pids();
    const talk = await startConversationElsewhere(t, { pid: tree.pid, url: "ws://127.0.0.1:8000/room", people: 10, rate: 20 });
    assert.equal(await tree.demand(["yukizuri-rolling-restart"]), "yukizuri@1.service is ready\nyukizuri@2.service is ready\n");
    const verdict = await talk.end();
    assert.deepEqual(verdict.problems, []);
    assert.ok(verdict.reconnects > 0 && verdict.acknowledged > 0, JSON.stringify(verdict));
    for (const [i, pid] of (await pids()).entries()) assert.notEqual(pid, before[i]);
  });

  await t.test("a wrong setting is not tried again, and a rolling restart stops there", async () => {
    const other = await property(tree, gatewayUnit(2), "MainPID");
    tree.write("/etc/yukizuri/yukizuri.conf.d/wrong.conf", "retention = soon\n");
    const { status, errors } = await tree.run(["yukizuri-rolling-restart"]);
    assert.equal(status, 1);
    assert.match(errors, /yukizuri-rolling-restart: yukizuri@1\.service did not become ready; the reason is in: systemctl status yukizuri@1\.service\n$/);
    assert.equal(await property(tree, gatewayUnit(1), "ExecMainStatus"), "2");
    assert.equal(await property(tree, gatewayUnit(1), "ActiveState"), "failed");
    assert.match((await tree.run(["systemctl", "status", "--no-pager", gatewayUnit(1)])).output, /wrong\.conf.*retention/);
    assert.equal(await property(tree, gatewayUnit(2), "MainPID"), other);
    fs.rmSync(tree.path("/etc/yukizuri/yukizuri.conf.d/wrong.conf"));
    await tree.demand(["systemctl", "restart", gatewayUnit(1)]);
  });

  await t.test("a rolling restart gives up a gateway that does not become ready, and says what it waits for", async () => {
    await override(tree, 1, ["Environment=YUKIZURI_REDIS=redis://127.0.0.1:1"]);
    const { status, errors } = await tree.run(["yukizuri-rolling-restart", "--timeout", "20"]);
    assert.equal(status, 1);
    assert.match(errors, /yukizuri@1\.service is not ready after 20 s: .*Redis/);
    await override(tree, 1, []);
    await tree.demand(["systemctl", "restart", gatewayUnit(1)]);
  });

  await t.test("the hardening permits a private Redis, workers, io_uring and the journal", async (t) => {
    const settings = ["ADDR=127.0.0.1:8083", "REDIS=embedded", "REDIS_PASSWORD_FILE=", "WORKERS=2", "SEND=uring", "LOG_FILE="].map((setting) => `Environment=YUKIZURI_${setting}`);
    await override(tree, 3, ["LoadCredential=", ...settings]);
    await start(tree, 3);
    const socket = await tree.pathTo(t, 8083);
    await talkAt(t, socket);
    await tree.demand(["systemctl", "reload", gatewayUnit(3)]);
    await talkAt(t, socket);
    const journal = await tree.until(["journalctl", "-u", gatewayUnit(3), "--no-pager", "-o", "cat"]);
    assert.match(journal, /kind:start\t.*uring/);
    assert.doesNotMatch(journal, /denied|not permitted/i);
    await tree.demand(["systemctl", "stop", gatewayUnit(3)]);
  });

  await t.test("the hardening permits TLS to Redis by its name in the DNS", async (t) => {
    await tree.demand(["sh", "-ec", `mkdir -p /etc/tls && cd /etc/tls
      openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -subj /CN=authority -days 2
      openssl req -newkey rsa:2048 -nodes -keyout redis.key -out redis.csr -subj /CN=redis
      echo subjectAltName=DNS:redis.example.org > names
      openssl x509 -req -in redis.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out redis.pem -days 2 -extfile names
      chmod a+r redis.key`]);
    await tree.demand(["systemd-run", "-q", "--unit", "dns", "dnsmasq", "-k", "-R", "-a", "127.0.0.1", "-A", "/redis.example.org/127.0.0.1"]);
    tree.write("/etc/resolv.conf", "nameserver 127.0.0.1\n");
    const password = tree.read("/etc/yukizuri/redis-password").trim();
    await tree.demand(["systemd-run", "-q", "--unit", "tls-redis", "redis-server", "--port", "0", "--tls-port", "6380", "--tls-cert-file", "/etc/tls/redis.pem", "--tls-key-file", "/etc/tls/redis.key", "--tls-auth-clients", "no", "--save", "", "--requirepass", password]);
    await override(tree, 4, ["Environment=YUKIZURI_REDIS=rediss://redis.example.org:6380", "Environment=SSL_CERT_FILE=/etc/tls/ca.pem"]);
    await start(tree, 4);
    await talkAt(t, tree.path(socketOf(4)));
    await tree.demand(["systemctl", "stop", gatewayUnit(4)]);
  });

  await t.test("with a socket unit systemd listens, starts the gateway for the first who comes, and keeps who comes during a restart", async (t) => {
    await tree.demand(["systemctl", "stop", "yukizuri.target"]);
    await tree.demand(["systemctl", "start", "yukizuri@1.socket"]);
    assert.equal(await isActive(tree, gatewayUnit(1)), false);
    assert.equal((await ask(tree, 1, "/healthz")).status, 200);
    await untilActive(tree, gatewayUnit(1));
    await talkAt(t, tree.path(socketOf(1)));
    await tree.demand(["systemctl", "restart", gatewayUnit(1)]);
    assert.equal((await ask(tree, 1, "/readyz")).status, 200);
    await tree.demand(["systemctl", "stop", gatewayUnit(1)]);
    assert.equal((await tree.demand(["stat", "-c", "%a %U %G", socketOf(1)])).trim(), "660 yukizuri yukizuri");
    assert.equal(await tree.demand(["curl", "-sf", "-o", "/dev/null", "-w", "%{http_code}", "http://127.0.0.1:8081/healthz"]), "200", "the port starts it too");
    await tree.demand(["systemctl", "stop", gatewayUnit(1), "yukizuri@1.socket"]);
  });

  await t.test("nothing of what was said is on the disk", async () => {
    assert.notEqual((await tree.run(["grep", "-rqE", "from the (first|second)|are you there", "/var", "/etc", "/tmp"])).status, 0);
  });
});
