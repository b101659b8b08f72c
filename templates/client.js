// The conversation with the server, without any DOM: joins, comes back by itself after a loss, repeats
// what was not acknowledged. A repeated line carries its first nonce, so it never shows twice. What can never
// be taken is given up, and whoever said it is told. docs/protocol.md has the rules for clients that it keeps.

const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 20000;
const SETTLED_MS = 10000; // who is thrown out sooner was let in in vain: the delays go on growing
const PENALTY_MS = 30000; // after 4429: the server has counted too much, again and again, and forgets it meanwhile
const MOST_FLYING = 8; // lines without an answer at a time: fewer than a server takes at once
const SILENCE_MS = 40000; // longer than the server's ping
const CHECK_MS = 20000;
const OPEN = 1; // WebSocket.OPEN

const sizeOf = (message) => new TextEncoder().encode(JSON.stringify(message)).length;

export class Client {
  #url; #on; #open; #socket = null; #timer = 0; #checker = 0; #settling = 0;
  #attempts = 0; #heard = 0; #wanted = false; #joined = false; #penalized = false;
  #name = ""; #resume = null; #position = null; #id = null; #limits = null;
  #over = null; // why nobody comes back by itself: "left" or "ended"
  // nonce → { text, epoch, unanswered, flying, alone }: the epoch in which it was first said; how many sendings of it
  // have no answer, so that one of them may have been accepted; is one of them under way on this connection, and
  // was it sent when one flies at a time?
  #outbox = new Map();
  // After `too_fast` one line flies at a time; when that is too fast as well, so many seconds are between two.
  #most = MOST_FLYING; #pause = 0; #interval = 0;

  /** `on` has the handlers: welcome, message, presence, members, notice, gap, typing, acked, failed,
   *  refused, state. `failed` gets the nonce, the error (a code of the server's, or `too_long`, `new_id`,
   *  `ended`, `left`) and whether the line may have been shown. `open` makes a WebSocket: tests bring their own. */
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
    this.#over = null;
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
    this.#outbox.set(nonce, { text, epoch: undefined, unanswered: 0, flying: false, alone: false });
    if (this.#over) this.#fail(nonce, { code: this.#over });
    this.#flush();
    return nonce;
  }

  /** What the server takes: { text: characters, message: bytes }, 0 where it has no limit; null when not known. */
  get limits() {
    return this.#limits;
  }

