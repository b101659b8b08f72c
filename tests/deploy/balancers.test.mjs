// HAProxy and Caddy with the shipped snippets: people talk through them over wss, and a gateway that stops is passed over.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import http2 from "node:http2";
import path from "node:path";
import test from "node:test";
import { Member, Process, atEnd, freePort, get, maskedFrame, metric, ofKind, startGateway, startRedis, temporaryDirectory, top, until } from "../lib/harness.mjs";
import { NAME, startGateways } from "./lib/site.mjs";
import { talkTogether } from "./lib/talkers.mjs";
import { getOverTls, makeCertificate, statusOverHttp2, to } from "./lib/tls.mjs";

const shipped = (name) => fs.readFileSync(path.join(top, "deploy", name), "utf8");

/** Replaces each text by another one. Each must be there. */
function adapt(text, changes) {
  for (const [old, other] of changes) {
    assert.ok(text.includes(old), old);
    text = text.replaceAll(old, other);
  }
  return text;
}

async function startHaproxy(t, gateways) {
  const directory = temporaryDirectory(t);
  const made = makeCertificate(directory, [NAME]);
  const [port, tlsPort] = [await freePort(), await freePort()];
  fs.writeFileSync(path.join(directory, "both.pem"), fs.readFileSync(made.certificate, "utf8") + fs.readFileSync(made.key, "utf8"));
  const debian = path.join(directory, "haproxy.cfg");
  fs.writeFileSync(debian, adapt(fs.readFileSync("/etc/haproxy/haproxy.cfg", "utf8"), [["/run/haproxy/admin.sock", `${directory}/admin.sock`]]));
  const own = path.join(directory, "yukizuri.cfg");
  const changes = [["bind :80", `bind 127.0.0.1:${port}`], ["bind :443", `bind 127.0.0.1:${tlsPort}`], ["/etc/haproxy/chat.example.org.pem", `${directory}/both.pem`], ["scheme https", `location https://${NAME}:${tlsPort}%[capture.req.uri]`]];
  gateways.forEach((gateway, i) => changes.push([`127.0.0.1:808${i + 1}`, `127.0.0.1:${gateway.port}`]));
  fs.writeFileSync(own, adapt(shipped("haproxy/yukizuri.cfg"), changes));
  const command = fs.existsSync("/usr/sbin/haproxy") ? "/usr/sbin/haproxy" : "haproxy";
  const checked = spawnSync(command, ["-c", "-f", debian, "-f", own], { encoding: "utf8" });
  assert.equal(checked.status, 0, checked.stderr);
  assert.doesNotMatch(checked.stderr, /WARNING/);
  const haproxy = new Process(t, command, ["-db", "-f", debian, "-f", own]);
  atEnd(t, () => haproxy.stop("SIGTERM"));
  return Object.assign(haproxy, made, { origin: `http://127.0.0.1:${port}`, secureOrigin: `https://${NAME}:${tlsPort}`, url: `wss://${NAME}:${tlsPort}/room` });
}

async function startCaddy(t, gateways) {
  const directory = temporaryDirectory(t);
  const made = makeCertificate(directory, [NAME]);
  const [port, tlsPort] = [await freePort(), await freePort()];
  const site = `{\n\tadmin off\n\thttp_port ${port}\n\thttps_port ${tlsPort}\n}\n`;
  const changes = [[`\n${NAME} {`, `\n${NAME} {\n\tbind 127.0.0.1\n\ttls ${made.certificate} ${made.key}`]];
  gateways.forEach((gateway, i) => changes.push([`unix//run/yukizuri/${i + 1}/gateway.sock`, gateway.upstream.replace("unix:", "unix/")]));
  const file = path.join(directory, "Caddyfile");
  fs.writeFileSync(file, site + adapt(shipped("caddy/Caddyfile"), changes));
  const env = { ...process.env, HOME: directory, XDG_DATA_HOME: directory, XDG_CONFIG_HOME: directory };
  const checked = spawnSync("caddy", ["validate", "--adapter", "caddyfile", "--config", file], { encoding: "utf8", env });
  assert.equal(checked.status, 0, checked.stderr);
  const caddy = new Process(t, "caddy", ["run", "--adapter", "caddyfile", "--config", file], { env });
  atEnd(t, () => caddy.stop("SIGTERM"));
  return Object.assign(caddy, made, { origin: `http://127.0.0.1:${port}`, secureOrigin: `https://${NAME}:${tlsPort}`, url: `wss://${NAME}:${tlsPort}/room` });
}

const untilServing = (balancer) =>
  until(() => `it serves: ${balancer.errors}`, () => getOverTls(`${balancer.secureOrigin}/readyz`, balancer).then(({ status }) => status === 200, () => false));

