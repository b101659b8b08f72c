// Parsing of requests: lengths, origins, weights, targets, hosts, names.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import test from "node:test";
import zlib from "node:zlib";
import { binary, get, joined, rawText, startGateway, startRedis } from "../lib/harness.mjs";

const statuses = (text) => [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map((match) => Number(match[1]));

test("a request without a certain end gets one 400, and the data after it is never run as a second request", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  const second = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
  const cases = [
    ["Content-Length: 0\r\nContent-Length: 36\r\n", 400],
    ["Content-Length: 36\r\nContent-Length: 0\r\n", 400],
    ["Content-Length: 0, 36\r\n", 400],
    ["Content-Length: +0\r\n", 400],
    ["Content-Length:\r\n", 400],
    ["Content-Length: 36\r\n", 413],
    ["Content-Length: 99999999999999999999999\r\n", 413],
    ["Transfer-Encoding: chunked\r\n", 413],
    ["Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", 400],
    ["Content-Length: 0\r\nTransfer-Encoding: identity\r\n", 400],
    ["Transfer-Encoding: xchunked\r\n", 501],
    ["Transfer-Encoding:\r\n", 400],
    ["Transfer-Encoding : chunked\r\n", 400],
    ["X: y\r\n Content-Length: 36\r\n", 400],
    ["X: y\rContent-Length: 36\r\n", 400],
    ["X: y\nContent-Length: 36\r\n", 400],
  ];
  for (const [headers, status] of cases) {
    const answer = await rawText(gateway, `GET /healthz HTTP/1.1\r\nHost: x\r\n${headers}\r\n${second}`);
    assert.deepEqual(statuses(answer), [status], JSON.stringify(headers));
    assert.match(answer, /\r\nConnection: close\r\n/);
  }
});

/** The status of an upgrade. */
async function upgrade(gateway, { target = "/room", host = "x", origin, more = "", method = "GET" } = {}) {
  const text = `${method} ${target} HTTP/1.1\r\nHost: ${host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n${origin === undefined ? "" : `Origin: ${origin}\r\n`}${more}\r\n`;
  return statuses(await rawText(gateway, text, { stopAt: "\r\n\r\n" }))[0];
}

test("a page may connect to the host that its request names, however the port is written", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  const allowed = [
    { origin: "https://chat.example", host: "chat.example:443" },
    { origin: "http://chat.example", host: "chat.example:80" },
    { origin: "https://Chat.Example", host: "chat.example" },
    { origin: "http://[::1]:8080", host: "[0:0::1]:8080" },
    { origin: "http://chat.example", host: "other", target: "http://chat.example/room" },
    { origin: undefined },
  ];
  const refused = [
    { origin: "https://chat.example", host: "chat.example:80" },
    { origin: "http://chat.example", host: "chat.example:443" },
    { origin: "https://chat.example:8443", host: "chat.example" },
    { origin: "https://chat.example.evil", host: "chat.example" },
    { origin: "http://other", host: "other", target: "http://chat.example/room" },
    { origin: "file://", host: "" },
    { origin: "null" },
    { origin: "" },
    { origin: "http://x", more: "Origin: http://evil\r\n" },
    { origin: "http://x/" },
  ];
  for (const request of allowed) assert.equal(await upgrade(gateway, request), 101, JSON.stringify(request));
  for (const request of refused) assert.equal(await upgrade(gateway, request), 403, JSON.stringify(request));
});

test("a configured origin matches in the form that browsers send", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--origin", "https://Chat.Example", "--origin", "http://localhost:8080,capacitor://localhost"] });
  for (const origin of ["https://chat.example", "https://chat.example:443", "http://localhost:8080", "capacitor://localhost"]) assert.equal(await upgrade(gateway, { origin }), 101, origin);
  for (const origin of ["http://chat.example", "https://x", "http://localhost", "https://chat.example/"]) assert.equal(await upgrade(gateway, { origin }), 403, origin);
});

