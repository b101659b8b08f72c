// Time that a test moves itself, and sockets whose other end it plays: for what a client does after half a minute.
import { atEnd } from "./harness.mjs";

/** Takes the place of the timers and of Date.now until the test is over. */
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

  /** Lets so much time pass; what is due is done in order. */
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

/** A WebSocket of a browser; the test says what comes. */
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
