// A clock that a test advances, and sockets whose other end it plays. For behaviour of a client after 30 s and more.
import { atEnd } from "./harness.mjs";

/** Replaces the timers and Date.now until the test ends. */
export class FakeClock {
  #now = 0;
  #timers = new Map(); // id → { at, act, every }
  #last = 0;

  constructor(t) {
    const names = ["setTimeout", "clearTimeout", "setInterval", "clearInterval"];
    const real = Object.fromEntries(names.map((name) => [name, globalThis[name]]));
    const realNow = Date.now;
    globalThis.setTimeout = (act, ms = 0) => this.#add(act, ms);
    globalThis.setInterval = (act, ms) => this.#add(act, ms, ms);
    globalThis.clearTimeout = globalThis.clearInterval = (id) => this.#timers.delete(id);
    Date.now = () => this.#now;
    atEnd(t, () => {
      Object.assign(globalThis, real);
      Date.now = realNow;
    });
  }

  get now() {
    return this.#now;
  }

  #add(act, ms, every) {
    this.#timers.set(++this.#last, { at: this.#now + ms, act, every });
    return this.#last;
  }

  /** Advances the clock by `ms`, and runs the due timers in order. */
  async pass(ms) {
    const end = this.#now + ms;
    for (;;) {
      await Promise.resolve();
      const due = [...this.#timers].filter(([, timer]) => timer.at <= end).sort(([, a], [, b]) => a.at - b.at)[0];
      if (!due) break;
      const [id, timer] = due;
      this.#now = timer.at;
      if (timer.every) timer.at += timer.every;
      else this.#timers.delete(id);
      timer.act();
    }
    this.#now = end;
  }
}

/** A browser's WebSocket; the test provides what it receives. */
export class FakeSocket {
  readyState = 1;
  sent = [];

  send(text) {
    this.sent.push(JSON.parse(text));
  }

  close() {
    this.readyState = 3;
  }

  receive(message) {
    this.onmessage?.({ data: JSON.stringify(message) });
  }

  welcome(more = {}) {
    this.onopen?.();
    this.receive({ type: "welcome", v: 1, epoch: "e1", seq: 1, me: { id: "me" }, resume: "token", members: [], count: 1, recovered: false, missed: 0, ping: 25, limits: { text: 2000, message: 32768 }, ...more });
  }

  end(code) {
    this.readyState = 3;
    this.onclose?.({ code });
  }

  says() {
    return this.sent.filter(({ type }) => type === "say");
  }
}