test("an origin in a form that no browser sends is refused at the start, with the right form", () => {
  const cases = { "chat.example.com": "https://chat.example.com", "https://chat.example.com/": "https://chat.example.com", "https://chat.example.com:443": "https://chat.example.com", "wss://h/room": "https://h" };
  for (const [origin, instead] of Object.entries(cases)) {
    const { status, stderr } = spawnSync(binary, ["--origin", origin, "--check-config"], { encoding: "utf8" });
    assert.equal(status, 2, origin);
    assert.match(stderr, /^yukizuri: .*origin: ".+" would match no page: [^\n]+\n$/);
    assert.ok(stderr.endsWith(`; write ${instead}\n`), stderr);
  }
});

test("a file is compressed for clients that prefer it, and never for clients that refuse it", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  const plain = (await get(gateway.origin)).body;
  const packed = ["gzip", "gzip;q=0.5", "GZIP ; q=0.001", "br, deflate;q=0.9, gzip;q=0.8", "x-gzip", "*", "*;q=0.1", "identity;q=0", "gzip, identity;q=0.5", "identity;q=0.2, *;q=0.7"];
  const asIs = ["", "br", "gzip;q=0", "gzip; q=0", "gzip ;\tq=0.000", "gzip;q=0, *", "*;q=0", "identity", "gzip;q=0.3, identity;q=0.9", "xgzip", "br;x=gzip"];
  const fetch = (value) => get(gateway.origin, { headers: { "Accept-Encoding": value } });
  for (const value of packed) {
    const answer = await fetch(value);
    assert.equal(answer.headers["content-encoding"], "gzip", value);
    assert.equal(zlib.gunzipSync(answer.raw).toString(), plain);
  }
  for (const value of asIs) {
    const answer = await fetch(value);
    assert.equal(answer.headers["content-encoding"], undefined, value);
    assert.equal(answer.body, plain);
    assert.match(answer.headers.vary, /Accept-Encoding/);
  }
});

test("an empty line before a request is skipped, also between two requests on one connection", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  const one = "\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n";
  assert.deepEqual(statuses(await rawText(gateway, `${one}\r\n${one}\r\n${one}Connection: close\r\n\r\n`)), [200, 200, 200]);
});

test("a request target may be absolute, with http and https, and then names the host", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  for (const target of ["http://x/healthz", "https://x/healthz", "HTTPS://other:8443/healthz?a=http://b/", "http://[::1]/healthz"]) assert.equal((await ask(gateway, `GET ${target}`)).status, 200, target);
  for (const target of ["https://x", "https://x?a"]) assert.match((await ask(gateway, `GET ${target}`)).head, /\r\nContent-Type: text\/html/, target);
  for (const target of ["http:///healthz", "http://u@x/healthz", "http://x:y/healthz", "ftp://x/healthz", "x/healthz", "/healthz#a", "*"]) assert.equal((await ask(gateway, `GET ${target}`)).status, 400, target);
});

/** Sends one request on a connection that ends with it. Returns { status, head, body }. */
async function ask(gateway, line, headers = "") {
  const answer = await rawText(gateway, `${line} HTTP/1.1\r\n${/^host:/im.test(headers) ? "" : "Host: x\r\n"}Connection: close\r\n${headers}\r\n`);
  const [head, ...rest] = answer.split("\r\n\r\n");
  assert.equal(statuses(answer).length, 1, answer);
  return { status: statuses(answer)[0], head, body: rest.join("\r\n\r\n") };
}

test("a request must have exactly one valid Host", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  for (const host of ["x", "X.example:80", "[::1]:8080", "a_b", ""]) assert.equal((await ask(gateway, "GET /healthz", `Host: ${host}\r\n`)).status, 200, host);
  for (const host of ["a b", "a/b", "u@h", "h:80x", "[::1", "http://h"]) assert.equal((await ask(gateway, "GET /healthz", `Host: ${host}\r\n`)).status, 400, host);
  assert.equal((await ask(gateway, "GET http://x/healthz", "Host: x\r\nHost: x\r\n")).status, 400, "twice");
  assert.match(await rawText(gateway, "GET http://x/healthz HTTP/1.1\r\n\r\n"), /^HTTP\/1\.1 400 /, "none, though the target names one");
  assert.match(await rawText(gateway, "GET /healthz HTTP/1.0\r\n\r\n"), /^HTTP\/1\.1 200 /);
});

