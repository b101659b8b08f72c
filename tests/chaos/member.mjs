// A member that talks, loses its connection, reconnects, and records everything it sees. It uses the
// page's client (templates/client.js) without the page, so that the test covers the real client; or
// another client with the same interface.
import WebSocket from "ws";
import { Client } from "../../templates/client.js";

const SAY_EVERY_MS = [600, 1800];

export class ChaosMember {
  record = []; // { t, what, ... }: everything seen, in order
  said = new Map(); // nonce → { text, t }
  stalls = []; // when its path or its reading was stopped: [from, to]
  failed = new Map(); // nonce → code
  toldUnsent = new Set(); // nonces of lines that were given up as surely not shown
  people = new Map(); // id → name
  doubtful = false; // a presence line named fewer people than it counted
  reconnects = 0;
  me = null;
  socket = null;
  #client;
  #number;
  #seed;
  #sayTimer;
  #quiet = false;
  #pinger;

  /** `connect` makes a socket from a URL and options, for a test that goes another way or counts what becomes of it. */
  constructor({ url, seed, number, random, sayEvery = SAY_EVERY_MS, Kind = Client, connect = (where, options) => new WebSocket(where, options) }) {
    this.connect = connect;
    this.sayEvery = sayEvery;
    this.#number = number;
    this.#seed = seed;
    this.random = random;
    this.address = `127.0.1.${number + 1}`;
    this.#client = new Kind(url, this.#handlers(), (where) => this.#open(where));
  }

  get name() {
    return `m${this.#number}`;
  }

  get joined() {
    return this.state === "joined";
  }

  /** The lines that are neither acknowledged nor dropped. */
  get pending() {
    return this.#client.pending.size;
  }

  start() {
    this.#note("start");
    this.#client.join(this.name);
    this.#pinger = setInterval(() => this.#client.hurry(), 1000); // a pong shows that the gateway is alive
    this.#planSay();
  }

  /** Stops talking. */
  quiet() {
    this.#quiet = true;
    clearTimeout(this.#sayTimer);
  }

  stop() {
    this.quiet();
    clearInterval(this.#pinger);
    this.socket?.terminate();
    this.#client.leave();
  }

  /** Leaves and joins again as a new member. */
  wander(ms) {
    if (!this.joined) return;
    this.#note("leave", { id: this.me.id });
    this.#client.leave();
    this.state = "away";
    this.people.clear();
    setTimeout(() => {
      this.#note("start");
      this.#client.join(this.name);
    }, ms);
  }

  say(text) {
    const nonce = this.#client.say(text);
    this.said.set(nonce, { text, t: Date.now() });
  }

  askMembers() {
    this.#client.askMembers();
  }

  #open(where) {
    const perMessageDeflate = this.#number % 2 === 0 && { threshold: 0 }; // half of them compress what they send, and get it compressed
    const socket = this.connect(where, { localAddress: this.address, perMessageDeflate, handshakeTimeout: 5000 });
    socket.on("error", () => {});
    this.socket = socket;
    this.reconnects++;
    return socket;
  }

  #planSay() {
    this.#sayTimer = setTimeout(() => {
      if (this.joined || this.random.next() < 0.2) this.say(`${this.#seed}/${this.#number}/${this.said.size}`);
      if (!this.#quiet) this.#planSay();
    }, this.random.between(...this.sayEvery));
  }

  #note(what, more = {}) {
    this.record.push({ t: Date.now(), what, ...more });
  }

  #noteEpoch(what, more) {
    this.#note(what, { epoch: this.#client.remember().position?.epoch, ...more });
  }

  #handlers() {
    return {
      state: (state) => {
        if (this.state !== state && this.state === "joined") this.#note("lost");
        this.state = state;
        if (state !== "elsewhere" && state !== "ended") return;
        this.#note("ended", { state });
        setTimeout(() => this.#client.join(this.name), 1000);
      },
      welcome: ({ me, epoch, seq, recovered, missed, members, count }) => {
        this.me = me;
        this.people = new Map(members.map((person) => [person.id, person.name]));
        this.doubtful = this.people.size !== count;
        this.#note("welcome", { id: me.id, epoch, seq, recovered, missed, here: [...this.people.keys()], count });
      },
      message: ({ seq, from, nonce, text }) => this.#noteEpoch("message", { seq, from: from.id, nonce, text }),
      presence: ({ seq, joined, left, count }) => {
        for (const { id } of left) this.people.delete(id);
        for (const { id, name } of joined) this.people.set(id, name);
        this.doubtful ||= this.people.size !== count;
        this.#noteEpoch("presence", { seq, joined: joined.map(({ id }) => id), left: left.map(({ id }) => id), count });
      },
      members: ({ members, count }) => {
        this.people = new Map(members.map((person) => [person.id, person.name]));
        this.doubtful = this.people.size !== count;
        this.listed = true;
      },
      epoch: ({ epoch, seq }) => this.#note("epoch", { epoch, seq }),
      gap: ({ missed, epoch, seq }) => this.#note("gap", { missed, epoch, seq }),
      acked: (nonce, seq) => this.#noteEpoch("ack", { nonce, seq }),
      failed: (nonce, { code }, unsure) => {
        this.failed.set(nonce, code);
        if (!unsure) this.toldUnsent.add(nonce);
      },
      refused: ({ code }) => {
        this.#note("refused", { code });
        setTimeout(() => this.#client.join(this.name), 1000);
      },
      notice: () => {},
      typing: () => {},
    };
  }
}
