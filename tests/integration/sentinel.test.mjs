// Gateways that find their Redis by Sentinels: failovers, planned or not, Sentinels that are absent, wrong or cut off, and settings that are wrong.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import net from "node:net";
import path from "node:path";
import test from "node:test";
import tls from "node:tls";
import { Gateway, atEnd, freePort, joined, metric, ofKind, readyz, redisPassword, startGateway, startRedis, temporaryDirectory, until, untilReady } from "../lib/harness.mjs";
import { startSentinelStandIn } from "../lib/sentinel-stand-in.mjs";
import { startSentinels } from "../lib/sentinel.mjs";
import { startTalk } from "../lib/talk.mjs";

const TALKERS = 50;

/** So many talk, at the speed of people. */
const crowd = (count) => ({ count, talkers: count, pauseMs: 400, more: 1 });

const masters = (gateway) => ofKind(gateway, "redis-master").map(({ message }) => Number(/ is redis:\/\/127\.0\.0\.1:(\d+)/.exec(message)[1]));
const follows = (gateway, redis) => until(() => `the gateway follows ${redis.port}: ${masters(gateway)}`, () => masters(gateway).at(-1) === redis.port);
const gatewaysOn = (redis) => redis.lines("CLIENT", "LIST").filter((line) => line.includes(" name=yukizuri-"));

/** Both gateways are ready again, with this master, and with nobody else. */
async function haveMoved(gateways, next, others) {
  for (const gateway of gateways) await follows(gateway, next);
  for (const gateway of gateways) await untilReady(gateway);
  for (const other of others.filter((redis) => redis.running)) assert.deepEqual(gatewaysOn(other), [], "nobody talks to another Redis");
}

async function startAll(t, args = []) {
  const sentinels = await startSentinels(t);
  const gateways = [await startGateway(t, { redis: sentinels.url, args }), await startGateway(t, { redis: sentinels.url, args })];
  return { sentinels, gateways, urls: gateways.map(({ url }) => url) };
}

test("a planned failover is seen by nobody: no gap, no reconnect, nothing lost, nothing doubled, no error but for lines that clients say anew by themselves", async (t) => {
  const { sentinels, gateways, urls } = await startAll(t);
  const talk = await startTalk(t, urls, crowd(TALKERS));
  const old = sentinels.master();
  const next = await sentinels.failover();
  await haveMoved(gateways, next, [old]);
  await talk.goesOn();
  await talk.assertUnnoticed();
  for (const gateway of gateways) {
    assert.equal(ofKind(gateway, "redis-lost").length, 0, "it is no outage");
    assert.match(ofKind(gateway, "redis-master")[1].message, /^the master "yukizuri" is redis:\S+, and was redis:\S+; the Sentinels say so in epoch 1: /);
    assert.equal(await metric(gateway, "redis_moves_total"), 1);
    assert.equal(await metric(gateway, "sentinels_up"), 3);
  }
});

/** All lines so far that this accepts. */
const linesOf = (talk, accepts) => talk.talkers.flatMap(({ lines }) => lines.filter(accepts).map(({ text }) => text));

/** Fails the master over by `begin`. Returns the lines that cannot be lost: that were acknowledged before it and are on the replicas, or begun after it. */
async function failOver({ sentinels, gateways }, talk, begin) {
  await talk.goesOn();
  const old = sentinels.master();
  const before = linesOf(talk, ({ acknowledged }) => acknowledged);
  await sentinels.linked();
  await begin(old);
  const next = await sentinels.decided(old);
  await haveMoved(gateways, next, []);
  const all = new Set(linesOf(talk, () => true));
  await talk.goesOn();
  return { old, next, safe: [...before, ...linesOf(talk, ({ text }) => !all.has(text))] };
}

/** From here on the replicas get nothing from this master. When a line is acknowledged, or else shown, that they lack, it returns a function that
 *  lists what has been acknowledged since. */
async function cutReplicas(talk, master, { acknowledged }) {
  const from = talk.talkers.map(({ lines }) => lines.length);
  assert.equal(master.run("ACL", "SETUSER", "replica", "off"), "OK");
  master.run("CLIENT", "KILL", "TYPE", "replica");
  const isLacked = ({ acknowledged: is, text }) => (acknowledged ? is : talk.members[0].texts().includes(text));
  await until("a line is said that no replica has", () => talk.talkers.some(({ lines }, i) => lines.slice(from[i]).some(isLacked)));
  return () => talk.talkers.flatMap(({ lines }, i) => lines.slice(from[i]).filter((line) => line.acknowledged).map(({ text }) => text));
}

