// Listeners where a PROXY header comes first: whose connections they are, and what else begins there.
import assert from "node:assert/strict";
import { once } from "node:events";
import fs from "node:fs";
import net from "node:net";
import path from "node:path";
import test from "node:test";
import { Member, Process, atEnd, binary, childrenOf, connect, freePort, get, metric, ofKind, startGateway, startRedis, temporaryDirectory, until } from "../lib/harness.mjs";

const SIGNATURE = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");
const HEALTHZ = "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
const METRICS = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

const v1 = (address) => Buffer.from(`PROXY ${net.isIPv6(address) ? "TCP6" : "TCP4"} ${address} ${net.isIPv6(address) ? "::1" : "127.0.0.1"} 4711 80\r\n`);

function v2(address, { command = 1, tlvs = Buffer.alloc(0) } = {}) {
  const body = address === undefined ? tlvs : Buffer.concat([Buffer.from([...address.split(".").map(Number), 127, 0, 0, 1, 0x12, 0x67, 0, 80]), tlvs]);
  return Buffer.concat([SIGNATURE, Buffer.from([0x20 | command, address === undefined ? 0 : 0x11, body.length >> 8, body.length & 255]), body]);
}

/** A gateway with one listener more, on which a header comes first. Its port is `proxied`. */
async function startProxied(t, { redis, args = [], ...options } = {}) {
  const proxied = await freePort();
  const gateway = await startGateway(t, { redis: redis ?? (await startRedis(t)), args: ["--addr", `127.0.0.1:${proxied}?proxy=on`, "--show-address", "full", ...args], ...options });
  return Object.assign(gateway, { proxied });
}

/** A proxy of TCP connections that writes this header before each. Returns the address of the chat behind it. */
async function startFront(t, to, header) {
  const front = net.createServer((client) => {
    const server = net.connect(to);
    for (const socket of [client, server]) {
      socket.on("error", () => {});
      socket.on("close", () => [client, server].forEach((one) => one.destroy()));
    }
    server.write(header);
    client.pipe(server).pipe(client);
  });
  front.listen(0, "127.0.0.1");
  await once(front, "listening");
  atEnd(t, () => front.close());
  return `ws://127.0.0.1:${front.address().port}/room`;
}

const shown = async (t, to, name, header, options) => (await new Member(t, await startFront(t, to, header), options).join(name)).welcome.me.address;

/** Sends these bytes, each on its own if `apart`; what came until the gateway closed. */
async function exchange(t, port, bytes, { apart = false } = {}) {
  const client = await connect(t, port);
  client.socket.setNoDelay(true);
  for (const part of apart ? Array.from(bytes, (byte) => Buffer.from([byte])) : [bytes]) client.socket.write(part);
  await until("the gateway has closed", () => client.ended);
  return client.received;
}

const request = (header, what) => Buffer.concat([header, Buffer.from(what)]);
const refusals = (gateway) => metric(gateway, 'refused_total{reason="proxy-header"}');

test("a PROXY header of either version says whose connection it is: in the room, in the log and for the operator's paths", async (t) => {
  const gateway = await startProxied(t);
  const to = { port: gateway.proxied, host: "127.0.0.1" };
  assert.equal(await shown(t, to, "a", v1("203.0.113.5")), "203.0.113.5");
  assert.equal(await shown(t, to, "b", v1("2001:db8::7")), "2001:db8::7");
  assert.equal(await shown(t, to, "c", v2("203.0.113.6")), "203.0.113.6");
  assert.equal(await shown(t, to, "d", v2("203.0.113.7", { tlvs: Buffer.from([4, 0, 2, 0, 0]) })), "203.0.113.7");
  assert.equal(await shown(t, to, "e", v2(undefined, { command: 0 })), "127.0.0.1", "LOCAL is the proxy itself");
  assert.equal(await shown(t, to, "f", Buffer.from("PROXY UNKNOWN\r\n")), "127.0.0.1");
  await until("the log has them", () => ofKind(gateway, "join").some((line) => line.remote_addr === "2001:db8::7"));
  const status = async (header) => (await exchange(t, gateway.proxied, request(header, METRICS))).match(/^HTTP\/1\.1 (\d+)/)[1];
  assert.equal(await status(v1("127.0.0.1")), "200");
  assert.equal(await status(v2(undefined, { command: 0 })), "200");
  assert.equal(await status(v1("203.0.113.5")), "403");
  assert.equal(await status(Buffer.from("PROXY UNKNOWN\r\n")), "403", "whom it does not name is not this machine");
});