for (const [name, start] of [["HAProxy", startHaproxy], ["Caddy", startCaddy]]) {
  test(`${name}: people talk over wss, spread over the gateways; http leads to https; nobody chooses an address`, async (t) => {
    const gateways = await startGateways(t, await startRedis(t), 2, ["--trusted-proxy", "127.0.0.1"]);
    const balancer = await start(t, gateways);
    await untilServing(balancer);
    const { settle } = await talkTogether(t, Array(4).fill(balancer.url), to(NAME, balancer.ca));
    for (const gateway of gateways) assert.equal(await metric(gateway, "connections"), 2);
    assert.equal(await statusOverHttp2(`${balancer.secureOrigin}/`, balancer), 200);
    const visit = await get(`${balancer.origin}/r/den`, { headers: { Host: NAME } });
    assert.ok([301, 308].includes(visit.status));
    assert.match(visit.headers.location, new RegExp(`^https://${NAME}(:\\d+)?/r/den$`));
    await new Member(t, balancer.url, { ...to(NAME, balancer.ca), localAddress: "127.0.0.5", headers: { "X-Forwarded-For": "192.0.2.9" } }).join("alice");
    const joins = gateways.flatMap((gateway) => ofKind(gateway, "join"));
    assert.equal(joins.find(({ username }) => username === "alice").remote_addr, "127.0.0.5");
    await settle();
  });

  test(`${name}: a gateway that stops is passed over, and people on it move without a loss`, async (t) => {
    const gateways = await startGateways(t, await startRedis(t), 2, ["--trusted-proxy", "127.0.0.1", "--drain", "2", "--drain-delay", "1"]);
    const balancer = await start(t, gateways);
    await untilServing(balancer);
    const { people, hear, settle } = await talkTogether(t, Array(4).fill(balancer.url), to(NAME, balancer.ca));
    assert.equal((await gateways[0].stop("SIGTERM")).code, 0);
    await until("all are on the other one", async () => (await metric(gateways[1], "members")) === 4);
    await hear(8);
    assert.equal(people.reduce((sum, { connections }) => sum + connections, 0), 6);
    await settle();
  });
}

test("HAProxy: a WebSocket over HTTP/2, as browsers open it there, reaches the room", async (t) => {
  const gateways = await startGateways(t, await startRedis(t), 2, ["--trusted-proxy", "127.0.0.1"]);
  const balancer = await startHaproxy(t, gateways);
  await untilServing(balancer);
  const session = http2.connect(balancer.secureOrigin, to(NAME, balancer.ca));
  atEnd(t, () => session.destroy());
  await until("the server's settings are here", () => session.remoteSettings?.enableConnectProtocol);
  const stream = session.request({ ":method": "CONNECT", ":protocol": "websocket", ":scheme": "https", ":path": "/room", ":authority": new URL(balancer.secureOrigin).host, "sec-websocket-version": "13" }, { endStream: false });
  let status;
  let received = "";
  stream.on("response", (headers) => (status = headers[":status"]));
  stream.on("data", (data) => (received += data));
  await until("an answer", () => status);
  assert.equal(status, 200);
  stream.write(maskedFrame(1, JSON.stringify({ type: "join", name: "alice" })));
  await until(() => `a welcome: ${received}`, () => received.includes('"type":"welcome"'));
});

/** HAProxy as a balancer of TCP connections alone, with these words behind the gateway's address. Returns its port. */
async function startTcpHaproxy(t, proxied, words) {
  const file = path.join(temporaryDirectory(t), "haproxy.cfg");
  const port = await freePort();
  fs.writeFileSync(
    file,
    `defaults
    mode tcp
    timeout connect 5s
    timeout client 1m
    timeout server 1m
listen chat
    bind 127.0.0.1:${port}
    option httpchk
    http-check send meth GET uri /readyz ver HTTP/1.1 hdr Host gateway
    server gateway 127.0.0.1:${proxied} check inter 200ms ${words}
`,
  );
  const haproxy = new Process(t, fs.existsSync("/usr/sbin/haproxy") ? "/usr/sbin/haproxy" : "haproxy", ["-db", "-f", file]);
  atEnd(t, () => haproxy.stop("SIGTERM"));
  await until(() => `it serves: ${haproxy.errors}`, async () => (await get(`http://127.0.0.1:${port}/readyz`).catch(() => null))?.status === 200);
  return port;
}

for (const words of ["send-proxy check-send-proxy", "send-proxy-v2 check-send-proxy"]) {
  test(`HAProxy: behind a balancer of TCP connections the gateway knows whose each is (${words})`, async (t) => {
    const proxied = await freePort();
    const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--addr", `127.0.0.1:${proxied}?proxy=on`, "--show-address", "full"] });
    const port = await startTcpHaproxy(t, proxied, words);
    const alice = await new Member(t, `ws://127.0.0.1:${port}/room`, { localAddress: "127.0.0.5" }).join("alice");
    assert.equal(alice.welcome.me.address, "127.0.0.5");
    const bob = await new Member(t, `ws://127.0.0.1:${port}/room`, { localAddress: "127.0.0.6", headers: { "X-Forwarded-For": "192.0.2.9" } }).join("bob");
    assert.equal(bob.welcome.me.address, "127.0.0.6");
    await alice.say("hello");
    await bob.waitFor({ type: "message", text: "hello" });
    assert.equal(await metric(gateway, 'refused_total{reason="proxy-header"}'), 0, "the health checks send one too");
  });
}
