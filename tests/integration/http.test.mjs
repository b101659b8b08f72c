// HTTP: pages, assets, health, metrics, and bad requests.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import test from "node:test";
import zlib from "node:zlib";
import { Gateway, Member, UPGRADE, freePort, get, joined, rawExchange, rawText, readyz, startGateway, startNginx, startRedis, temporaryDirectory, until } from "../lib/harness.mjs";

test("a cookie changes nothing, whatever its content is", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  const cookies = ["yukizuri=", "yukizuri=x", "=", ";;;", "yukizuri=" + "A".repeat(3000), "yukizuri=\x80\xff\x01", 'yukizuri="unfinished', "yukizuri=MTIzfGdvYnw=; yukizuri=MTIzfGdvYnw=", "yukizuri=%00%00"];
  for (const cookie of cookies) {
    const page = (await rawExchange(gateway.port, Buffer.from(`GET / HTTP/1.1\r\nHost: x\r\nCookie: ${cookie}\r\nConnection: close\r\n\r\n`, "latin1"))).toString();
    assert.match(page, /^HTTP\/1\.1 (200|400) /, cookie);
    const upgrade = UPGRADE.replace("\r\n\r\n", `\r\nCookie: ${cookie}\r\n\r\n`);
    const answer = (await rawExchange(gateway.port, Buffer.from(upgrade, "latin1"), { stopAt: "\r\n\r\n" })).toString();
    assert.match(answer, /^HTTP\/1\.1 (101|400) /, cookie);
  }
  const alice = await new Member(t, gateway.url, { headers: { Cookie: "yukizuri=forged" } }).join("alice");
  assert.equal(alice.welcome.me.name, "alice", "who one is comes from join alone");
});

test("the page and its files are served with their headers", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  for (const url of ["/", "/r/tea", "/r/%E7%8F%88%E7%90%B2"]) {
    const page = await get(gateway.origin + url);
    assert.equal(page.status, 200);
    assert.match(page.headers["content-type"], /^text\/html/);
    const policy = page.headers["content-security-policy"];
    for (const part of ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"]) assert.ok(policy.includes(part), part);
    assert.equal(page.headers["x-content-type-options"], "nosniff");
    assert.equal(page.headers["referrer-policy"], "no-referrer");
    assert.doesNotMatch(page.body, /https?:\/\//, "nothing from third parties");
  }
  const page = await get(gateway.origin);
  const files = [...page.body.matchAll(/"(\/assets\/[^"]+)"/g)].map((match) => match[1]);
  assert.ok(files.length >= 3);
  for (const file of files) {
    const plain = await get(gateway.origin + file);
    assert.equal(plain.status, 200);
    assert.match(plain.headers["cache-control"], /immutable/);
    const as = (coding) => get(gateway.origin + file, { headers: { "Accept-Encoding": coding } });
    const [gzip, brotli] = [await as("gzip"), await as("gzip, deflate, br")];
    if (file.endsWith(".png")) {
      assert.deepEqual([gzip.headers["content-encoding"], brotli.headers["content-encoding"]], [undefined, undefined], "it is packed already");
      continue;
    }
    assert.deepEqual([gzip.headers["content-encoding"], brotli.headers["content-encoding"]], ["gzip", "br"]);
    assert.equal(zlib.gunzipSync(gzip.raw).toString(), plain.body);
    assert.equal(zlib.brotliDecompressSync(brotli.raw).toString(), plain.body);
    assert.ok(brotli.raw.length < gzip.raw.length, file);
    for (const [, nested] of plain.body.matchAll(/from "([^"]+)"/g)) assert.equal((await get(gateway.origin + nested)).status, 200, nested);
  }
});

test("the page comes in the language that the browser asks for, and says so to caches", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  const language = async (target, accepted) => {
    const page = await get(gateway.origin + target, { headers: accepted === undefined ? {} : { "Accept-Language": accepted } });
    assert.equal(page.headers.vary, "Accept-Encoding, Accept-Language");
    return page.body.match(/<html lang="(..)">/)[1];
  };
  assert.equal(await language("/"), "en");
  assert.equal(await language("/", "ja-JP,ja;q=0.9,en;q=0.8"), "ja");
  assert.equal(await language("/r/tea", "en-GB,en;q=0.9,ja;q=0.8"), "en");
  assert.equal(await language("/?lang=ja", "en"), "ja");
  assert.equal(await language("/about", "ja"), "ja");
});

