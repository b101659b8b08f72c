// A model of a room in Redis: what each script must answer, publish and store,
// if all calls are made one after the other. It uses no Redis and no clock; a call contains its time as a number.
const SURELY_MS = 250;
const MOST_FORKS = 8;
const MOST_NAMES = 50;
const CHOICES = 999; // numbers that a suggestion may have

/** Was the present member's join requested certainly later? A time in the future proves nothing. */
const isLate = (own, theirs, now) => own > 0 && own + SURELY_MS < theirs && theirs <= now;

/** People whose names browsers cannot show (not UTF-8, a NUL) are counted but not named. Bytes are latin1. */
export const canBeShown = (text = "") => !text.includes("\0") && Buffer.from(Buffer.from(text, "latin1").toString(), "utf8").latin1Slice() === text;
const those = (people) => people.filter(({ id, name, address, mark = "" }) => [id, name, address, mark].every(canBeShown));

export class RoomModel {
  /** `settings`: retention, mostKept, mostMembers, mostNonces. `history`: the current history of Redis. */
  constructor(settings, history) {
    Object.assign(this, settings);
    this.history = history;
    this.head = null; // {epoch, seq, said, history, forks: [[epoch, seq]]}
    this.kept = []; // {seq, said, event}
    this.listed = new Set(); // folded names
    this.members = new Map(); // folded name → {id, name, address, shown, mark, gateway, session, asked, hash, floor, floorEpoch}
    this.left = new Map(); // id → {hash, floor, floorEpoch} of a token that is good, {asked, session, name} of who had it last
    this.nonces = new Map(); // id → Map of nonce → number
    this.published = []; // what was published since this was emptied: [channel, event]
  }

