// A member of a room: a WebSocket client that stores everything it receives.
import assert from "node:assert/strict";
import WebSocket from "ws";
import { atEnd } from "./endings.mjs";
import { DEADLINE_MS, pause, until } from "./until.mjs";

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

  /** Sends all of these with one write, so that the gateway reads them in one iteration of its loop. */
  sendTogether(messages) {
    this.socket._socket.cork();
    for (const message of messages) this.send(message);
    this.socket._socket.uncork();
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

  /** Sends a message and returns the first answer that `isAnswer` accepts. */
  async ask(message, isAnswer) {
    const before = this.received.length;
    this.send(message);
    const asked = (typeof message === "string" ? message : JSON.stringify(message)).slice(0, 80);
    return until(() => `an answer to ${asked}; closed ${JSON.stringify(this.closed)}`, () => this.received.slice(before).find(isAnswer));
  }

  /** Sends a message and returns the error that answers it. */
  refused(message) {
    return this.ask(message, ({ type }) => type === "error");
  }

  /** Sends a join and returns the answer, welcome or error. */
  askToJoin(name, more = {}) {
    return this.ask({ type: "join", name, ...more }, ({ type }) => type === "welcome" || type === "error");
  }

  async join(name, more = {}) {
    await this.opened();
    const welcome = await this.askToJoin(name, more);
    assert.equal(welcome.type, "welcome", JSON.stringify(welcome));
    this.welcome = welcome;
    return this;
  }

  /** Sends a say and returns its ack. */
  async say(text, nonce = text) {
    this.send({ type: "say", text, nonce });
    return this.waitFor({ type: "ack", nonce });
  }

  /** Sends a message until `good` accepts the answer. After a refusal it waits for `retry_after`, as clients do. */
  async insistOn(message, good) {
    const isAnswer = (m) => (m.type === good || m.type === "error") && m.nonce === message.nonce;
    for (const end = Date.now() + DEADLINE_MS; ; ) {
      const answer = await this.ask(message, isAnswer);
      if (answer.type === good) return answer;
      assert.ok(Date.now() < end, `accepted in time: ${JSON.stringify(answer)}`);
      await pause((answer.retry_after ?? 0.2) * 1000);
    }
  }

  insist(text) {
    return this.insistOn({ type: "say", text, nonce: text }, "ack");
  }

  /** Says `count` lines at once, and repeats each refused one after its `retry_after`, until all are accepted. */
  async obey(t, count) {
    const timers = [];
    atEnd(t, () => timers.forEach(clearTimeout));
    const say = (nonce) => this.send({ type: "say", text: nonce, nonce });
    this.socket.on("message", (data) => {
      const { code, nonce, retry_after } = JSON.parse(data.toString());
      if (code === "too_fast") timers.push(setTimeout(() => say(nonce), retry_after * 1000));
    });
    for (let i = 0; i < count; i++) say(`n${i}`);
    await until(() => `all are accepted; closed ${JSON.stringify(this.closed)}`, () => this.closed || new Set(this.received.filter(({ type }) => type === "ack").map(({ nonce }) => nonce)).size === count);
    assert.equal(this.closed, null);
  }

  messages() {
    return this.received.filter((message) => message.type === "message");
  }

  texts() {
    return this.messages().map(({ text }) => text);
  }

  gaps() {
    return this.received.filter(({ type }) => type === "gap");
  }

  saw(kind, name) {
    return this.received.some((message) => message.type === "presence" && message[kind].some((person) => person.name === name));
  }

  /** The names in all received `left` lists, with repetitions. */
  departures() {
    return this.received.filter(({ type }) => type === "presence").flatMap(({ left }) => left.map(({ name }) => name));
  }

  /** Waits until everything that was sent before has been handled and answered. */
  async settled() {
    const before = this.received.filter((message) => message.type === "pong").length;
    this.send({ type: "ping" });
    await until("a pong", () => this.received.filter((message) => message.type === "pong").length > before);
  }
}

export async function joined(t, url, name, more) {
  return new Member(t, url).join(name, more);
}

/** A member that came through a proxy, which says that it has this address. */
export function joinedFrom(t, url, name, address) {
  return new Member(t, url, { headers: { "X-Forwarded-For": address } }).join(name);
}

/** Tries one connection after the other until a join succeeds, as when Redis comes back. */
export function memberThatIsIn(t, url, name, more) {
  return until(`${name} is in`, async () => {
    const member = await new Member(t, url).opened();
    const answer = await member.askToJoin(name, more);
    return answer.type === "welcome" && Object.assign(member, { welcome: answer });
  });
}

/** A member that resumes on another gateway after `reconnect` or a lost connection, until it has joined. */
export class MovingMember {
  constructor(t, name, from, to) {
    Object.assign(this, { t, name, to });
    atEnd(t, () => (this.stopped = true));
    this.begin(from);
  }

  begin(url) {
    const resume = this.token;
    this.member = new Member(this.t, url);
    this.member.socket.once("close", () => this.stopped || setTimeout(() => this.begin(this.to), 50));
    this.done = this.member.join(this.name, resume ? { resume } : {}).then(({ welcome }) => (this.token = welcome.resume));
    this.done.catch(() => {}); // tries again
  }

  get hasMoved() {
    return this.member.socket.url === this.to && this.member.welcome !== undefined;
  }

  die() {
    this.stopped = true;
    this.member.socket.terminate();
  }
}