  /** Is this text more than the server takes? */
  isTooLong(text) {
    if (!this.#limits) return false;
    const { text: characters, message: bytes } = this.#limits;
    if (characters > 0 && [...text].length > characters) return true;
    return bytes > 0 && sizeOf(this.#sayOf("x".repeat(64), { text, epoch: "x".repeat(24) })) > bytes;
  }

  typing() {
    if (this.#joined) this.#send({ type: "typing" });
  }

  askMembers() {
    if (this.#joined) this.#send({ type: "members" });
  }

  leave() {
    clearTimeout(this.#timer);
    if (this.#joined) this.#send({ type: "leave" });
    this.#drop(1000);
    this.#resume = this.#position = this.#id = null;
    this.#end("left");
  }

  /** The network or the page is back: do not wait for the timer. */
  hurry() {
    if (!this.#wanted) return;
    if (!this.#socket && !this.#penalized) this.#connect();
    else if (this.#joined) this.#check();
  }

  get pending() {
    return this.#outbox;
  }

  #connect() {
    clearTimeout(this.#timer);
    if (!this.#wanted) return;
    this.#drop(1000);
    this.#penalized = false;
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
    clearTimeout(this.#settling);
    this.#goOn();
    for (const line of this.#outbox.values()) line.flying = false;
    const socket = this.#socket;
    this.#socket = null;
    this.#joined = false;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close(code);
  }

  #lost(code) {
    const tooBig = code === 1009;
    const isJoin = tooBig && !this.#joined; // nothing else was sent
    if (tooBig) this.#giveUpTheBiggest();
    this.#drop(1000);
    if (!this.#wanted) return;
    if (isJoin) {
      this.#refused({ code: "bad_name" });
    } else if (code === 4409) {
      this.#wanted = false;
      this.#on.state("elsewhere");
    } else if (code >= 4500 && code <= 4599) {
      this.#end("ended");
      this.#on.state("ended");
    } else if (code === 4429) {
      this.#penalized = true;
      this.#retry("penalty", PENALTY_MS, PENALTY_MS);
    } else {
      this.#retry("waiting", 0, Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** this.#attempts++));
    }
  }

  /** Nothing is said from here on, until somebody joins. */
  #end(why) {
    this.#wanted = false;
    this.#over = why;
    for (const nonce of this.#outbox.keys()) this.#fail(nonce, { code: why });
  }

  /** Something was too big for the server, or for what stands before it. The biggest of what has no answer is
   *  at least as big: it can never be taken, while the others may be. */
  #giveUpTheBiggest() {
    const size = ([nonce, line]) => sizeOf(this.#sayOf(nonce, line));
    const flying = [...this.#outbox].filter(([, line]) => line.flying);
    if (flying.length === 0) return;
    const [nonce, line] = flying.reduce((biggest, other) => (size(other) > size(biggest) ? other : biggest));
    line.unanswered--;
    this.#fail(nonce, { code: "too_long" });
  }

  /** Full jitter: a whole room that lost its gateway does not come back in one instant. */
  #retry(state, least, spread) {
    const delay = least + Math.random() * spread;
    this.#on.state(state, delay);
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

  #sayOf(nonce, { text, epoch }) {
    return { type: "say", text, nonce, epoch };
  }

  /** A line that was never accepted is a new one, in the epoch of now. */
  #sendSay(nonce, line) {
    if (line.unanswered++ === 0) line.epoch = this.#position?.epoch;
    line.flying = true;
    line.alone = this.#most === 1;
    this.#send(this.#sayOf(nonce, line));
  }

  /** Sends what waits, in order, as long as not too much is under way. */
  #flush() {
    if (!this.#joined || this.#pause || this.#socket.readyState !== OPEN) return;
    let flying = [...this.#outbox.values()].filter((line) => line.flying).length;
    for (const [nonce, line] of this.#outbox) {
      if (line.flying) continue;
      if (flying >= this.#most) return;
      if (this.isTooLong(line.text)) {
        this.#fail(nonce, { code: "too_long" });
      } else {
        this.#sendSay(nonce, line);
        flying++;
      }
    }
    if (flying > 0) return;
    this.#most = MOST_FLYING;
    this.#interval = 0;
  }

  /** Nothing is said for so long. */
  #rest(seconds) {
    clearTimeout(this.#pause);
    this.#pause = setTimeout(() => {
      this.#goOn();
      this.#flush();
    }, seconds * 1000);
  }

  #goOn() {
    clearTimeout(this.#pause);
    this.#pause = 0;
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
    this.#settling = setTimeout(() => (this.#attempts = 0), SETTLED_MS);
    this.#limits = message.limits ?? null;
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
    // Under a new id the server knows no nonces of the old one: repeating could show a line twice.
    for (const [nonce, line] of this.#outbox) if (stranger && line.unanswered > 0) this.#fail(nonce, { code: "new_id" });
    this.#flush();
  }

  #acked({ nonce, seq }) {
    if (!this.#outbox.delete(nonce)) return;
    this.#on.acked(nonce, seq);
    if (this.#interval > 0 && this.#outbox.size > 0) this.#rest(this.#interval);
    else this.#flush();
  }

  /** The handler is called later: who says something gets its nonce first. */
  #fail(nonce, error) {
    const unsure = this.#outbox.get(nonce).unanswered > 0;
    this.#outbox.delete(nonce);
    queueMicrotask(() => this.#on.failed(nonce, error, unsure));
  }

  #error(error) {
    const line = this.#outbox.get(error.nonce);
    if (!this.#joined) this.#refused(error);
    else if (line) this.#answered(line, error);
  }

  #refused(error) {
    if (["unavailable", "too_fast"].includes(error.code)) {
      this.#lost(1013);
      return;
    }
    this.#wanted = error.code === "already_joined";
    this.#on.refused(error);
  }

  /** A line was refused. Only `unavailable` may leave open whether it was accepted. */
  #answered(line, error) {
    line.flying = false;
    if (error.accepted === false || error.code !== "unavailable") line.unanswered--;
    const isNew = error.code === "epoch_changed" && line.unanswered === 0;
    const again = isNew || (error.code !== "epoch_changed" && error.retry_after > 0);
    if (error.code === "too_fast") this.#slowDown(line, error.retry_after);
    if (again) this.#rest(error.retry_after ?? 1);
    else this.#fail(error.nonce, error);
    this.#flush();
  }

  /** Lines that flew together are refused together: only the refusal of one that flew alone says how far apart. */
  #slowDown({ alone }, seconds = 0) {
    if (alone) this.#interval = Math.max(this.#interval, seconds);
    this.#most = 1;
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