  #position(newEpoch) {
    if (this.head === null) {
      this.head = { epoch: newEpoch, seq: 0, said: 0, history: this.history, forks: [] };
      this.kept = [];
    } else if (this.head.history !== this.history) {
      this.head.forks = [...this.head.forks, [this.head.epoch, this.head.seq]].slice(-MOST_FORKS);
      this.head.epoch = newEpoch;
      this.head.history = this.history;
      this.published.push([this.base, { type: "epoch", epoch: newEpoch, seq: this.head.seq }]);
    }
    return this.head;
  }

  #number(event, said) {
    const seq = ++this.head.seq;
    this.head.said += said;
    const numbered = { ...event, seq };
    if (this.retention > 0 && this.head.said > 0) this.kept = [...this.kept, { seq, said: this.head.said, event: numbered }].slice(-this.mostKept);
    this.published.push([this.base, numbered]);
    return seq;
  }

  #presence(joined, left, count) {
    return this.#number({ type: "presence", joined: those(joined), left: those(left), count }, 0);
  }

  /** Translates `floor`, a number of `epoch` ("": the current one), to a number of the current epoch. */
  #floorHere(floor, epoch) {
    const { forks, seq } = this.head;
    if (epoch === "" || epoch === this.head.epoch) return Math.min(floor, seq);
    const fork = forks.find(([name]) => name === epoch);
    return fork ? Math.min(floor, fork[1], seq) : 0;
  }

  // --- join ---

  join(newEpoch, { gateway, people, now }) {
    this.#position(newEpoch);
    const call = { gateway, now, coming: [], answers: [] };
    for (const person of people) call.answers.push(this.#judge(call, person));
    this.#letIn(call);
    return call.answers;
  }

  #judge(call, person) {
    const met = ({ folded, shownId }) => folded === person.folded || (shownId !== "" && shownId === person.shownId);
    if (call.coming.some(({ person: earlier }) => met(earlier))) this.#letIn(call);
    const there = this.members.get(person.folded);
    if (there && there.id === person.shownId && there.hash === person.shownHash) return this.#takeOver(call, person, there);
    if (there) return ["taken", this.#suggest(call, person.folded)];
    const count = this.#countWith(call.coming);
    if (this.mostMembers > 0 && !person.restore && count >= this.mostMembers) return ["full"];
    return this.#admit(call, person);
  }

  #admit(call, person) {
    const { epoch, seq } = this.head;
    const before = person.shownId === "" ? {} : (this.left.get(person.shownId) ?? {});
    let [id, hash, floor] = [person.id, person.hash, seq];
    if (person.restore) {
      const other = this.#reinstate(call, person, before);
      if (other) return other;
      [id, hash, floor] = [person.shownId, person.shownHash, this.#floorHere(person.floor, person.floorEpoch)];
    } else if (before.hash !== undefined && before.hash === person.shownHash) {
      [id, hash, floor] = [person.shownId, person.shownHash, this.#floorHere(before.floor, before.floorEpoch)];
    }
    const answer = ["joined", id, seq, floor, epoch];
    call.coming.push({ person, id, hash, floor, answer });
    return answer;
  }

  /** Why a member is not reinstated: another session has the token, or had it later. Null: it may be. */
  #reinstate(call, person, last) {
    const elsewhere = (asked) => person.asked === 0 || isLate(person.asked, asked, call.now);
    const namesake = last.name !== person.folded ? this.members.get(last.name) : undefined;
    if (namesake && namesake.id === person.shownId) return elsewhere(namesake.asked) ? ["moved"] : ["taken", this.#suggest(call, person.folded)];
    return last.asked !== undefined && last.session !== person.session && elsewhere(last.asked) ? ["moved"] : null;
  }

  #countWith(coming) {
    return new Set([...this.listed, ...coming.map(({ person }) => person.folded)]).size;
  }

  #suggest({ coming }, base) {
    const held = (name) => this.members.has(name) || coming.some(({ person }) => person.folded === name);
    // growing steps find a free number, then bisection finds a smaller one
    let [taken, free] = [1, 0];
    const note = (number) => (held(base + number) ? (taken = number) : (free = number));
    for (let step = 1; free === 0 && taken < CHOICES; step *= 2) note(Math.min(taken + step, CHOICES));
    while (free - taken > 1) note(Math.floor((free + taken) / 2));
    return free;
  }

  #letIn(call) {
    if (call.coming.length === 0) return;
    const shown = ({ person, id }) => ({ id, name: person.name, ...(person.shown !== "" && { address: person.shown }), ...(person.mark !== "" && { mark: person.mark }) });
    const seq = this.#presence(call.coming.map(shown), [], this.#countWith(call.coming));
    for (const { person, id, hash, floor, answer } of call.coming) {
      answer[2] = seq;
      const { name, address, shown: others, mark, session, asked, folded } = person;
      this.members.set(folded, { id, name, address, shown: others, mark, gateway: call.gateway, session, asked, hash, floor, floorEpoch: answer[4] });
      this.listed.add(folded);
      if (id === person.shownId) this.left.set(id, { asked, session, name: folded });
    }
    call.coming = [];
  }

  #takeOver({ gateway, now }, person, there) {
    const own = { gateway: there.gateway, session: there.session };
    const same = own.gateway === gateway && own.session === person.session;
    const late = isLate(person.asked, there.asked, now);
    if (late && !person.restore) return ["late"];
    if (person.restore && !same && (late || person.asked === 0)) return ["moved"];
    if (!same) there.asked = person.asked;
    Object.assign(there, { gateway, session: person.session, address: person.address, shown: person.shown, mark: person.mark });
    const incarnation = (session) => /^(.*)-\d+$/.exec(session)?.[1]; // two processes may have had one gateway-id
    if (own.gateway !== gateway || incarnation(own.session) !== incarnation(person.session)) this.published.push([`yukizuri:gateway:${own.gateway}`, { type: "resumed", id: there.id, session: own.session }]);
    return ["resumed", there.id, this.head.seq, this.#floorHere(there.floor, there.floorEpoch), this.head.epoch];
  }

  // --- leave, reap, refresh ---

  leave(newEpoch, { gateway, leaves }) {
    const gone = new Map();
    for (const one of leaves) {
      const there = this.members.get(one.folded);
      const its = there && there.gateway === gateway && there.session === one.session && there.id !== one.spared;
      if (its && !gone.has(one.folded)) gone.set(one.folded, one.said);
    }
    return gone.size === 0 ? 0 : this.#takeOff(newEpoch, gone);
  }

  reap(newEpoch, { gateway, spared, names }) {
    const gone = new Map();
    for (const folded of new Set(names)) {
      const there = this.members.get(folded);
      const living = there && spared !== "" && there.session.startsWith(spared);
      if (there && there.gateway === gateway && !living) gone.set(folded, false);
      else if (!there) this.listed.delete(folded);
    }
    const all = [...gone];
    for (let i = 0; i < all.length; i += MOST_NAMES) this.#takeOff(newEpoch, new Map(all.slice(i, i + MOST_NAMES)));
    return gone.size;
  }

  /** `gone`: folded name → whether the member sent a leave, which ends its token. */
  #takeOff(newEpoch, gone) {
    this.#position(newEpoch);
    const left = [];
    for (const [folded, said] of gone) {
      const { id, name, hash, floor, floorEpoch, asked, session } = this.members.get(folded);
      left.push({ id, name });
      this.members.delete(folded);
      this.listed.delete(folded);
      if (!said && this.retention > 0) this.left.set(id, { hash, floor, floorEpoch, asked, session, name: folded });
    }
    return this.#presence([], left, this.listed.size);
  }

  refresh(_, { records }) {
    const letters = records.map(({ folded, session }) => {
      const there = this.members.get(folded);
      if (there && there.session === session) this.listed.add(folded);
      return !there ? "g" : there.session === session ? "k" : "m";
    });
    return letters.join("");
  }

  ours(_, { gateway }) {
    const own = [...this.listed].map((folded) => [folded, this.members.get(folded)]).filter(([, there]) => there?.gateway === gateway);
    return own.map(([folded, { session, id }]) => [folded, session, id]).sort();
  }

  // --- messages and queries ---

  publish(newEpoch, { says }) {
    return says.map(({ id, body, nonce, epoch }) => {
      const known = this.nonces.get(id) ?? new Map();
      if (nonce !== "" && known.has(nonce)) return known.get(nonce);
      if (epoch !== "" && epoch !== this.#position(newEpoch).epoch) return "OTHEREPOCH";
      this.#position(newEpoch);
      const seq = this.#number({ type: "message", ...JSON.parse(`{${body}`) }, 1);
      if (nonce !== "") this.nonces.set(id, this.#highest(new Map([...known, [nonce, seq]])));
      return seq;
    });
  }

  /** The nonces with the highest numbers. */
  #highest(nonces) {
    const order = ([a, m], [b, n]) => m - n || (a < b ? -1 : 1);
    return new Map([...nonces].sort(order).slice(-this.mostNonces));
  }

  trim(newEpoch, { seq, epoch }) {
    const { epoch: own, seq: last } = this.#position(newEpoch);
    if (epoch !== own || seq > last) return 0;
    const before = this.kept.length;
    this.kept = this.kept.filter((entry) => entry.seq > seq);
    return before - this.kept.length;
  }

  recent(newEpoch, { after, most }) {
    const { epoch, seq, said, forks } = this.#position(newEpoch);
    const events = this.kept.filter((entry) => entry.seq > after).slice(0, most);
    return { epoch, seq, said, forks: forks.map((fork) => fork.join(":")).join(" "), events };
  }

  roster(newEpoch) {
    const { epoch, seq, said } = this.#position(newEpoch);
    for (const folded of this.listed) if (!this.members.has(folded)) this.listed.delete(folded);
    const listed = [...this.listed].map((folded) => this.members.get(folded)).map(({ id, name, shown, mark }) => ({ id, name, address: shown, mark }));
    const people = those(listed).map(({ id, name, address, mark }) => [id, name, address, mark]).sort();
    return { epoch, seq, said, count: this.listed.size, people };
  }
}
