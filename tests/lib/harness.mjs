// Starts what a test needs, real and on free ports, and stops it by pid. Nothing here sleeps to wait:
// everything polls with a deadline or waits for an event.
import assert from "node:assert/strict";
import { spawn, execFileSync } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import http from "node:http";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import WebSocket from "ws";

export const top = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");
export const binary = process.env.TEST_BINARY ?? path.join(top, "build/asan/yukizuri");
const DEADLINE_MS = Number(process.env.TEST_DEADLINE_MS ?? 15000);

/** Calls `check` until it returns something true; fails with `what` after the deadline. */
export async function until(what, check, ms = DEADLINE_MS) {
  const end = Date.now() + ms;
  for (;;) {
    const result = await check();
    if (result) return result;
    if (Date.now() > end) assert.fail(`not within ${ms} ms: ${typeof what === "function" ? what() : what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** For as long as a fault lasts: not to wait for what should happen. */
export const lasting = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const endings = new WeakMap();

/** Does this when the test is over, the last registered first. */
export function atEnd(t, ending) {
  if (!endings.has(t)) {
    const list = [];
    endings.set(t, list);
    t.after(async () => {
      const failures = [];
      while (list.length > 0) await Promise.resolve().then(list.pop()).catch((error) => failures.push(error));
      if (failures.length > 0) throw failures[0];
    });
  }
  endings.get(t).push(ending);
}

/** A port that was free a moment ago. */
export async function freePort() {
  const server = net.createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

export function temporaryDirectory(t) {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "yukizuri-test-"));
  fs.chmodSync(directory, 0o755);
  atEnd(t, () => fs.rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** Every file below a directory. (Of Node.js' own recursive reading each release has another half.) */
export function filesBelow(directory) {
  return fs.readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const name = path.join(directory, entry.name);
    if (entry.isDirectory()) return filesBelow(name);
    return entry.isFile() ? [name] : [];
  });
}

/** A process of the test's own. Its output is kept. */
export class Process {
  constructor(t, command, args, options = {}) {
    this.output = "";
    this.errors = "";
    this.child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], ...options });
    this.child.stdout?.on("data", (data) => (this.output += data));
    this.child.stderr?.on("data", (data) => (this.errors += data));
    this.ended = once(this.child, "close").then(([code, signal]) => ({ code, signal }));
    atEnd(t, () => this.stop("SIGKILL"));
  }

  get pid() {
    return this.child.pid;
  }

  get running() {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  signal(name) {
    process.kill(this.pid, name);
  }

  async stop(signal = "SIGTERM") {
    if (this.running) this.child.kill(signal);
    return this.ended;
  }
}

// --- Redis ---

export const redisPassword = "a password of the tests";

/** The configuration that we ship, with its user, in a file of this directory. */
function shippedConfiguration(directory) {
  const file = path.join(directory, "redis.conf");
  fs.writeFileSync(path.join(directory, "password"), `${redisPassword}\n`);
  fs.writeFileSync(file, execFileSync(path.join(top, "deploy/redis/render.sh"), ["--password-file", path.join(directory, "password")]));
  return file;
}

export class Redis extends Process {
  constructor(t, port, args) {
    super(t, "redis-server", args);
    this.port = port;
    this.url = this.urlAt("127.0.0.1", port);
  }

  /** Where gateways reach it over another address: a path that a test can break. As the user that we ship. */
  urlAt(host, port) {
    return `redis://yukizuri:${encodeURIComponent(redisPassword)}@${host}:${port}`;
  }

  /** Runs a command; replies as redis-cli prints them for programs, line by line. */
  run(...args) {
    const text = execFileSync("redis-cli", ["-p", String(this.port), "--raw", ...args], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
    return text.replace(/\n$/, "");
  }

  lines(...args) {
    const text = this.run(...args);
    return text === "" ? [] : text.split("\n");
  }
}

/** What the shipped user was refused: nothing that a gateway does may be. */
function assertNothingRefused(redis) {
  let refused = [];
  try {
    if (redis.running) refused = execFileSync("redis-cli", ["-p", String(redis.port), "--raw", "ACL", "LOG"], { encoding: "utf8", timeout: 2000 }).split("\n");
  } catch {
    return; // the test left it frozen, or locked
  }
  const ofOurs = refused.filter((word, i) => word === "yukizuri" && refused[i - 1] === "username");
  assert.equal(ofOurs.length, 0, `the shipped user was refused what a gateway does:\n${refused.join(" ")}`);
}

/** As we ship it, unless `shipped` is false: then as Redis is by itself. Gateways log in as the shipped user, `run` does as the
 *  default one, who may do everything. */
export async function startRedis(t, { port, args = [], shipped = true } = {}) {
  const where = port ?? (await freePort());
  const home = temporaryDirectory(t); // whatever it may write is gone with the test
  const begin = shipped ? [shippedConfiguration(home)] : [];
  const redis = new Redis(t, where, [...begin, "--port", String(where), "--bind", "127.0.0.1", "--dir", home, ...args]);
  if (!shipped) redis.url = `redis://127.0.0.1:${where}`;
  await until("Redis is up", () => {
    try {
      return redis.run("PING") === "PONG";
    } catch {
      return false;
    }
  });
  if (shipped) atEnd(t, () => assertNothingRefused(redis));
  return redis;
}

// --- Gateways ---

export class Gateway extends Process {
  constructor(t, port, args, { wrap = [], ...options } = {}) {
    const [command, ...rest] = [...wrap, binary, "--addr", `127.0.0.1:${port}`, ...args];
    super(t, command, rest, options);
    this.port = port;
    this.origin = `http://127.0.0.1:${port}`;
    this.url = `ws://127.0.0.1:${port}/room`;
    this.logs = !args.some((arg) => /^-?-log/.test(arg)); // to where it can be read here
    atEnd(t, () => this.#checkSanitizers());
  }

  /** Every test of a gateway is also a test of its memory. Told aloud: of a test that has failed already, the first
   *  failure alone is shown, and this may be its reason. */
  #checkSanitizers() {
    if (/Sanitizer|runtime error/.test(this.errors)) console.error(this.errors);
    assert.doesNotMatch(this.errors, /Sanitizer|runtime error/, `the gateway's sanitizers complained:\n${this.errors}`);
  }

  /** The log's lines as objects. */
  get log() {
    return parseLog(this.output);
  }

  async stats() {
    return JSON.parse((await get(`${this.origin}/api/stats`)).body);
  }
}

export function parseLog(text) {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => Object.fromEntries(line.split("\t").map((field) => [field.slice(0, field.indexOf(":")), field.slice(field.indexOf(":") + 1)])));
}

/** Starts a gateway on a free port, as the argument of another command (`wrap`) where one is given. Ends gently after the test,
 *  so that leaks are found. */
export async function startGateway(t, { redis, args = [], ready = true, port, env, wrap } = {}) {
  const where = redis ? ["--redis", typeof redis === "string" ? redis : redis.url] : [];
  const gateway = new Gateway(t, port ?? (await freePort()), [...where, "--drain", "0", "--drain-delay", "0", ...args], { wrap, ...(env && { env }) });
  atEnd(t, async () => {
    if (!gateway.running) return;
    const { code, signal } = await gateway.stop("SIGINT");
    assert.deepEqual({ code, signal }, { code: 0, signal: null }, `a gateway ended badly:\n${gateway.errors}`);
  });
  await until(
    () => `the gateway answers /${ready ? "readyz" : "healthz"}: ${gateway.errors}`,
    async () => {
      if (!gateway.running) assert.fail(`the gateway ended: ${gateway.errors}`);
      if (gateway.logs && !gateway.output.includes("\tkind:start\t")) return false; // an older one on this port may answer
      const answer = await get(`${gateway.origin}/${ready ? "readyz" : "healthz"}`).catch(() => null);
      return answer?.status === 200;
    },
  );
  return gateway;
}

// --- nginx ---

export async function startNginx(t, upstreams) {
  const directory = temporaryDirectory(t);
  const port = await freePort();
  const config = execFileSync(path.join(top, "deploy/nginx/render.sh"), [
    "--listen",
    `127.0.0.1:${port}`,
    ...upstreams.flatMap((upstream) => ["--upstream", upstream]),
    "--whole",
    directory,
    "--user",
    os.userInfo().username,
  ]);
  fs.writeFileSync(path.join(directory, "nginx.conf"), config);
  const command = fs.existsSync("/usr/sbin/nginx") ? "/usr/sbin/nginx" : "nginx";
  const nginx = new Process(t, command, ["-e", path.join(directory, "nginx-error.log"), "-p", directory, "-c", path.join(directory, "nginx.conf"), "-g", "daemon off;"]);
  atEnd(t, () => nginx.stop("SIGTERM"));
  nginx.directory = directory;
  nginx.port = port;
  nginx.origin = `http://127.0.0.1:${port}`;
  nginx.url = `ws://127.0.0.1:${port}/room`;
  await until(
    () => `nginx is up: ${nginx.errors}`,
    async () => (await get(`${nginx.origin}/healthz`).catch(() => null))?.status === 200,
  );
  return nginx;
}

// --- HTTP ---

/** One request, answered as { status, headers, body }. */
export function get(url, { headers = {}, method = "GET", socketPath } = {}) {
  return new Promise((resolve, reject) => {
    const request = http.request(url, { method, headers, agent: false, socketPath, timeout: DEADLINE_MS }, (response) => {
      const parts = [];
      response.on("data", (part) => parts.push(part));
      response.on("end", () => {
        const raw = Buffer.concat(parts);
        resolve({ status: response.statusCode, headers: response.headers, body: raw.toString(), raw });
      });
    });
    request.on("error", reject);
    request.on("timeout", () => request.destroy(new Error("no answer in time")));
    request.end();
  });
}

/** Sends bytes as they are and gives all that comes back until the peer closes. */
export async function rawExchange(port, bytes, { ms = DEADLINE_MS, stopAt } = {}) {
  const socket = net.connect(port, "127.0.0.1");
  const parts = [];
  const done = new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no end in ${ms} ms after ${Buffer.concat(parts)}`)), ms);
    const finish = () => {
      clearTimeout(timer);
      resolve(Buffer.concat(parts));
    };
    socket.on("data", (part) => {
      parts.push(part);
      if (stopAt && Buffer.concat(parts).includes(stopAt)) finish();
    });
    socket.on("close", finish);
    socket.on("error", () => {});
  });
  socket.write(bytes);
  try {
    return await done;
  } finally {
    socket.destroy();
  }
}

// --- A member ---

/** A WebSocket client that keeps everything it receives. */
export class Member {
  constructor(t, url, options = {}) {
    this.received = [];
    this.closed = null;
    this.socket = new WebSocket(url, { perMessageDeflate: false, ...options });
    this.socket.on("message", (data) => this.received.push(JSON.parse(data.toString())));
    this.socket.on("close", (code, reason) => (this.closed = { code, reason: reason.toString() }));
    this.socket.on("error", (error) => (this.error = error));
    atEnd(t, () => this.socket.terminate());
  }

  async opened() {
    await until(() => `the socket opens: ${this.error}`, () => this.socket.readyState !== WebSocket.CONNECTING);
    assert.equal(this.socket.readyState, WebSocket.OPEN, String(this.error));
    return this;
  }

  send(message) {
    this.socket.send(typeof message === "string" || Buffer.isBuffer(message) ? message : JSON.stringify(message));
  }

  /** The first message received that `match` describes: an object of fields, or a function. */
  find(match) {
    const fits = typeof match === "function" ? match : (message) => Object.entries(match).every(([key, value]) => message[key] === value);
    return this.received.find(fits);
  }

  async waitFor(match, ms) {
    return until(
      () => `${JSON.stringify(match) ?? match} arrives; got ${JSON.stringify(this.received.slice(-5))}, closed ${JSON.stringify(this.closed)}`,
      () => this.find(match),
      ms,
    );
  }

  async waitClosed(ms) {
    return until("the connection is closed", () => this.closed, ms);
  }

  async join(name, more = {}) {
    await this.opened();
    const before = this.received.length;
    this.send({ type: "join", name, ...more });
    const welcome = await this.waitFor((message) => this.received.indexOf(message) >= before && (message.type === "welcome" || message.type === "error"));
    assert.equal(welcome.type, "welcome", JSON.stringify(welcome));
    this.welcome = welcome;
    return this;
  }

  /** Sends this until it is answered by `good`, as clients do: once more when it was refused, and not before the refusal says. */
  async insistOn(message, good) {
    const isAnswer = (m) => (m.type === good || m.type === "error") && m.nonce === message.nonce;
    for (const end = Date.now() + DEADLINE_MS; ; ) {
      const before = this.received.length;
      this.send(message);
      const answer = await this.waitFor((m) => isAnswer(m) && this.received.indexOf(m) >= before);
      if (answer.type === good) return answer;
      assert.ok(Date.now() < end, `accepted in time: ${JSON.stringify(answer)}`);
      await lasting((answer.retry_after ?? 0.2) * 1000);
    }
  }

  insist(text) {
    return this.insistOn({ type: "say", text, nonce: text }, "ack");
  }

  messages() {
    return this.received.filter((message) => message.type === "message");
  }

  saw(kind, name) {
    return this.received.some((message) => message.type === "presence" && message[kind].some((person) => person.name === name));
  }

  /** A sign that everything sent before has been handled and answered. */
  async settled() {
    const before = this.received.filter((message) => message.type === "pong").length;
    this.send({ type: "ping" });
    await until("a pong", () => this.received.filter((message) => message.type === "pong").length > before);
  }
}

export async function joined(t, url, name, more) {
  return new Member(t, url).join(name, more);
}
