// The verdict on a conversation must find each fault that a change of the service could cause, and none where there is none.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import http from "node:http";
import net from "node:net";
import test from "node:test";
import { fileURLToPath } from "node:url";
import { atEnd, freePort, joined, ofKind, startGateway, startNginx, startRedis, until } from "../lib/harness.mjs";
import { converge } from "../chaos/stage.mjs";
import { startConversation, startConversationElsewhere } from "./lib/conversation.mjs";

const program = fileURLToPath(new URL("lib/conversation.mjs", import.meta.url));
const few = { people: 6, rate: 15 };

/** A gateway behind a proxy that gets the frames of the server. `change` returns what goes on to this client. */
async function startProxy(t, gateway, change) {
  const sockets = new Set();
  const server = net.createServer((client) => {
    const upstream = net.connect(gateway.port, "127.0.0.1");
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.setNoDelay();
      socket.on("error", () => {});
      socket.on("close", () => (client.destroy(), upstream.destroy()));
    }
    client.pipe(upstream);
    upstream.on("data", (data) => client.write(change(data, client)));
  });
  const port = await freePort();
  server.listen(port, "127.0.0.1");
  atEnd(t, () => (server.close(), sockets.forEach((socket) => socket.destroy())));
  return { url: `ws://127.0.0.1:${port}/room` };
}

/** The frames without those that have this text. A frame here is shorter than 64 KiB, and nothing is fragmented. */
function withoutText(data, text) {
  const kept = [];
  for (let at = 0; at < data.length; ) {
    const short = data[at + 1] & 127;
    const end = short === 126 ? at + 4 + data.readUInt16BE(at + 2) : at + 2 + short;
    const frame = data.subarray(at, end);
    if (!frame.includes(text)) kept.push(frame);
    at = end;
  }
  return Buffer.concat(kept);
}

test("a rolling restart behind nginx breaks no promise", { timeout: 120000 }, async (t) => {
  const redis = await startRedis(t);
  const args = ["--drain", "2", "--drain-delay", "1"];
  const gateways = [await startGateway(t, { redis, args }), await startGateway(t, { redis, args })];
  const nginx = await startNginx(t, gateways.map(({ port }) => `127.0.0.1:${port}`));
  const talk = await startConversation(t, { url: nginx.url });
  const elsewhere = await startConversationElsewhere(t, { url: nginx.url, ...few });
  for (const { port } of [...gateways]) {
    const old = gateways.shift();
    await startGateway(t, { redis, args, port });
    await old.stop("SIGTERM");
    await talk.goesOn();
  }
  const verdict = await talk.end();
  assert.deepEqual([verdict.kept, verdict.problems], [true, []]);
  assert.ok(verdict.reconnects >= verdict.people, `everybody has moved: ${verdict.reconnects}`);
  assert.ok(verdict.delivered > verdict.people * verdict.people);
  const other = await elsewhere.end();
  assert.deepEqual([other.kept, other.problems, other.people], [true, [], few.people]);
});

test("a gateway that is killed, while Redis loses its memory, leaves a gap, and a refused connection", { timeout: 120000 }, async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis });
  const talk = await startConversation(t, { url: gateway.url, ...few });
  await gateway.stop("SIGKILL");
  redis.run("FLUSHALL");
  await until("somebody was refused", () => talk.refused.length > 0);
  await startGateway(t, { redis, port: gateway.port });
  await talk.goesOn();
  const verdict = await talk.end();
  assert.equal(verdict.kept, false);
  assert.ok(verdict.gaps > 0 && verdict.refused > 0, JSON.stringify(verdict, null, 1));
  assert.match(verdict.problems.join("\n"), /^refused: .*ECONNREFUSED/m);
});

test("a message that one person does not get is lost", { timeout: 120000 }, async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  let swallowed = 0;
  const proxy = await startProxy(t, gateway, (data) => {
    if (!talking || swallowed > 0 || data.toString("latin1").startsWith("HTTP/")) return data;
    const rest = withoutText(data, '"type":"message"');
    swallowed = data.length - rest.length;
    return rest;
  });
  let talking = false;
  const talk = await startConversation(t, { url: proxy.url, ...few });
  talking = true;
  await until("a message is swallowed", () => swallowed > 0);
  const verdict = await talk.end();
  assert.ok(!verdict.kept && verdict.lost > 0, JSON.stringify(verdict, null, 1));
});