test("OPTIONS * lists the methods, and the connection stays open", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  const answer = await rawText(gateway, "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  assert.deepEqual(statuses(answer), [204, 200]);
  assert.match(answer, /^HTTP\/1\.1 204 No Content\r\n(.+\r\n)*Allow: GET, HEAD, OPTIONS\r\n/);
  assert.doesNotMatch(answer.split("\r\n\r\n")[0], /Content-Length/);
});

test("HEAD gets the answer of GET without the body", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  const page = (await get(gateway.origin)).body;
  const file = page.match(/"(\/assets\/[^"]+)"/)[1];
  const fields = (head) => head.replace(/^Content-Length: .*\r\n/m, "");
  for (const path of ["/", "/r/tea", "/r/a%20b", file, "/assets/none", "/healthz", "/readyz", "/metrics", "/api/stats", "/room", "/room/tea", "/room/a%20b", "/nothing"]) {
    const whole = await ask(gateway, `GET ${path}`);
    const head = await ask(gateway, `HEAD ${path}`);
    assert.equal(head.status, whole.status, path);
    assert.equal(fields(head.head), fields(whole.head), path);
    assert.equal(head.body, "", path);
    assert.ok(whole.body.length > 0, path);
  }
  assert.equal(await upgrade(gateway, { method: "HEAD" }), 426);
});

test("a path is the same however its letters are escaped", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  assert.equal((await ask(gateway, "GET /%68ealth%7A?x=%zz")).body, "OK\n");
  assert.equal((await ask(gateway, "GET /%72/tea")).status, 200);
  assert.equal(await upgrade(gateway, { target: "/%72oom/%74ea" }), 101);
  const alice = await joined(t, `${gateway.origin.replace("http", "ws")}/room/%e7%8f%88%e7%90%b2`, "alice");
  assert.equal(alice.welcome.room, "珈琲");
  for (const path of ["/r/%zz", "/r/%", "/r/a%00b", "/%"]) assert.equal((await ask(gateway, `GET ${path}`)).status, 400, path);
  for (const path of ["/room%2Ftea", "/r%2ftea", "/r/a%2fb", "/%2e%2e%2fetc/passwd"]) assert.equal((await ask(gateway, `GET ${path}`)).status, 404, path);
});

test("a request for an invalid room name gets the rules for names", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  for (const path of ["/r/a%20b", "/r/", "/r/" + "x".repeat(33), "/r/%7Bx%7D", "/room/a%20b", "/room/"]) {
    const answer = await ask(gateway, `GET ${path}`);
    assert.equal(answer.status, 404, path);
    assert.match(answer.body, /1 to 32 letters, digits, '-', '_' or '\.'/, path);
  }
  assert.equal(await upgrade(gateway, { target: "/room/a%20b" }), 404);
});

test("data that cannot become a request is answered with 400 at once", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  for (const text of ["GET /healthz HTTP/1.1\nHost: x\n\n", "GET /healthz HTTP/1.1\r\nHost: x\n", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "\n", " GET"]) assert.deepEqual(statuses(await rawText(gateway, text)), [400], JSON.stringify(text));
});

test("duplicate handshake headers are refused", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  assert.equal(await upgrade(gateway, { more: "Sec-WebSocket-Version: 8\r\n" }), 400);
  assert.equal(await upgrade(gateway, { more: "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" }), 400);
  assert.equal(await upgrade(gateway, { more: "Connection: keep-alive\r\nUpgrade: h2c\r\n" }), 101, "but a list goes on in a second line");
});
