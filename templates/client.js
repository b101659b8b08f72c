// The conversation with the server, without any DOM: joins, comes back by itself after a loss, says lines in
// the order in which they were said, and repeats what was not acknowledged. A repeated line carries its first
// nonce, so it never shows twice. What can never be taken is given up, and whoever said it is told.
// docs/protocol.md has the rules for clients that it keeps.

const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 20000;
const SETTLED_MS = 10000; // who is thrown out sooner was let in in vain: the delays go on growing
const PENALTY_MS = 30000; // after 4429: the server has counted too much, again and again, and forgets it meanwhile
const CONNECT_MS = 10000; // from the first packet to the welcome
const SLOW_MS = 3000; // a line without an answer for so long is told, and the connection is asked
const ANSWER_MS = 5000; // a connection that is asked and says nothing for so long is lost
const PING_S = 25; // until a welcome says another
const OPEN = 1; // WebSocket.OPEN

const sizeOf = (message) => new TextEncoder().encode(JSON.stringify(message)).length;

export class Client {
  #url; #on; #open; #socket = null; #timer = 0; #checker = 0; #settling = 0; #deadline = 0;
  #attempts = 0; #heard = 0; #ping = PING_S; #asking = 0; #slow = false; #wanted = false; #joined = false; #penalized = false;
  #name = ""; #resume = null; #position = null; #id = null; #limits = null;
  #why = null; // the error that told of a ban: the connection is about to end
  #over = null; // why nobody comes back by itself: "left" or "ended"
  // nonce → { text, epoch, unanswered }: the epoch in which it was first said, and how many sendings of it have no
  // answer, so that one of them may have been accepted. In the order in which they were said. One at a time is
  // under way: what is refused for a while holds up those behind it, and none overtakes it.
  #outbox = new Map();
  #flying = null; // its nonce
  #sentAt = 0;
  #pause = 0; // nothing is said until this timer
  #interval = 0; // seconds between two lines, after one was too fast

  /** `on` has the handlers, which get the server's messages as they are: welcome, message, presence, members,
   *  notice, gap, typing, refused (an error before the welcome). And these, of which the last three may be absent:
   *  - state(name, ms, error): connecting, joined, moving, elsewhere, ended; waiting and penalty for so long, and
   *    the server's error that said so, if one did;
   *  - acked(nonce, seq), failed(nonce, error, unsure): what became of a line. The error's code is one of the
   *    server's, or `too_long`, `new_id`, `ended`, `left`; unsure: it may have been shown all the same;
   *  - slow(yes): does a line wait for its answer for seconds?
   *  - held(ms): lines wait for so long, because the server said so;
   *  - epoch(message): numbers go on in another epoch.
   *  `open` makes a WebSocket: tests bring their own. */
  constructor(url, on, open = (where) => new WebSocket(where)) {
    this.#url = url;
    this.#on = on;
    this.#open = open;
  }