test("/api/about tells everybody what is kept, as the settings are", async (t) => {
  const redis = await startRedis(t);
  const about = async (...args) => {
    const gateway = await startGateway(t, { redis, args: ["--trusted-proxy", "127.0.0.1", ...args] });
    const answer = await get(`${gateway.origin}/api/about`, { headers: { "X-Forwarded-For": "203.0.113.7" } });
    assert.equal(answer.status, 200);
    return JSON.parse(answer.body);
  };
  const kept = await about("--retention", "60", "--show-address", "off", "--log-address", "masked", "--log-text");
  assert.deepEqual([kept.retention, kept.show_address, kept.log_address, kept.log_text], [60, "off", "masked", true]);
  const other = await about("--retention", "0", "--show-address", "cloak", "--log-address", "off", "--leave-grace", "3");
  assert.deepEqual([other.retention, other.show_address, other.log_address, other.log_text, other.leave_grace], [0, "cloak", "off", false, 3]);
});

test("unknown paths, methods, bodies and rooms are refused", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  for (const url of ["/nothing", "/assets/none.js", "/r/", "/r/a%2fb", "/r/%7Bx%7D", "/r/" + "x".repeat(33), "/roomy", "/..%2fetc/passwd"]) assert.equal((await get(gateway.origin + url)).status, 404, url);
  const post = await get(gateway.origin, { method: "POST" });
  assert.equal(post.status, 405);
  assert.equal(post.headers.allow, "GET, HEAD");
  const head = await get(gateway.origin, { method: "HEAD" });
  assert.deepEqual([head.status, head.body], [200, ""]);
  assert.ok(Number(head.headers["content-length"]) > 500);
  assert.match(await rawText(gateway, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"), /^HTTP\/1\.1 413 /);
  assert.match(await rawText(gateway, "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"), /^HTTP\/1\.1 413 /);
});

test("malformed requests are answered with 400, 431 or 505, and closed", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  const bad = ["\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "GET / HTTP/1.1\nHost: a\n\r\n\r\n", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n folded: b\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n", "\x16\x03\x01\x02\x00\x01\r\n\r\n", "GET / HTTP/1.1\r\nno colon\r\n\r\n", "GET /a b HTTP/1.1\r\nHost: x\r\n\r\n"];
  for (const text of bad) assert.match(await rawText(gateway, text), /^HTTP\/1\.1 400 /, JSON.stringify(text));
  assert.match(await rawText(gateway, "GET / HTTP/2.0\r\nHost: x\r\n\r\n"), /^HTTP\/1\.1 505 /);
  assert.match(await rawText(gateway, `GET / HTTP/1.1\r\nHost: x\r\nX: ${"y".repeat(20000)}\r\n\r\n`), /^HTTP\/1\.1 431 /);
  assert.match(await rawText(gateway, `GET /${"y".repeat(20000)}`), /^HTTP\/1\.1 431 /);
  assert.match(await rawText(gateway, `GET / HTTP/1.1\r\nHost: x\r\n${"A: b\r\n".repeat(80)}\r\n`), /^HTTP\/1\.1 431 /);
});

test("an incomplete request is answered with 408", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  assert.match(await rawText(gateway, "GET / HTTP/1.1\r\nHo"), /^HTTP\/1\.1 408 /);
});