test("proxy headers of HTTP behind a PROXY header are those of whom it names, who is no trusted proxy", async (t) => {
  const gateway = await startProxied(t, { args: ["--trusted-proxy", "127.0.0.1"] });
  const to = { port: gateway.proxied, host: "127.0.0.1" };
  const headers = { "X-Forwarded-For": "198.51.100.9" };
  assert.equal(await shown(t, to, "a", v1("203.0.113.5"), { headers }), "203.0.113.5");
  assert.equal(await shown(t, to, "b", Buffer.from("PROXY UNKNOWN\r\n"), { headers }), "127.0.0.1");
  assert.equal(await shown(t, to, "c", v1("127.0.0.1"), { headers }), "198.51.100.9", "a trusted proxy behind the other");
  await until("it is warned about", () => ofKind(gateway, "forwarded-ignored").length === 1);
});

test("the limit of an address counts whom the header names, and not the proxy", async (t) => {
  const gateway = await startProxied(t, { args: ["--max-connections-per-address", "2"] });
  const to = { port: gateway.proxied, host: "127.0.0.1" };
  for (let i = 0; i < 4; i++) await shown(t, to, `m${i}`, v1(`203.0.113.${i}`));
  const front = await startFront(t, to, v1("198.51.100.1"));
  for (const name of ["a", "b"]) await new Member(t, front).join(name);
  const third = await get(front.replace("ws:", "http:"), { headers: { Upgrade: "websocket", Connection: "Upgrade", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==" } });
  assert.equal(third.status, 429);
});

test("who begins with something else is closed at once, without an answer, and counted", async (t) => {
  const gateway = await startProxied(t);
  const bad = [
    HEALTHZ,
    "G",
    "PROXY TCP4 203.0.113.5 127.0.0.1 4711 80\n",
    "PROXY TCP4 203.0.113.5 127.0.0.1 4711 080\r\n",
    "PROXY TCP4 ::1 ::1 4711 80\r\n",
    "PROXY TCP6 junk ::1 4711 80\r\n",
    `PROXY UNKNOWN ${"x".repeat(94)}`,
    Buffer.concat([SIGNATURE, Buffer.from([0x31, 0x11, 0, 12])]),
    Buffer.concat([SIGNATURE, Buffer.from([0x21, 0x11, 0, 11])]),
    Buffer.concat([SIGNATURE, Buffer.from([0x21, 0x12, 0, 12])]),
    Buffer.concat([SIGNATURE, Buffer.from([0x20, 0, 255, 255])]),
  ];
  for (const bytes of bad) assert.equal(await exchange(t, gateway.proxied, Buffer.from(bytes)), "", JSON.stringify(String(bytes)));
  assert.equal(await refusals(gateway), bad.length);
  assert.equal(ofKind(gateway, "limit").filter(({ limit }) => limit === "proxy-header").length, 1);
  assert.match(await exchange(t, gateway.proxied, request(v1("203.0.113.5"), HEALTHZ), { apart: true }), /^HTTP\/1\.1 200 /);
  assert.match(await exchange(t, gateway.proxied, request(v2("203.0.113.5", { tlvs: Buffer.alloc(508, 4) }), HEALTHZ), { apart: true }), /^HTTP\/1\.1 200 /);
  assert.match(await exchange(t, gateway.port, request(v1("203.0.113.5"), HEALTHZ)), /^HTTP\/1\.1 400 /, "where none is wanted");
});

test("a path wants the header too, and a socket of the service manager does if addr says so", async (t) => {
  const directory = temporaryDirectory(t);
  const redis = await startRedis(t);
  const where = path.join(directory, "socket");
  const gateway = await startGateway(t, { redis, args: ["--addr", `unix:${where}?proxy=on`, "--show-address", "full"] });
  assert.equal(await shown(t, { path: where }, "a", v1("203.0.113.5")), "203.0.113.5");
  assert.ok(fs.existsSync(where), "the option is no part of the path");
  assert.equal(await shown(t, { path: where }, "b", v2(undefined, { command: 0 })), "local");
  assert.equal(await refusals(gateway), 0);

  const port = await freePort();
  const manager = `use Socket; $^F = 9; my $port = shift; socket(my $tcp, PF_INET, SOCK_STREAM, 0); bind($tcp, sockaddr_in($port, INADDR_LOOPBACK)) && listen($tcp, 64) or die $!;
    my $pid = fork; $pid or $ENV{LISTEN_PID} = $$, $ENV{LISTEN_FDS} = 1, exec @ARGV; waitpid $pid, 0;`;
  const given = new Process(t, "perl", ["-e", manager, port, binary, "--redis", redis.url, "--drain", "0", "--drain-delay", "0", "--show-address", "full", "--addr", `127.0.0.1:${port}?proxy=on`]);
  atEnd(t, () => childrenOf(given.pid).forEach((pid) => process.kill(pid, "SIGINT")));
  await until(() => `it listens: ${given.errors}${given.output}`, () => given.output.includes(`listening on 127.0.0.1:${port}?proxy=on;`));
  assert.equal(await shown(t, { port, host: "127.0.0.1" }, "c", v1("203.0.113.8")), "203.0.113.8");
});