test("what a guest says behind the last line of the people is not owed to them", { timeout: 120000 }, async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  const word = "a word of the guest";
  let slow = null; // the client that gets the final lines late, and the word never
  let heard = false;
  let held = Buffer.alloc(0);
  const proxy = await startProxy(t, gateway, (data, client) => {
    if (slow === null && data.includes('"text":"end ')) slow = client;
    heard ||= slow !== client && data.includes(word);
    if (slow !== client) return data;
    held = Buffer.concat([held, data]);
    return Buffer.alloc(0);
  });
  const talk = await startConversation(t, { url: proxy.url, ...few });
  const guest = await joined(t, gateway.url, "guest");
  const ending = talk.end();
  await until("everybody has said the final line", () => guest.received.filter(({ text }) => /^end /.test(text)).length === few.people);
  guest.send({ type: "say", text: word, nonce: "g" });
  await until("the word is under way to the slow one, and others have it", () => heard && held.includes(word));
  slow.write(withoutText(held, word));
  const verdict = await ending;
  assert.deepEqual([verdict.kept, verdict.problems], [true, []]);
});

test("the final lines of another conversation in the room do not end this one", async () => {
  const record = [{ what: "message", text: "end somebody else" }];
  let looks = 0;
  let said = null;
  let ended = false;
  const person = { name: "one", state: "joined", joined: true, record, quiet: () => {}, say: (text) => (said = text), get pending() { return looks++ * 0; } };
  const ending = converge([person]).then(() => (ended = true));
  await until("it has looked a few times", () => said !== null && looks > 6);
  assert.equal(ended, false);
  record.push({ what: "message", text: said });
  await ending;
});

test("people who are announced as left, and come again, are named", { timeout: 120000 }, async (t) => {
  const redis = await startRedis(t);
  const args = ["--leave-grace", "1", "--lease", "1"];
  const gateway = await startGateway(t, { redis, args });
  const other = await startGateway(t, { redis, args });
  const talk = await startConversation(t, { url: gateway.url, ...few });
  await gateway.stop("SIGKILL");
  await until("they are taken off", () => ofKind(other, "gateway-buried").length > 0);
  await startGateway(t, { redis, args, port: gateway.port });
  await talk.goesOn();
  const verdict = await talk.end();
  assert.ok(!verdict.kept && verdict.announced > 0, JSON.stringify(verdict, null, 1));
  assert.match(verdict.problems.join("\n"), /^announced: .* was told at \d+ that .* left/m);
});

test("an answer other than 101 is a refused connection", { timeout: 120000 }, async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--drain", "1"] });
  const talk = await startConversation(t, { url: gateway.url, ...few });
  const server = http.createServer();
  server.on("upgrade", (_, socket) => {
    socket.on("error", () => {}); // its person may be away before the answer
    socket.end("HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n");
  });
  gateway.signal("SIGTERM");
  await until("the port is free", () => !gateway.running);
  server.listen(gateway.port, "127.0.0.1");
  atEnd(t, () => server.close());
  await until("somebody was refused", () => talk.refused.some((reason) => /503/.test(reason)));
  server.close();
  server.closeAllConnections();
  await until("the port is free again", () => !server.listening);
});

test("the command line: usage, talking, the verdict, the exit status", { timeout: 120000 }, async (t) => {
  const run = (...args) => spawnSync(process.execPath, [program, ...args], { encoding: "utf8", timeout: 100000 });
  for (const [args, complaint] of [[[], /--url is needed/], [["--url", "ws://127.0.0.1/", "--people", "many"], /--people needs a number/], [["--nonsense"], /nonsense/], [["--url", "ws://x/", "--address", "x"], /--address needs an IP address/]]) {
    const { status, stderr } = run(...args);
    assert.equal(status, 2, stderr);
    assert.match(stderr, complaint);
  }
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  const { status, stdout, stderr } = run("--url", gateway.url.replace("127.0.0.1", "chat.example.org"), "--address", "127.0.0.1", "--people", "4", "--rate", "8", "--seconds", "1");
  assert.equal(status, 0, stdout + stderr);
  const [talking, verdict] = stdout.trim().split("\n");
  assert.equal(talking, "talking");
  assert.equal(JSON.parse(verdict).kept, true);
});