test("requests may be pipelined, split anywhere, and kept alive", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  const one = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
  const last = "GET /heartbeat HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
  const count = (text) => text.split("HTTP/1.1 200 OK").length - 1;
  assert.equal(count(await rawText(gateway, one.repeat(20) + last)), 21);
  assert.equal(count(await rawText(gateway, "GET /healthz HTTP/1.0\r\n\r\n")), 1, "HTTP/1.0 is closed after the answer");
  assert.equal(count(await rawText(gateway, last.replace("/heartbeat", "http://x/heartbeat"))), 1, "the absolute form");
});

test("each fault of a handshake gets its status", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  const good = { Host: "x", Upgrade: "websocket", Connection: "Upgrade", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==" };
  const ask = async (changes, line = "GET /room HTTP/1.1") => {
    const headers = Object.entries({ ...good, ...changes }).filter(([, value]) => value !== null);
    return rawText(gateway, `${line}\r\n${headers.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`, { stopAt: "\r\n\r\n" });
  };
  assert.match(await ask({}), /^HTTP\/1\.1 101 /);
  assert.match(await ask({ Upgrade: null }), /^HTTP\/1\.1 426 .*Sec-WebSocket-Version: 13\r\n/s);
  assert.match(await ask({ "Sec-WebSocket-Version": "8" }), /^HTTP\/1\.1 426 .*Sec-WebSocket-Version: 13\r\n/s);
  assert.match(await ask({ "Sec-WebSocket-Version": null }), /^HTTP\/1\.1 400 /);
  for (const key of [null, "", "short", "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZQ==AA", "dGhlIHNhbXBsZSBub25jZR=="]) assert.match(await ask({ "Sec-WebSocket-Key": key }), /^HTTP\/1\.1 400 /, String(key));
  assert.match(await ask({ Connection: "close" }), /^HTTP\/1\.1 400 /);
  assert.match(await ask({}, "POST /room HTTP/1.1"), /^HTTP\/1\.1 405 /);
  assert.match(await ask({}, "GET /room HTTP/1.0"), /^HTTP\/1\.1 426 /);
  assert.match(await ask({}, "GET /room/a%20b HTTP/1.1"), /^HTTP\/1\.1 404 /);
  assert.match(await ask({ Origin: "https://evil.example" }), /^HTTP\/1\.1 403 /);
  assert.match(await ask({ Origin: "http://x" }), /^HTTP\/1\.1 101 /);
  assert.match(await ask({ Origin: "null" }), /^HTTP\/1\.1 403 /);
});

test("only allowed origins may connect", async (t) => {
  const redis = await startRedis(t);
  const some = await startGateway(t, { redis, args: ["--origin", "https://chat.example.com", "--origin", "https://two.example"] });
  const any = await startGateway(t, { redis, args: ["--origin", "*"] });
  const connects = async (gateway, origin) => {
    const member = new Member(t, gateway.url, { origin });
    await until("an answer", () => member.error || member.socket.readyState === 1);
    return !member.error;
  };
  assert.equal(await connects(some, "https://two.example"), true);
  assert.equal(await connects(some, some.origin), false);
  assert.equal(await connects(any, "https://anything.example"), true);
});

test("/healthz never depends on Redis, /readyz does, and both spellings show the same metrics", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  assert.equal((await get(`${gateway.origin}/healthz`)).body, "OK\n");
  assert.equal((await readyz(gateway)).status, 200);
  const alice = await joined(t, gateway.url, "alice");
  alice.send({ type: "say", text: "x", nonce: "1" });
  await alice.waitFor({ type: "message" });
  const metrics = await get(`${gateway.origin}/metrics`);
  assert.match(metrics.headers["content-type"], /version=0\.0\.4/);
  for (const line of [/^yukizuri_connections 1$/m, /^yukizuri_room_members\{room="lobby"\} 1$/m, /^yukizuri_says_total 1$/m, /^yukizuri_redis_up 1$/m, /^yukizuri_build_info\{version="[^"]+",gateway="[^"]+"\} 1$/m, /^yukizuri_probe_lag_seconds_bucket\{le="\+Inf"\} [1-9]/m]) assert.match(metrics.body, line);
  const stats = await gateway.stats();
  const leaves = (value) => (typeof value === "object" ? Object.values(value).flatMap(leaves) : [value]);
  assert.ok(leaves(stats).every((value) => typeof value === "number"), "numbers only");
  assert.equal(stats.room_members.lobby, 1);
});