/** Whoever comes later gets these lines from this Redis. */
function assertKept(redis, lines) {
  const kept = redis.run("XRANGE", "yukizuri:{lobby}:recent", "-", "+");
  assert.deepEqual(lines.filter((line) => !kept.includes(`"text":"${line}"`)), []);
}

test("when the master is killed, everybody goes on with the promoted replica, and what is lost is of that moment, and announced", async (t) => {
  const { sentinels, gateways, urls } = await startAll(t);
  const talk = await startTalk(t, urls, crowd(TALKERS));
  const { safe } = await failOver({ sentinels, gateways }, talk, async (old) => {
    await cutReplicas(talk, old, { acknowledged: true });
    await sentinels.kill(old);
  });
  const { lost } = await talk.end();
  assert.equal(talk.members.filter((member) => member.gaps().length > 0).length, TALKERS, "each has seen what Redis has lost, and hears that it has");
  assert.ok(safe.length > 2 * TALKERS);
  assert.deepEqual(lost.filter((line) => safe.includes(line)), []);
});

test("with --durability replica, no acknowledged line is lost when the master is killed or frozen", async (t) => {
  const { sentinels, gateways, urls } = await startAll(t, ["--durability", "replica"]);
  const talk = await startTalk(t, urls, crowd(TALKERS));
  const first = sentinels.master();
  const acknowledged = await cutReplicas(talk, first, { acknowledged: false });
  await sentinels.kill(first);
  const second = await sentinels.decided(first);
  await haveMoved(gateways, second, []);
  await talk.goesOn();
  assertKept(second, acknowledged());
  const revived = await sentinels.restart(first);
  await until("the killed one is a replica", () => revived.lines("ROLE")[0] === "slave");
  await sentinels.settled();
  sentinels.stop(second);
  const third = await sentinels.decided(second);
  await haveMoved(gateways, third, []);
  await talk.goesOn();
  assertKept(third, acknowledged());
  sentinels.cont(second);
  assert.deepEqual((await talk.end()).lost, []);
});

test("with --durability replica, no acknowledged line is lost in a planned failover", async (t) => {
  const { sentinels, gateways, urls } = await startAll(t, ["--durability", "replica"]);
  const talk = await startTalk(t, urls, crowd(TALKERS));
  await failOver({ sentinels, gateways }, talk, () => sentinels.failover());
  assert.deepEqual((await talk.end()).lost, []);
});

test("a frozen master is left, and not talked to when it goes on as a master", async (t) => {
  const { sentinels, gateways, urls } = await startAll(t);
  const talk = await startTalk(t, urls, crowd(TALKERS));
  const { old, next, safe } = await failOver({ sentinels, gateways }, talk, (master) => sentinels.stop(master));
  sentinels.cont(old);
  assert.equal(old.lines("ROLE")[0], "master");
  await talk.goesOn();
  assert.deepEqual(gatewaysOn(old), []);
  assert.deepEqual((await talk.end()).lost.filter((line) => safe.includes(line)), []);
  for (const gateway of gateways) assert.equal(masters(gateway).at(-1), next.port);
});

test("with one Sentinel dead and one cut off, the remaining one is believed, which has seen the failover, also when it is dead, too", async (t) => {
  const { sentinels, gateways, urls } = await startAll(t);
  const [cutOff, informed, dead] = sentinels.sentinels;
  const talk = await startTalk(t, urls, crowd(TALKERS));
  const old = sentinels.master();
  sentinels.partition(cutOff);
  await sentinels.kill(dead);
  await talk.goesOn();
  const next = await sentinels.failover();
  await haveMoved(gateways, next, [old]);
  await talk.goesOn();
  assert.equal(cutOff.named(), old.port);
  sentinels.stop(informed);
  for (const gateway of gateways) await until("the one that is cut off answers alone", async () => (await metric(gateway, "sentinels_up")) === 1);
  await talk.goesOn();
  for (const gateway of gateways) assert.deepEqual(masters(gateway), [old.port, next.port]);
  await talk.end();
});

