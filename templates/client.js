// The conversation with the server, without any DOM: joins, comes back by itself after a loss, repeats
// what was not acknowledged. A repeated line carries its first nonce, so it never shows twice.

const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 20000;
const SILENCE_MS = 40000; // longer than the server's ping
const CHECK_MS = 20000;
const OPEN = 1; // WebSocket.OPEN

export class Client {
  #url; #on; #open; #socket = null; #timer = 0; #checker = 0;
  #attempts = 0; #heard = 0; #wanted = false; #joined = false;
  #name = ""; #resume = null; #position = null; #id = null;
  #outbox = new Map(); // nonce → { text, epoch, tries }; the epoch in which it was first said

  /** `on` has the handlers: welcome, message, presence, members, notice, gap, typing, acked, failed,
   *  refused, state. `open` makes a WebSocket: tests bring their own. */
  constructor(url, on, open = (where) => new WebSocket(where)) {
    this.#url = url;
    this.#on = on;
    this.#open = open;
  }

  /** Joins under this name; `memory` is what remember() gave before a reload. */
  join(name, memory = null) {
    this.#name = name;
    if (memory) ({ resume: this.#resume, position: this.#position } = memory);
    this.#wanted = true;
    this.#attempts = 0;
    if (this.#joined || this.#socket?.readyState === OPEN) this.#sendJoin();
    else this.#connect();
  }

  /** What lets this member come back after a reload of the page. */
  remember() {
    return { name: this.#name, resume: this.#resume, position: this.#position };
  }

  /** Says it, now or as soon as it can be said. Returns the nonce under which it is reported. */
  say(text) {
    const nonce = globalThis.crypto?.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;
    this.#outbox.set(nonce, { text, epoch: null, tries: 0 });
    if (this.#joined) this.#sendSay(nonce);
    return nonce;
  }

  typing() {
    if (this.#joined) this.#send({ type: "typing" });
  }

  askMembers() {
    if (this.#joined) this.#send({ type: "members" });
  }

  leave() {
    this.#wanted = false;
    clearTimeout(this.#timer);
    if (this.#joined) this.#send({ type: "leave" });
    this.#drop(1000);
    this.#resume = this.#position = this.#id = null;
    this.#outbox.clear();
  }

  /** The network or the page is back: do not wait for the timer. */
  hurry() {
    if (!this.#wanted) return;
    if (!this.#socket) this.#connect();
    else if (this.#joined) this.#check();
  }

  get pending() {
    return this.#outbox;
  }

  #connect() {
    clearTimeout(this.#timer);
    if (!this.#wanted) return;
    this.#drop(1000);
    this.#on.state("connecting");
    const socket = this.#open(this.#url);
    this.#socket = socket;
    this.#heard = Date.now();
    socket.onopen = () => this.#sendJoin();
    socket.onmessage = (event) => {
      this.#heard = Date.now();
      let message;
      try {
        message = JSON.parse(event.data);
      } catch {
        return;
      }
      this.#take(message);
    };
    socket.onclose = (event) => this.#lost(event.code);
    clearInterval(this.#checker);
    this.#checker = setInterval(() => this.#check(), CHECK_MS);
  }

  /** Closes the socket without hearing from it again. */
  #drop(code) {
    clearInterval(this.#checker);
    const socket = this.#socket;
    this.#socket = null;
    this.#joined = false;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close(code);
  }

  #lost(code) {
    this.#drop(1000);
    if (!this.#wanted) return;
    if (code === 4409 || (code >= 4500 && code <= 4599)) {
      this.#wanted = false;
      this.#on.state(code === 4409 ? "elsewhere" : "ended");
      return;
    }
    this.#retry();
  }

  /** Full jitter: a whole room that lost its gateway does not come back in one instant. */
  #retry() {
    const most = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** this.#attempts++);
    const delay = Math.random() * most;
    this.#on.state("waiting", delay);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#connect(), delay);
  }

  /** A connection that says nothing may be dead without knowing. */
  #check() {
    if (Date.now() - this.#heard > SILENCE_MS) this.#lost(1006);
    else this.#send({ type: "ping" });
  }

  #send(message) {
    if (this.#socket?.readyState === OPEN) this.#socket.send(JSON.stringify(message));
  }

  #sendJoin() {
    const join = { type: "join", name: this.#name };
    if (this.#resume) join.resume = this.#resume;
    if (this.#resume && this.#position) join.since = this.#position;
    this.#send(join);
  }

  #sendSay(nonce) {
    const line = this.#outbox.get(nonce);
    if (line.tries++ === 0) line.epoch = this.#position?.epoch;
    this.#send({ type: "say", text: line.text, nonce, epoch: line.epoch });
  }

  #take(message) {
    switch (message.type) {
      case "welcome":
        this.#welcome(message);
        break;
      case "message":
      case "presence":
        if (this.#position && message.seq > this.#position.seq) this.#position.seq = message.seq;
        this.#on[message.type](message);
        if (message.from?.id === this.#id) this.#acked(message); // it came back: it was accepted
        break;
      case "ack":
        this.#acked(message);
        break;
      case "error":
        this.#error(message);
        break;
      case "reconnect":
        this.#move(message.after);
        break;
      case "gap":
        if (message.epoch) this.#position = { epoch: message.epoch, seq: message.seq };
        this.#on.gap(message);
        break;
      case "epoch": // numbers go on in another epoch, and nothing was missed
        if (this.#position) this.#position.epoch = message.epoch;
        this.#on.epoch?.(message);
        break;
      case "members":
      case "notice":
      case "typing":
        this.#on[message.type](message);
        break;
    }
  }

  #welcome(message) {
    this.#joined = true;
    this.#attempts = 0;
    this.#resume = message.resume;
    const stranger = this.#id !== null && this.#id !== message.me.id;
    // While missed events are replayed (all of them, or those that are still kept) the position moves
    // with them, so that a loss in the midst of the replay loses nothing. They may go on in another
    // epoch.
    const replaying = !stranger && this.#position && (message.recovered || this.#position.epoch === message.epoch);
    this.#position = { epoch: message.epoch, seq: replaying ? this.#position.seq : message.seq };
    this.#id = message.me.id;
    this.#on.state("joined");
    this.#on.welcome(message);
    for (const [nonce, line] of this.#outbox) {
      // Under a new id the server knows no nonces of before: repeating could show the line twice.
      if (stranger && line.tries > 0) this.#fail(nonce, { code: "unavailable" });
      else this.#sendSay(nonce);
    }
  }

  #acked({ nonce, seq }) {
    if (this.#outbox.delete(nonce)) this.#on.acked(nonce, seq);
  }

  #fail(nonce, error) {
    this.#outbox.delete(nonce);
    this.#on.failed(nonce, error);
  }

  #error(error) {
    if (!this.#joined) {
      if (error.code === "unavailable") this.#lost(1013);
      else {
        this.#wanted = error.code === "already_joined";
        this.#on.refused(error);
      }
      return;
    }
    const line = this.#outbox.get(error.nonce);
    if (!line) return;
    if (error.accepted === false || error.code === "too_fast") line.tries--; // it was no try
    const unsure = error.code === "epoch_changed" && line.tries > 0;
    if (!unsure && ["unavailable", "too_fast", "epoch_changed"].includes(error.code)) {
      const again = () => this.#joined && this.#outbox.has(error.nonce) && this.#sendSay(error.nonce);
      setTimeout(again, (error.retry_after ?? 1) * 1000);
      return;
    }
    this.#fail(error.nonce, error);
  }

  /** This gateway is going away: come back through the balancer when it says so. */
  #move(after) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (!this.#wanted) return;
      this.#on.state("moving");
      this.#connect();
    }, after);
  }
}