test("/status is for operators alone, and /api/stats tells when each gateway was last seen alive", async (t) => {
  const redis = await startRedis(t);
  const args = ["--trusted-proxy", "127.0.0.1", "--lease", "2", "--leave-grace", "10"];
  const [one, two] = [await startGateway(t, { redis, args: [...args, "--gateway-id", "one"] }), await startGateway(t, { redis, args: [...args, "--gateway-id", "two"] })];
  for (const target of ["/status", "/status?lang=ja", "/api/stats"]) assert.equal((await get(one.origin + target, { headers: { "X-Forwarded-For": "203.0.113.7" } })).status, 403, target);
  const page = await get(`${one.origin}/status`);
  assert.equal(page.status, 200);
  assert.match(page.headers["content-security-policy"], /default-src 'none'; script-src 'self'/);
  assert.equal((await get(`${one.origin}/api/stats`)).headers["yukizuri-gateway"], "one");
  await until("each sees the other", async () => (await one.stats()).gateways.two < 2 && (await two.stats()).gateways.one < 2);
  assert.ok((await one.stats()).gateways.one < 2, "its own lease is renewed");
  await two.stop("SIGKILL");
  await until("it was not seen for longer than its lease", async () => (await one.stats()).gateways.two > 2);
  await until("it is forgotten once its members are taken off", async () => !("two" in (await one.stats()).gateways));
});

test("the header that names a gateway is ASCII, whatever the name is", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--gateway-id", "茶-50%"] });
  const name = (await get(`${gateway.origin}/api/stats`)).headers["yukizuri-gateway"];
  assert.equal(name, "%E8%8C%B6-50%25");
  assert.equal(decodeURIComponent(name), "茶-50%");
});

test("nginx passes real addresses, uses both gateways, and is trusted on a unix socket", async (t) => {
  const redis = await startRedis(t);
  const directory = temporaryDirectory(t);
  const sockets = [1, 2].map((i) => path.join(directory, `gateway-${i}.sock`));
  for (const socket of sockets) {
    const gateway = new Gateway(t, await freePort(), ["--addr", `unix:${socket}`, "--redis", redis.url, "--drain", "0"]);
    await until(() => `it is ready: ${gateway.errors}`, async () => (await get("http://gateway/readyz", { socketPath: socket }).catch(() => null))?.status === 200);
  }
  fs.chmodSync(directory, 0o755);
  const nginx = await startNginx(t, sockets.map((socket) => `unix:${socket}`));
  const members = [];
  for (let i = 0; i < 4; i++) members.push(await new Member(t, nginx.url, { headers: { "X-Forwarded-For": "8.8.8.8" } }).join(`m${i}`));
  assert.deepEqual(members.map((m) => m.welcome.me.address), Array(4).fill("127.0.0.x"), "the client's own header is not believed");
  const owners = new Set(members.map((m) => redis.run("HGET", `yukizuri:{lobby}:member:${m.welcome.me.name}`, "gateway")));
  assert.equal(owners.size, 2, "least_conn spreads the sockets");
  members[0].send({ type: "say", text: "hello", nonce: "1" });
  for (const member of members) await member.waitFor({ type: "message", text: "hello" });
  assert.equal((await get(`${nginx.origin}/metrics`)).status, 200, "nginx tells that we are local");
  assert.equal((await get(nginx.origin)).status, 200);
});
