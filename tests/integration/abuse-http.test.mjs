// Hostile bytes over HTTP: each gets its status at once, and takes nothing for longer.
import assert from "node:assert/strict";
import test from "node:test";
import { rawText } from "../lib/harness.mjs";
import { assertNothingStays, runRounds, startVictim } from "../lib/abuse.mjs";

const HOST = "Host: x\r\n";
const END = "Connection: close\r\n\r\n";
/** A request that is good but for its line, or for these fields. */
const line = (text) => `${text}\r\n${HOST}${END}`;
const fields = (text, path = "/healthz") => `GET ${path} HTTP/1.1\r\n${HOST}${text}${END}`;
const many = (count, of) => Array.from({ length: count }, (_, i) => of(i)).join("");
const upgrade = ({ line: first = "GET /room HTTP/1.1", host = HOST, up = "Upgrade: websocket\r\n", connection = "Connection: Upgrade, close\r\n", version = "Sec-WebSocket-Version: 13\r\n", key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", more = "" } = {}) => `${first}\r\n${host}${up}${connection}${version}${key}${more}\r\n`;

// name, bytes, status; and the status through nginx where it is another one, because nginx answers itself, or repairs the request.
// null: nginx waits for more, answers like HTTP/0.9 without a status, or makes a good handshake of it.
const CASES = [
  // --- The request line ---
  ["no version", line("GET /healthz"), 400, null],
  ["a method alone", line("GET"), 400],
  ["an unknown method", line("BREW /healthz HTTP/1.1"), 405],
  ["a method in small letters", line("get /healthz HTTP/1.1"), 405, 400],
  ["a method that is no token", line("GE(T /healthz HTTP/1.1"), 400],
  ["a method of 8,000 letters", line(`${"G".repeat(8000)} / HTTP/1.1`), 405],
  ["POST without a body", line("POST /healthz HTTP/1.1"), 405],
  ["CONNECT", line("CONNECT x:80 HTTP/1.1"), 400],
  ["TRACE", line("TRACE /healthz HTTP/1.1"), 405],
  ["a space before the method", line(" GET /healthz HTTP/1.1"), 400],
  ["a tab after the method", line("GET\t/healthz HTTP/1.1"), 400],
  ["two spaces after the method", line("GET  /healthz HTTP/1.1"), 400, 200],
  ["two spaces before the version", line("GET /healthz  HTTP/1.1"), 400, 200],
  ["a space after the version", line("GET /healthz HTTP/1.1 "), 400, 200],
  ["a space in the target", line("GET /heal thz HTTP/1.1"), 400],
  ["a NUL in the target", line("GET /heal\0thz HTTP/1.1"), 400],
  ["a control character in the target", line("GET /heal\x01thz HTTP/1.1"), 400],
  ["a DEL in the target", line("GET /heal\x7fthz HTTP/1.1"), 400],
  ["a CR in the target", line("GET /heal\rthz HTTP/1.1"), 400],
  ["a fragment in the target", line("GET /healthz#a HTTP/1.1"), 400],
  ["a target without a slash", line("GET healthz HTTP/1.1"), 400],
  ["an asterisk for GET", line("GET * HTTP/1.1"), 400],
  ["a target of another scheme", line("GET ftp://x/healthz HTTP/1.1"), 400, 200],
  ["an absolute target", line("GET http://x/healthz HTTP/1.1"), 200],
  ["an absolute target without a host", line("GET http:///healthz HTTP/1.1"), 400],
  ["an absolute target with a user", line("GET http://u:p@x/healthz HTTP/1.1"), 400],
  ["an absolute target with a bad port", line("GET http://x:80a/healthz HTTP/1.1"), 400],
  ["half an escape", line("GET /r/%4 HTTP/1.1"), 400],
  ["an escape of no digits", line("GET /r/%zz HTTP/1.1"), 400],
  ["an escaped NUL", line("GET /r/a%00b HTTP/1.1"), 400],
  ["dots to the parent", line("GET /../../etc/passwd HTTP/1.1"), 404, 400],
  ["escaped dots to the parent", line("GET /assets/%2e%2e/%2e%2e/etc/passwd HTTP/1.1"), 404, 400],
  ["a room name that is too long", line(`GET /r/${"x".repeat(33)} HTTP/1.1`), 404],
  ["a room name that is not UTF-8", line("GET /r/%ff%fe HTTP/1.1"), 404],
  ["HTTP/0.9", "GET /healthz\r\n\r\n", 400, null],
  ["HTTP/1.0 without Host", "GET /healthz HTTP/1.0\r\n\r\n", 200, 400],
  ["HTTP/1.2", line("GET /healthz HTTP/1.2"), 200],
  ["HTTP/2.0", line("GET /healthz HTTP/2.0"), 505],
  ["HTTP/0.1", line("GET /healthz HTTP/0.1"), 505, 400],
  ["HTTP/1", line("GET /healthz HTTP/1"), 400],
  ["HTTP/1.10", line("GET /healthz HTTP/1.10"), 400, 200],
  ["HTTP/11.1", line("GET /healthz HTTP/11.1"), 400, 505],
  ["http/1.1 in small letters", line("GET /healthz http/1.1"), 400],
  ["HTTP/x.y", line("GET /healthz HTTP/x.y"), 400],
  ["the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", 505, 400],
  ["TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400],
  ["SSH", "SSH-2.0-OpenSSH_9.2\r\n", 400],
  ["the PROXY protocol", `PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n${line("GET /healthz HTTP/1.1")}`, 400],
  ["a command of Redis", "*1\r\n$4\r\nPING\r\n", 400],
  ["zeroes", "\0\0\0\0\0\0\0\0", 400],
  ["an LF alone", "\n", 400, null],
  ["two empty lines before the request", `\r\n\r\n${line("GET /healthz HTTP/1.1")}`, 400, 200],
  ["an empty line before the request", `\r\n${line("GET /healthz HTTP/1.1")}`, 200],
  ["a CR before the request", `\r${line("GET /healthz HTTP/1.1")}`, 400, 200],
  // --- Lines and fields; those without an end must not wait for one ---
  ["bare LFs", `GET /healthz HTTP/1.1\nHost: x\nConnection: close\n\n`, 400, 200],
  ["a bare LF after the request line", `GET /healthz HTTP/1.1\n${HOST}${END}`, 400, 200],
  ["a bare LF after a field", "GET /healthz HTTP/1.1\r\nHost: x\n", 400, null],
  ["a bare LF at the end", `GET /healthz HTTP/1.1\r\n${HOST}Connection: close\r\n\n`, 400, 200],
  ["a bare CR between fields", "GET /healthz HTTP/1.1\r\nHost: x\rA: b", 400],
  ["two CRs before an LF", "GET /healthz HTTP/1.1\r\nHost: x\r\r\n", 400, null],
  ["a line without a colon, and no end", "GET /healthz HTTP/1.1\r\nHost x\r\n", 400],
  ["a line without a colon", fields("garbage\r\n"), 400, 200],
  ["a space in a name, and no end", "GET /healthz HTTP/1.1\r\nHo st: x\r\n", 400],
  ["a space in a name, and no line end", "GET /healthz HTTP/1.1\r\nHo st", 400],
  ["a space before the colon", fields("A : b\r\n"), 400],
  ["a tab before the colon", fields("A\t: b\r\n"), 400],
  ["an empty name", fields(": b\r\n"), 400],
  ["a name with a bracket", fields("A(b): c\r\n"), 400, 200],
  ["a name with a NUL", fields("A\0: c\r\n"), 400],
  ["a name beyond ASCII", fields("\xc3\xa4: c\r\n"), 400, 200],
  ["a folded line", fields("A: b\r\n c\r\n"), 400],
  ["a line folded with a tab", fields("A: b\r\n\tc\r\n"), 400],
  ["a first field that begins with a space", "GET /healthz HTTP/1.1\r\n Host: x\r\n\r\n", 400],
  ["a NUL in a value", fields("A: b\0c\r\n"), 400],
  ["a control character in a value", fields("A: b\x02c\r\n"), 400],
  ["a DEL in a value", fields("A: b\x7fc\r\n"), 400],
  ["an escape of terminals in a value", fields("User-Agent: \x1b[31m\r\n"), 400],
  ["bytes beyond ASCII in a value", fields("A: \xff\xfe\r\n"), 200],
  ["a tab in a value", fields("A: b\tc\r\n"), 200],
  ["an empty value", fields("A:\r\n"), 200],
  ["64 fields too many", fields(many(64, (i) => `A${i}: b\r\n`)), 431],
  ["1,000 fields", fields(many(1000, () => "A: b\r\n")), 431, 400],
  ["a field of 20,000 bytes", fields(`A: ${"b".repeat(20000)}\r\n`), 431, 400],
  ["a target of 20,000 bytes", line(`GET /${"a".repeat(20000)} HTTP/1.1`), 431, 414],
  ["a head without an end", `GET /healthz HTTP/1.1\r\n${"A: b\r\n".repeat(4000)}`, 431, 400],
  ["a line without an end", "G".repeat(20000), 431, 414],
  // --- Host ---
  ["no Host", `GET /healthz HTTP/1.1\r\n${END}`, 400],
  ["two Hosts", fields("Host: x\r\n"), 400],
  ["two Hosts that differ", fields("Host: y\r\n"), 400],
  ["a Host with a path", `GET /healthz HTTP/1.1\r\nHost: x/y\r\n${END}`, 400],
  ["a Host with a user", `GET /healthz HTTP/1.1\r\nHost: u@x\r\n${END}`, 400],
  ["a Host with a space", `GET /healthz HTTP/1.1\r\nHost: a b\r\n${END}`, 400],
  ["a list of Hosts", `GET /healthz HTTP/1.1\r\nHost: a, b\r\n${END}`, 400],
  ["a Host with a bad port", `GET /healthz HTTP/1.1\r\nHost: x:http\r\n${END}`, 400],
  ["an absolute target without Host", `GET http://x/healthz HTTP/1.1\r\n${END}`, 400],
  // --- Where a body ends ---
  ["Content-Length 5, 6", fields("Content-Length: 5, 6\r\n"), 400],
  ["Content-Length 5, 5", fields("Content-Length: 5, 5\r\n"), 400],
  ["Content-Length -1", fields("Content-Length: -1\r\n"), 400],
  ["Content-Length +5", fields("Content-Length: +5\r\n"), 400],
  ["Content-Length 0x5", fields("Content-Length: 0x5\r\n"), 400],
  ["Content-Length 5 5", fields("Content-Length: 5 5\r\n"), 400],
  ["Content-Length 1e1", fields("Content-Length: 1e1\r\n"), 400],
  ["Content-Length 5.0", fields("Content-Length: 5.0\r\n"), 400],
  ["Content-Length in quotes", fields('Content-Length: "0"\r\n'), 400],
  ["an empty Content-Length", fields("Content-Length:\r\n"), 400],
  ["two Content-Lengths that differ", fields("Content-Length: 0\r\nContent-Length: 5\r\n"), 400],
  ["two Content-Lengths that are the same", fields("Content-Length: 0\r\nContent-Length: 0\r\n"), 400],
  ["a Content-Length beyond all numbers", fields("Content-Length: 99999999999999999999999\r\n"), 413, 400],
  ["a body", `${fields("Content-Length: 5\r\n")}hello`, 413],
  ["Content-Length 0", fields("Content-Length: 0\r\n"), 200],
  ["a length beside chunked", `${fields("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")}0\r\n\r\n`, 400],
  ["chunked beside a length", `${fields("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n")}0\r\n\r\n`, 400],
  ["a length beside an unknown coding", fields("Content-Length: 5\r\nTransfer-Encoding: x\r\n"), 400, null],
  ["chunked", `${fields("Transfer-Encoding: chunked\r\n")}0\r\n\r\n`, 413, 200],
  ["chunked twice", fields("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), 400],
  ["chunked, chunked", fields("Transfer-Encoding: chunked, chunked\r\n"), 400, 501],
  ["gzip, chunked", fields("Transfer-Encoding: gzip, chunked\r\n"), 501],
  ["chunked, identity", fields("Transfer-Encoding: chunked, identity\r\n"), 501],
  ["an unknown coding", fields("Transfer-Encoding: xchunked\r\n"), 501],
  ["an empty coding", fields("Transfer-Encoding:\r\n"), 400, 501],
  ["a vertical tab before chunked", fields("Transfer-Encoding: \x0bchunked\r\n"), 400, 501],
  ["a space after Transfer-Encoding", fields("Transfer-Encoding : chunked\r\n"), 400],
  ["chunked over HTTP/1.0", `GET /healthz HTTP/1.0\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n`, 400],
  ["a request in a body", `GET /healthz HTTP/1.1\r\n${HOST}Content-Length: 35\r\nConnection: close\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n`, 413],
  ["a request in a chunk", `GET /healthz HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n23\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n\r\n0\r\n\r\n`, 413],
  // --- Where nobody may look ---
  ["figures with a forged address", fields("X-Forwarded-For: 127.0.0.1\r\n", "/metrics"), 403],
  ["statistics with a forged address", fields("X-Real-IP: 127.0.0.1\r\nX-Forwarded-For: ::1\r\n", "/api/stats"), 403],
  ["an unknown path", line("GET /nothing HTTP/1.1"), 404],
  ["an asset that is not there", line("GET /assets/none.js HTTP/1.1"), 404],
  // --- The handshake (RFC 6455 section 4.2.1) ---
  ["a handshake for POST", upgrade({ line: "POST /room HTTP/1.1" }), 405],
  ["a handshake for HEAD", upgrade({ line: "HEAD /room HTTP/1.1" }), 426],
  ["a handshake over HTTP/1.0", upgrade({ line: "GET /room HTTP/1.0" }), 426, null],
  ["a handshake without Host", upgrade({ host: "" }), 400],
  ["no Upgrade", upgrade({ up: "" }), 426],
  ["Upgrade to h2c", upgrade({ up: "Upgrade: h2c\r\n" }), 426],
  ["no Connection", upgrade({ connection: "Connection: close\r\n" }), 400, null],
  ["Connection without Upgrade", upgrade({ connection: "Connection: keep-alive, close\r\n" }), 400, null],
  ["no version of the protocol", upgrade({ version: "" }), 400],
  ["version 8", upgrade({ version: "Sec-WebSocket-Version: 8\r\n" }), 426],
  ["version 13, 8", upgrade({ version: "Sec-WebSocket-Version: 13, 8\r\n" }), 426],
  ["version 013", upgrade({ version: "Sec-WebSocket-Version: 013\r\n" }), 426],
  ["version -13", upgrade({ version: "Sec-WebSocket-Version: -13\r\n" }), 426],
  ["an empty version", upgrade({ version: "Sec-WebSocket-Version:\r\n" }), 426],
  ["two versions", upgrade({ more: "Sec-WebSocket-Version: 8\r\n" }), 400],
  ["the same version twice", upgrade({ more: "Sec-WebSocket-Version: 13\r\n" }), 400],
  ["no key", upgrade({ key: "" }), 400],
  ["an empty key", upgrade({ key: "Sec-WebSocket-Key:\r\n" }), 400],
  ["a short key", upgrade({ key: "Sec-WebSocket-Key: c2hvcnQ=\r\n" }), 400],
  ["a long key", upgrade({ key: `Sec-WebSocket-Key: ${"A".repeat(86)}==\r\n` }), 400],
  ["a key that is no base64", upgrade({ key: "Sec-WebSocket-Key: !!!!!!!!!!!!!!!!!!!!!!==\r\n" }), 400],
  ["a key with bits beyond its bytes", upgrade({ key: "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZR==\r\n" }), 400],
  ["two keys", upgrade({ more: "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" }), 400],
  ["a page of elsewhere", upgrade({ more: "Origin: http://evil.example\r\n" }), 403],
  ["a page of nowhere", upgrade({ more: "Origin: null\r\n" }), 403],
  ["two origins", upgrade({ more: "Origin: http://x\r\nOrigin: http://evil.example\r\n" }), 403],
  ["a handshake with a body", `${upgrade({ more: "Content-Length: 5\r\n" })}hello`, 413],
  ["a handshake for no room", upgrade({ line: "GET /room/ HTTP/1.1" }), 404],
  ["a handshake for a room with a space", upgrade({ line: "GET /room/a%20b HTTP/1.1" }), 404],
  ["a handshake for a page", upgrade({ line: "GET /healthz HTTP/1.1", more: "Content-Length: 5, 6\r\n" }), 400],
].map(([name, bytes, status, viaNginx]) => ({ name, bytes, status, viaNginx: viaNginx === undefined ? status : viaNginx }));

const statuses = (answer) => [...answer.toString("latin1").matchAll(/HTTP\/1\.1 (\d{3}) /g)].map((match) => Number(match[1]));

test("each malformed or hostile request gets one answer with its status, and takes nothing for longer", { timeout: 120000 }, async (t) => {
  assert.ok(CASES.length >= 100, `${CASES.length} cases`);
  assert.equal(new Set(CASES.map(({ name }) => name)).size, CASES.length, "each name once");
  await runRounds(t, await startVictim(t), CASES, {
    expected: ({ status }) => status,
    viaNginx: ({ viaNginx }) => viaNginx,
    judge(answer, status) {
      const got = statuses(answer);
      return got.length === 1 && got[0] === status ? null : `${got} and not ${status}: ${JSON.stringify(answer.toString("latin1").slice(0, 100))}`;
    },
  });
});

test("a head that does not come in time gets 408, and who says nothing gets nothing", { timeout: 60000 }, async (t) => {
  const victim = await startVictim(t);
  const halves = ["G", "GET /healthz", "GET /healthz HTTP/1.1\r", "GET /healthz HTTP/1.1\r\n", `GET /healthz HTTP/1.1\r\n${HOST}`, `GET /healthz HTTP/1.1\r\n${HOST}A: b`, `GET /healthz HTTP/1.1\r\n${HOST}\r`, "\r\n"];
  const answers = await Promise.all([...halves, ""].map((bytes) => rawText(victim.gateway, bytes)));
  for (const [i, half] of halves.entries()) assert.match(answers[i], /^HTTP\/1\.1 408 /, JSON.stringify(half));
  assert.equal(answers.at(-1), "");
  await assertNothingStays(victim);
});