test("a Sentinel that names the old master for ever is not believed", async (t) => {
  const sentinels = await startSentinels(t);
  const old = sentinels.master();
  const liar = await startSentinelStandIn(t, old.port);
  const url = sentinels.urlThrough([liar.port, ...sentinels.sentinels.map(({ port }) => port)]);
  const gateways = [await startGateway(t, { redis: url }), await startGateway(t, { redis: url })];
  const talk = await startTalk(t, gateways.map(({ url: own }) => own), crowd(TALKERS));
  const next = await sentinels.failover();
  await haveMoved(gateways, next, [old]);
  const before = liar.timesAsked("GET-MASTER-ADDR-BY-NAME");
  liar.announce("yukizuri", next.port, old.port);
  await until("it has been asked twice more", () => liar.timesAsked("GET-MASTER-ADDR-BY-NAME") >= before + 2 * gateways.length);
  await talk.goesOn();
  for (const gateway of gateways) assert.deepEqual(masters(gateway), [old.port, next.port]);
  assert.deepEqual(gatewaysOn(old), []);
  await talk.end();
});

test("of Sentinels that tell no epoch, most count; a server that is no master is left for another one", async (t) => {
  const sentinels = await startSentinels(t);
  const [master, replica] = sentinels.redis;
  const ignorant = await Promise.all([replica, replica, master].map(({ port }) => startSentinelStandIn(t, port)));
  const gateway = await startGateway(t, { redis: sentinels.urlThrough(ignorant.map(({ port }) => port)) });
  await joined(t, gateway.url, "alice");
  assert.deepEqual(masters(gateway).slice(0, 2), [replica.port, master.port]);
});

test("a failover that no Sentinel tells of is found by asking", async (t) => {
  const [first, second] = [await startRedis(t, { alone: true }), await startRedis(t, { alone: true })];
  const told = await startSentinelStandIn(t, first.port);
  const url = `redis-sentinel://yukizuri:${encodeURIComponent(redisPassword)}@127.0.0.1:${told.port}/yukizuri`;
  const gateway = await startGateway(t, { redis: url });
  const alice = await joined(t, gateway.url, "alice");
  told.master = { host: "127.0.0.1", port: second.port };
  await haveMoved([gateway], second, [first]);
  await alice.insist("hello");
  assert.match(ofKind(gateway, "redis-master").at(-1).message, /they are asked every 5 s$/);
});

test("Sentinels that take questions and answer none hold nobody up for long", async (t) => {
  const [first, second] = [await startRedis(t, { alone: true }), await startRedis(t, { alone: true })];
  const all = await Promise.all([first, first, first].map(({ port }) => startSentinelStandIn(t, port)));
  const url = `redis-sentinel://yukizuri:${encodeURIComponent(redisPassword)}@${all.map(({ port }) => `127.0.0.1:${port}`).join(",")}/yukizuri`;
  const gateway = await startGateway(t, { redis: url });
  const alice = await joined(t, gateway.url, "alice");
  await until("all have answered", async () => (await metric(gateway, "sentinels_up")) === 3);
  const [told, ...silent] = all;
  for (const one of silent) Object.assign(one, { silent: true, asked: [] });
  told.master = { host: "127.0.0.1", port: second.port };
  told.announce("yukizuri", first.port, second.port);
  await haveMoved([gateway], second, [first]);
  await alice.insist("hello");
  for (const one of silent) assert.ok(one.asked.length > 0, "it was asked");
});

test("a Sentinel that announces promotions which do not come holds nobody up for long", async (t) => {
  const redis = await startRedis(t, { alone: true });
  const told = await startSentinelStandIn(t, redis.port);
  const gateway = await startGateway(t, { redis: `redis-sentinel://yukizuri:${encodeURIComponent(redisPassword)}@127.0.0.1:${told.port}/yukizuri` });
  const alice = await joined(t, gateway.url, "alice");
  await until("it listens", () => told.subscribers === 1);
  told.promise("yukizuri", redis.port);
  const ack = alice.say("held"); // sent before the next promise
  told.promise("yukizuri", redis.port);
  assert.equal((await ack).type, "ack");
  told.promise("yukizuri", redis.port);
  await alice.say("not held");
  assert.deepEqual(alice.received.filter(({ type }) => type === "error"), []);
  assert.equal(ofKind(gateway, "redis-lost").length, 0);
});

test("a lost subscription to a Sentinel is made again, and a failover announced then is followed", async (t) => {
  const [first, second] = [await startRedis(t, { alone: true }), await startRedis(t, { alone: true })];
  const told = await startSentinelStandIn(t, first.port);
  const url = `redis-sentinel://yukizuri:${encodeURIComponent(redisPassword)}@127.0.0.1:${told.port}/yukizuri`;
  const gateway = await startGateway(t, { redis: url });
  told.cut();
  await until("nobody listens", () => told.subscribers === 0);
  await until("it listens again", () => told.subscribers === 1);
  const why = () => / say so: (.*)$/.exec(ofKind(gateway, "redis-master").at(-1).message)[1];
  for (const [from, to] of [[first, second], [second, first], [first, second]]) {
    told.master = { host: "127.0.0.1", port: to.port };
    told.announce("another", from.port, to.port);
    told.announce("yukizuri", from.port, to.port);
    await haveMoved([gateway], to, [from]);
    if (why() !== "they are asked every 5 s") break; // the one question in 5 s may come first, but not every time
  }
  assert.equal(why(), "one of them tells of a failover");
});

