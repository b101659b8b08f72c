// A client that implements exactly the rules of docs/protocol.md and nothing else. It has the same interface as
// the page's client, so that a ChaosMember can use either.
import { randomUUID } from "node:crypto";
import WebSocket from "ws";

const SHORTEST_MS = 500;
const LONGEST_MS = 20000;
const GOOD_MS = 10000;
const WAIT_4429_MS = 30000;

export class Bot {
  lines = new Map(); // nonce → { text, epoch, open, sent, notBefore }: how many sendings are open; is one under way?
  #socket = null;
  #in = false;
  #failures = 0;
  #timers = new Set();
  #oneByOne = false;
  #between = 0; // seconds between two lines
  #nextAt = 0;

  constructor(url, on, open) {
    Object.assign(this, { url, on, open, name: "", wanted: false });
  }

  // --- Calls of the owner ---

  join(name) {
    this.name = name;
    this.wanted = true;
    if (this.#socket?.readyState === WebSocket.OPEN) this.#ask();
    else this.#connect();
  }

  say(text) {
    const nonce = randomUUID();
    this.lines.set(nonce, { text, epoch: null, open: 0, sent: false, alone: false, notBefore: 0 });
    this.#sayAll();
    return nonce;
  }

  leave() {
    this.wanted = false;
    this.#send({ type: "leave" });
    this.#forgetSocket();
    this.token = this.position = this.id = undefined;
    this.lines.clear();
  }

  askMembers() {
    this.#send({ type: "members" });
  }

  hurry() {}

  remember() {
    return { position: this.position };
  }

  get pending() {
    return this.lines;
  }

  // --- The connection ---

  #after(ms, act) {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      act();
    }, ms);
    this.#timers.add(timer);
  }

  #forgetSocket() {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    this.#in = false;
    for (const line of this.lines.values()) line.sent = false; // what had no answer stays open
    this.#socket?.removeAllListeners();
    this.#socket?.on("error", () => {});
    this.#socket?.terminate();
    this.#socket = null;
  }

  #connect() {
    this.#forgetSocket();
    if (!this.wanted) return;
    this.on.state("connecting");
    this.#socket = this.open(this.url);
    this.#socket.on("open", () => this.#ask());
    this.#socket.on("message", (data) => this.#take(JSON.parse(data.toString())));
    this.#socket.on("close", (code) => this.#closed(code));
  }

  #ask() {
    const join = { type: "join", name: this.name };
    if (this.token) Object.assign(join, { resume: this.token, since: this.position });
    this.#send(join);
  }

  #send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #closed(code) {
    if (code === 1009) this.#giveUpBiggest();
    this.#forgetSocket();
    if (code === 4409 || (code >= 4500 && code <= 4599)) {
      this.wanted = false;
      this.on.state(code === 4409 ? "elsewhere" : "ended");
      return;
    }
    const most = Math.min(LONGEST_MS, SHORTEST_MS * 2 ** this.#failures++);
    this.on.state("waiting");
    this.#after(code === 4429 ? WAIT_4429_MS : Math.random() * most, () => this.#connect());
  }

  /** Sends a `ping` every `seconds`. If nothing arrives for twice as long, the connection is lost. */
  #watch(seconds) {
    const received = this.received;
    this.#send({ type: "ping" });
    this.#after(seconds * 2000, () => (this.received === received ? this.#closed(1006) : this.#watch(seconds)));
  }

  // --- Received messages ---

  #take(message) {
    this.received = (this.received ?? 0) + 1;
    switch (message.type) {
      case "welcome":
        return this.#welcomed(message);
      case "message":
      case "presence":
        this.position.seq = Math.max(this.position.seq, message.seq);
        this.on[message.type](message);
        if (message.type === "message" && message.from.id === this.id) this.#accepted(message);
        return undefined;
      case "gap":
        this.position = { epoch: message.epoch, seq: message.seq };
        return this.on.gap(message);
      case "epoch":
        this.position.epoch = message.epoch;
        return this.on.epoch(message);
      case "ack":
        return this.#accepted(message);
      case "error":
        return this.#in ? this.#lineRefused(message) : this.#joinRefused(message);
      case "reconnect":
        return this.#after(message.after, () => this.#connect());
      case "members":
        return this.on.members(message);
      default:
        return undefined;
    }
  }

  #welcomed(message) {
    const stranger = this.id !== undefined && this.id !== message.me.id;
    const follows = message.recovered || (!stranger && this.position?.epoch === message.epoch);
    this.position = { epoch: message.epoch, seq: follows && this.position ? this.position.seq : message.seq };
    this.id = message.me.id;
    this.token = message.resume;
    this.limits = message.limits;
    this.#in = true;
    this.#after(GOOD_MS, () => (this.#failures = 0));
    this.#watch(message.ping);
    this.on.state("joined");
    this.on.welcome(message);
    for (const [nonce, line] of this.lines) if (stranger && line.open > 0) this.#giveUp(nonce, "new_id");
    this.#sayAll();
  }

  #joinRefused(error) {
    if (error.retry_after) return this.#closed(1013);
    this.wanted = false;
    return this.on.refused(error);
  }

  // --- The lines ---

  #sayAll() {
    if (!this.#in || this.#socket.readyState !== WebSocket.OPEN || Date.now() < this.#nextAt) return;
    for (const [nonce, line] of this.lines) {
      const underWay = [...this.lines.values()].some((other) => other.sent);
      if (this.#oneByOne && underWay) return;
      if (!line.sent && Date.now() >= line.notBefore) this.#sayOne(nonce, line);
    }
  }

  #sayOne(nonce, line) {
    if (this.limits.text > 0 && [...line.text].length > this.limits.text) return this.#giveUp(nonce, "too_long");
    if (line.open === 0) line.epoch = this.position.epoch; // never accepted: a new one
    line.open++;
    line.sent = true;
    line.alone = this.#oneByOne;
    return this.#send({ type: "say", text: line.text, nonce, epoch: line.epoch });
  }

  #accepted({ nonce, seq }) {
    if (!this.lines.delete(nonce)) return;
    this.on.acked(nonce, seq);
    if (this.lines.size === 0) {
      this.#oneByOne = false;
      this.#between = 0;
    }
    this.#nextAt = Date.now() + this.#between * 1000;
    if (this.#between > 0) this.#after(this.#between * 1000 + 1, () => this.#sayAll());
    else this.#sayAll();
  }

  #lineRefused({ nonce, code, accepted, retry_after: seconds }) {
    const line = this.lines.get(nonce);
    if (!line) return;
    line.sent = false;
    if (accepted === false) line.open--;
    if (code === "too_fast" && line.alone) this.#between = Math.max(this.#between, seconds);
    if (code === "too_fast") this.#oneByOne = true;
    const asNew = code === "epoch_changed" && line.open === 0;
    if (!seconds && !asNew) this.#giveUp(nonce, code);
    else {
      line.notBefore = Date.now() + (seconds ?? 1) * 1000;
      this.#after((seconds ?? 1) * 1000 + 1, () => this.#sayAll());
    }
  }

  #giveUp(nonce, code) {
    const unsure = this.lines.get(nonce).open > 0;
    this.lines.delete(nonce);
    this.on.failed(nonce, { code }, unsure);
  }

  #giveUpBiggest() {
    const sent = [...this.lines].filter(([, line]) => line.sent).sort(([, a], [, b]) => Buffer.byteLength(JSON.stringify(b.text)) - Buffer.byteLength(JSON.stringify(a.text)));
    if (sent.length === 0) return;
    sent[0][1].open--;
    this.#giveUp(sent[0][0], "too_long");
  }
}