  /** Joins under this name; `memory` is what remember() gave before a reload. */
  join(name, memory = null) {
    this.#name = name;
    if (memory) {
      ({ resume: this.#resume, position: this.#position, id: this.#id } = memory);
      this.#outbox = new Map(memory.outbox);
    }
    this.#wanted = true;
    this.#over = null;
    this.#attempts = 0;
    if (this.#joined || this.#socket?.readyState !== OPEN) this.#connect();
    else this.#joinAgain();
  }

  /** What lets this member come back after a reload of the page. */
  remember() {
    return { name: this.#name, resume: this.#resume, position: this.#position, id: this.#id, outbox: [...this.#outbox] };
  }

  /** Says it, now or as soon as it can be said. Returns the nonce under which it is reported. */
  say(text) {
    const nonce = globalThis.crypto?.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;
    this.#outbox.set(nonce, { text, epoch: undefined, unanswered: 0 });
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

  /** Does not come in or back until somebody joins; this member stays for the server's grace. */
  stop() {
    clearTimeout(this.#timer);
    this.#drop(1000);
    this.#wanted = false;
  }

  /** The network or the page is back: do not wait for the timer. */
  hurry() {
    if (!this.#wanted) return;
    if (!this.#socket && !this.#penalized) this.#connect();
    else if (this.#joined) this.#ask();
  }

  /** Is the connection still there? It has some seconds to show it. */
  #ask() {
    if (this.#asking) return;
    const asked = Date.now();
    this.#send({ type: "ping" });
    this.#asking = setTimeout(() => {
      this.#asking = 0;
      if (this.#heard < asked) this.#lost(1006);
    }, ANSWER_MS);
  }

  get pending() {
    return this.#outbox;
  }

  #connect() {
    clearTimeout(this.#timer);
    if (!this.#wanted) return;
    this.#drop(1000);
    this.#penalized = false;
    this.#why = null;
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
    this.#expectWelcome();
  }

  /** On the connection on which another name was refused. */
  #joinAgain(proof) {
    this.#on.state("connecting");
    this.#expectWelcome();
    this.#sendJoin(proof);
  }

  #expectWelcome() {
    clearTimeout(this.#deadline);
    this.#deadline = setTimeout(() => this.#lost(1006), CONNECT_MS);
  }

  /** Closes the socket without hearing from it again. */
  #drop(code) {
    clearInterval(this.#checker);
    clearTimeout(this.#settling);
    clearTimeout(this.#deadline);
    this.#goOn();
    clearTimeout(this.#asking);
    this.#asking = 0;
    this.#flying = null;
    this.#tellSlow(false);
    const socket = this.#socket;
    this.#socket = null;
    this.#joined = false;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close(code);
  }

  /** `least`: ms before the next attempt; `why`: the error that said so. */
  #lost(code, least = 0, why = null) {
    const tooBig = code === 1009;
    const isJoin = tooBig && !this.#joined; // nothing else was sent
    if (tooBig) this.#giveUpTheFlying();
    this.#drop(1000);
    if (!this.#wanted) return;
    if (isJoin) {
      this.#refused({ code: "bad_name" });
    } else if (code === 4409) {
      this.#wanted = false;
      this.#on.state("elsewhere");
    } else if (code >= 4500 && code <= 4599) {
      this.#end("ended");
      this.#on.state("ended", 0, this.#why);
    } else if (code === 4429) {
      this.#penalized = true;
      this.#retry("penalty", PENALTY_MS, PENALTY_MS);
    } else {
      this.#retry("waiting", least, Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** this.#attempts++), why);
    }
  }

  /** Nothing is said from here on, until somebody joins. */
  #end(why) {
    this.#wanted = false;
    this.#over = why;
    for (const nonce of this.#outbox.keys()) this.#fail(nonce, { code: why });
  }

  /** It was too big for the server, or for what stands before it: it can never be taken. */
  #giveUpTheFlying() {
    const line = this.#outbox.get(this.#flying);
    if (!line) return;
    line.unanswered--;
    this.#fail(this.#flying, { code: "too_long" });
  }

  /** Full jitter: a whole room that lost its gateway does not come back in one instant. */
  #retry(state, least, spread, why = null) {
    const delay = least + Math.random() * spread;
    this.#on.state(state, delay, why);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#connect(), delay);
  }

  /** A connection that says nothing may be dead without knowing. */
  #check() {
    if (Date.now() - this.#heard > 2 * this.#ping * 1000) this.#lost(1006);
    else this.#send({ type: "ping" });
  }

  #send(message) {
    if (this.#socket?.readyState === OPEN) this.#socket.send(JSON.stringify(message));
  }

  #sendJoin(proof) {
    const join = { type: "join", name: this.#name, ...proof };
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
    this.#flying = nonce;
    this.#sentAt = Date.now();
    setTimeout(() => this.#judgeSay(nonce), SLOW_MS);
    this.#send(this.#sayOf(nonce, line));
  }

  /** Is this line still without an answer? */
  #judgeSay(nonce) {
    if (this.#flying !== nonce || Date.now() - this.#sentAt < SLOW_MS) return;
    this.#tellSlow(true);
    this.#ask();
  }

  #tellSlow(slow) {
    if (this.#slow === slow) return;
    this.#slow = slow;
    this.#on.slow?.(slow);
  }

  /** Sends the first line that waits, if none is under way. */
  #flush() {
    if (!this.#joined || this.#pause || this.#flying || this.#socket.readyState !== OPEN) return;
    for (const [nonce, line] of this.#outbox) {
      if (!this.isTooLong(line.text)) {
        this.#sendSay(nonce, line);
        return;
      }
      this.#fail(nonce, { code: "too_long" });
    }
    this.#interval = 0;
  }

  /** Nothing is said for so long. */
  #rest(seconds, isHeld) {
    clearTimeout(this.#pause);
    if (isHeld) this.#on.held?.(seconds * 1000);
    this.#pause = setTimeout(() => {
      this.#goOn();
      this.#flush();
    }, seconds * 1000);
  }

  #goOn() {
    if (!this.#pause) return;
    clearTimeout(this.#pause);
    this.#pause = 0;
    this.#on.held?.(0);
  }

  #take(message) {
    switch (message.type) {
      case "welcome":
        this.#welcome(message);
        break;
      case "message":
        if (this.#moves(message)) this.#on.message(message);
        if (message.from.id === this.#id) this.#acked(message); // it came back: it was accepted
        break;
      case "presence":
        this.#moves(message); // applied by id, it may come twice
        this.#on.presence(message);
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

  /** Is this event after the position? Then it is the position. */
  #moves({ seq }) {
    if (!this.#position || seq <= this.#position.seq) return false;
    this.#position.seq = seq;
    return true;
  }

  #welcome(message) {
    this.#joined = true;
    clearTimeout(this.#deadline);
    this.#settling = setTimeout(() => (this.#attempts = 0), SETTLED_MS);
    this.#limits = message.limits ?? null;
    this.#ping = message.ping ?? PING_S;
    clearInterval(this.#checker);
    this.#checker = setInterval(() => this.#check(), this.#ping * 1000);
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
    this.#landed(nonce);
    this.#on.acked(nonce, seq);
    if (this.#interval > 0 && this.#outbox.size > 0) this.#rest(this.#interval, true);
    else this.#flush();
  }

  /** The handler is called later: who says something gets its nonce first. */
  #fail(nonce, error) {
    const unsure = this.#outbox.get(nonce).unanswered > 0;
    this.#outbox.delete(nonce);
    this.#landed(nonce);
    queueMicrotask(() => this.#on.failed(nonce, error, unsure));
  }

  #error(error) {
    const line = this.#outbox.get(error.nonce);
    if (!this.#joined) this.#refused(error);
    else if (line) this.#answered(line, error);
    else if (error.code === "banned") this.#why = error;
  }

  /** Many come, and newcomers do a proof of work. */
  async #work(error) {
    const socket = this.#socket;
    clearTimeout(this.#deadline);
    this.#on.state("connecting", 0, error);
    const proof = await (await import("./work.js")).solve(error);
    if (this.#socket === socket) this.#joinAgain(proof);
  }

  #refused(error) {
    if (error.challenge) {
      this.#work(error).catch(() => this.#lost(1006));
      return;
    }
    if (error.retry_after > 0) {
      this.#lost(1013, error.retry_after * 1000, error);
      return;
    }
    this.#wanted = error.code === "already_joined";
    this.#on.refused(error);
  }

  /** It is no longer under way. */
  #landed(nonce, slow = false) {
    if (this.#flying !== nonce) return;
    this.#flying = null;
    this.#tellSlow(slow);
  }

  /** A line was refused. Only `unavailable` may leave open whether it was accepted. */
  #answered(line, error) {
    if (error.accepted === false || error.code !== "unavailable") line.unanswered--;
    const isNew = error.code === "epoch_changed" && line.unanswered === 0;
    const again = isNew || (error.code !== "epoch_changed" && error.retry_after > 0);
    this.#landed(error.nonce, again && error.code === "unavailable");
    const paced = error.code === "too_fast" || error.code === "slow";
    if (paced) this.#interval = Math.max(this.#interval, error.retry_after ?? 0);
    if (again) this.#rest(error.retry_after ?? 1, paced);
    else this.#fail(error.nonce, error);
    this.#flush();
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