/** A gateway that cannot become ready: what /readyz and the log say. */
async function startHomeless(t, redis, args = []) {
  const gateway = await startGateway(t, { redis, args, ready: false });
  const said = await until("it has a reason", async () => {
    const { status, body } = await readyz(gateway);
    assert.equal(status, 503);
    return /Sentinel/.test(body) && !/has answered yet|reached yet/.test(body) && body;
  });
  const [line] = await until("the log has it", () => ofKind(gateway, "redis-sentinels").length > 0 && ofKind(gateway, "redis-sentinels"));
  return { gateway, said, line };
}

test("a name that no Sentinel knows, no Sentinel, and what is no Sentinel: one clear sentence each", async (t) => {
  const sentinels = await startSentinels(t, { replicas: 1, count: 1 });
  const unknown = await startHomeless(t, sentinels.url.replace(/yukizuri$/, "chat"));
  assert.match(unknown.said, /the Sentinels know no master "chat": its name is the word behind "sentinel monitor"/);
  const port = await freePort();
  const absent = await startHomeless(t, `redis-sentinel://127.0.0.1:${port}/yukizuri`);
  assert.match(absent.said, new RegExp(`no Sentinel says where the master "yukizuri" is; the Sentinel at 127\\.0\\.0\\.1:${port}: Connection refused; nobody listens there`));
  assert.equal(absent.line.level, "warn");
  const other = await startHomeless(t, sentinels.urlThrough([sentinels.redis[0].port]));
  assert.match(other.said, /what answers there is no Sentinel; name the Sentinels' ports/);
  const encrypted = await startHomeless(t, sentinels.url.replace("redis-", "rediss-"));
  assert.match(encrypted.line.err, /: TLS was tried \(rediss\), and .+; if that port speaks no TLS, write "redis" for "rediss" in the URL$/);
  const odd = await startSentinelStandIn(t, 1);
  odd.master.host = "a\nb";
  const nowhere = await startHomeless(t, sentinels.urlThrough([odd.port]));
  assert.match(nowhere.said, /: what it names is no host and no port\n?$/);
});

test("the password of the Sentinels comes from a file, is read again when they refuse it, and never stands in the log", async (t) => {
  const sentinels = await startSentinels(t, { replicas: 1, count: 1, sentinelUser: "yukizuri", sentinelPassword: "the word" });
  const file = path.join(temporaryDirectory(t), "password");
  fs.writeFileSync(file, "a wrong one\n");
  const login = ["--sentinel-user", "yukizuri", "--sentinel-password-file", file];
  const { gateway, said } = await startHomeless(t, sentinels.url, login);
  assert.match(said, /it refuses the password: sentinel-password-file must have it/);
  fs.writeFileSync(file, "the word\n");
  await untilReady(gateway);
  await joined(t, gateway.url, "alice");
  assert.match(ofKind(gateway, "redis-password").at(-1).message, /^sentinel-password-file has another password/);
  assert.doesNotMatch(gateway.output, /a wrong one|the word/);
  assert.equal(sentinels.sentinels[0].run("ACL", "LOG").includes("command"), false, "it asks for nothing that it may not");
});

test("a gateway that is told of one Sentinel finds the others, and goes on when that one is dead", async (t) => {
  const sentinels = await startSentinels(t);
  const [only, ...others] = sentinels.sentinels;
  const gateway = await startGateway(t, { redis: sentinels.urlThrough([only.port]) });
  await until("it asks all three", async () => (await metric(gateway, "sentinels_up")) === 3);
  await sentinels.kill(only);
  const old = sentinels.master();
  await sentinels.kill(old);
  const next = await sentinels.decided(old);
  await haveMoved([gateway], next, []);
  assert.ok(others.every(({ running }) => running));
});

const withPassword = (hosts) => `redis-sentinel://yukizuri:${encodeURIComponent(redisPassword)}@${hosts.join(",")}/yukizuri`;
const idOf = (number) => String(number).repeat(40);

test("a Sentinel that does not tell its id is not asked twice for what others call it", async (t) => {
  const redis = await startRedis(t, { alone: true });
  const [secret, open] = [await startSentinelStandIn(t, redis.port), await startSentinelStandIn(t, redis.port)];
  open.id = idOf(2);
  open.others = [{ host: "127.0.0.1", port: secret.port, id: idOf(1) }];
  const gateway = await startGateway(t, { redis: withPassword([`localhost:${secret.port}`, `localhost:${open.port}`]) });
  await until("it has told of the other one", () => open.timesAsked("SENTINELS") >= 3);
  assert.deepEqual([secret.subscribers, open.subscribers], [1, 1]);
  assert.equal(await metric(gateway, "sentinels_up"), 2);
});

test("addresses of Sentinels at which nobody answers take nobody's place", async (t) => {
  const redis = await startRedis(t, { alone: true });
  const [first, another] = [await startSentinelStandIn(t, redis.port), await startSentinelStandIn(t, redis.port)];
  first.id = idOf(1);
  first.others = Array.from({ length: 20 }, (_, i) => ({ host: `127.0.0.${i + 2}`, port: first.port, id: idOf(3) + i }));
  const gateway = await startGateway(t, { redis: withPassword([`127.0.0.1:${first.port}`]) });
  await until("it has told of many", () => first.timesAsked("SENTINELS") >= 2);
  another.id = idOf(2);
  first.others = [{ host: "127.0.0.1", port: another.port, id: another.id }];
  await until("both are asked", async () => (await metric(gateway, "sentinels_up")) === 2);
});

/** A certificate of this host, and itself the authority. */
function certificate(directory, name, host) {
  execFileSync("openssl", ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", `${name}.key`, "-out", `${name}.pem`, "-days", "2", "-subj", `/CN=${name}`, "-addext", `subjectAltName=${host}`], { cwd: directory, stdio: "pipe" });
  return { cert: path.join(directory, `${name}.pem`), key: path.join(directory, `${name}.key`) };
}

test("with TLS, the certificate of a Sentinel names its host in the URL, and that of Redis the host that Sentinels name", async (t) => {
  const directory = temporaryDirectory(t);
  const [ofSentinel, ofRedis] = [certificate(directory, "sentinel", "DNS:localhost"), certificate(directory, "redis", "IP:127.0.0.1")];
  fs.writeFileSync(path.join(directory, "all.pem"), [ofSentinel, ofRedis].map(({ cert }) => fs.readFileSync(cert, "utf8")).join(""));
  const port = await freePort();
  await startRedis(t, { args: ["--tls-port", String(port), "--tls-cert-file", ofRedis.cert, "--tls-key-file", ofRedis.key, "--tls-ca-cert-file", ofRedis.cert, "--tls-auth-clients", "no"] });
  const told = await startSentinelStandIn(t, port);
  const secure = tls.createServer({ cert: fs.readFileSync(ofSentinel.cert), key: fs.readFileSync(ofSentinel.key) }, (socket) => {
    const inside = net.connect(told.port, "127.0.0.1");
    for (const [from, to] of [[socket, inside], [inside, socket]]) from.on("error", () => to.destroy()).pipe(to);
  });
  await once(secure.listen(0, "localhost"), "listening");
  atEnd(t, () => secure.close());
  const at = (host) => `rediss-sentinel://yukizuri:${encodeURIComponent(redisPassword)}@${host}:${secure.address().port}/yukizuri`;
  const env = { ...process.env, SSL_CERT_FILE: path.join(directory, "all.pem") };
  const gateway = await startGateway(t, { redis: at("localhost"), env });
  await (await joined(t, gateway.url, "alice")).say("hidden");
  const misnamed = await startGateway(t, { redis: at("127.0.0.1"), env, ready: false });
  await until("readyz says why", async () => /certificate verify failed/.test((await readyz(misnamed)).body));
});

test("settings of Sentinels that make no sense are refused", async (t) => {
  const refuses = async (args, sentence) => {
    const gateway = new Gateway(t, await freePort(), args);
    assert.notEqual((await gateway.ended).code, 0);
    assert.match(gateway.errors, sentence);
  };
  const redis = ["--redis", "redis-sentinel://127.0.0.1/yukizuri"];
  await refuses(["--sentinel-password-file", "/dev/null"], /sentinel-password-file: redis names no Sentinels/);
  await refuses(["--sentinel-user", "someone"], /sentinel-user: redis names no Sentinels/);
  await refuses([...redis, "--sentinel-user", "someone"], /sentinel-user: has no password: add sentinel-password-file/);
  await refuses([...redis, "--sentinel-password-file", "/nonexistent"], /sentinel-password-file: cannot read \/nonexistent/);
});
