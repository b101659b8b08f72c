// Members of a room, some of whom talk all the time as docs/protocol.md tells clients to, and what became of their lines.
import assert from "node:assert/strict";
import { atEnd } from "./endings.mjs";
import { joined } from "./member.mjs";
import { pause, until } from "./until.mjs";

/** Says one line after the other, each `pauseMs` after the answer to the one before. */
class Talker {
  /** Every line: { text, nonce, epoch, open: a sending of it may have been accepted, answered, acknowledged }. */
  lines = [];
  /** The codes of all errors but those after which a line was said anew. */
  refusals = [];
  #epoch;
  #stopped = false;

  constructor(t, member, name, pauseMs) {
    Object.assign(this, { member, name, pauseMs });
    this.#epoch = member.welcome.epoch;
    member.socket.on("message", (data) => this.#take(JSON.parse(data.toString())));
    atEnd(t, () => this.stop());
    this.#sayNext();
  }

  stop() {
    this.#stopped = true;
  }

  get current() {
    return this.lines.at(-1);
  }

  #sayNext() {
    if (this.#stopped) return;
    const text = `${this.name} ${this.lines.length}`;
    this.lines.push({ text, nonce: text, open: false, answered: false, acknowledged: false });
    this.#say(this.current);
  }

  #say(line) {
    if (!line.open) line.epoch = this.#epoch;
    if (!this.member.closed) this.member.send({ type: "say", text: line.text, nonce: line.nonce, epoch: line.epoch });
  }

  #take(message) {
    const line = this.current;
    if (message.type === "gap" || message.type === "epoch") this.#epoch = message.epoch;
    else if (line === undefined || message.nonce !== line.nonce || line.answered) return;
    else if (message.type === "ack") this.#end(line, true);
    else if (message.type === "error") this.#takeRefusal(line, message);
  }

  #end(line, acknowledged) {
    Object.assign(line, { acknowledged, answered: true });
    pause(this.pauseMs).then(() => this.#sayNext());
  }

  #takeRefusal(line, { code, accepted, retry_after }) {
    if (accepted !== false) line.open = true;
    if (code === "epoch_changed" && !line.open) return this.#sayAnew(line);
    this.refusals.push(code);
    if (code === "epoch_changed") return this.#end(line, false); // nobody knows whether it was shown
    assert.notEqual(retry_after, undefined, code);
    pause(retry_after * 1000).then(() => this.#say(line));
  }

  /** It was never accepted: clients say it as a new line as soon as they have heard of the epoch, and nobody notices. */
  async #sayAnew(line) {
    await until("the epoch", () => this.member.closed || this.#epoch !== line.epoch);
    line.nonce += "'";
    this.#say(line);
  }
}

class Talk {
  constructor(members, talkers, more) {
    Object.assign(this, { members, talkers, more });
  }

  /** The codes of all errors but those after which a line was said anew. */
  get refusals() {
    return this.talkers.flatMap(({ refusals }) => refusals);
  }

  get #lines() {
    return this.talkers.flatMap(({ lines }) => lines);
  }

  /** Waits until everybody who talks has been acknowledged `more` lines that were begun after this call. */
  async goesOn() {
    const from = new Map(this.talkers.map((talker) => [talker, talker.lines.length]));
    const goesOn = (talker) => talker.lines.slice(from.get(talker)).filter(({ acknowledged }) => acknowledged).length >= this.more;
    const silent = () => this.talkers.filter((talker) => !goesOn(talker)).map(({ name, current, refusals, member }) => `${name}: ${JSON.stringify(current)}, refused ${refusals.slice(-3)}, closed ${JSON.stringify(member.closed)}`);
    await until(() => `everybody goes on; not ${silent().slice(0, 5).join("; ")}`, () => this.talkers.every(goesOn));
  }

  /** Ends it. What must hold whatever has happened to Redis: no connection has ended, nothing was shown twice, the lines of each sayer came in
   *  order, and who has not seen an acknowledged line has got a gap. Returns the lines that were `lost` to somebody, and those of which nobody
   *  knows (`unknown`), as texts. */
  async end() {
    for (const talker of this.talkers) talker.stop();
    const ended = () => this.members.filter(({ closed }) => closed).map(({ closed }) => closed);
    await until("the last lines are answered", () => ended().length > 0 || this.talkers.every(({ current }) => current.answered));
    assert.deepEqual(ended(), [], "no connection ends");
    await Promise.all(this.members.map((member) => member.settled()));
    const last = this.talkers.map(({ lines }) => lines.findLast(({ acknowledged }) => acknowledged).text);
    await until("the last lines are shown", () => ended().length > 0 || this.members.every((member) => last.every((text) => member.texts().includes(text))));
    assert.deepEqual(ended(), [], "no connection ends");
    return { lost: this.#lost(), unknown: this.#lines.filter(({ acknowledged }) => !acknowledged).map(({ text }) => text) };
  }

  #lost() {
    const places = new Map(this.talkers.flatMap(({ name, lines }) => lines.map(({ text }, number) => [text, { name, number }])));
    const acknowledged = this.#lines.filter((line) => line.acknowledged).map(({ text }) => text);
    const lost = new Set();
    for (const member of this.members) {
      const shown = new Set();
      const doubled = member.texts().filter((text) => shown.has(text) || !shown.add(text));
      assert.deepEqual(doubled, [], "nothing is shown twice");
      for (const { name } of this.talkers) {
        const numbers = [...shown].map((text) => places.get(text)).filter((place) => place.name === name).map(({ number }) => number);
        assert.deepEqual(numbers, [...numbers].sort((a, b) => a - b), `the lines of ${name} are in order`);
      }
      const missing = acknowledged.filter((text) => !shown.has(text));
      assert.ok(missing.length === 0 || member.gaps().length > 0, `a gap tells of ${missing.slice(0, 5)}`);
      for (const text of missing) lost.add(text);
    }
    return [...lost];
  }

  /** Ends it. Everybody has seen each line, however often it was refused. */
  async assertWhole() {
    const { lost, unknown } = await this.end();
    assert.deepEqual({ lost, unknown }, { lost: [], unknown: [] }, `not whole; refused: ${this.refusals.join(" ")}`);
  }

  /** Ends it. Nobody has noticed anything: no gap, and no refusal but of lines that clients say anew by themselves. */
  async assertUnnoticed() {
    await this.assertWhole();
    assert.deepEqual(this.refusals, []);
    assert.deepEqual(this.members.flatMap((member) => member.gaps()), []);
  }

  /** Ends it. Not even another epoch has begun. */
  async assertUndisturbed() {
    await this.assertUnnoticed();
    assert.deepEqual(this.members.flatMap(({ received }) => received.filter(({ type }) => type === "epoch")), []);
  }
}

/** `count` members join the room of these gateways by turns; the first `talkers` of them talk when all are in. When it returns, everybody has been
 *  acknowledged some lines (`more`, as `goesOn`). */
export async function startTalk(t, urls, { count = 12, talkers = 4, pauseMs = 0, more = 20 } = {}) {
  const names = Array.from({ length: count }, (_, i) => `talker-${i}`);
  const members = await Promise.all(names.map((name, i) => joined(t, urls[i % urls.length], name)));
  const talk = new Talk(members, names.slice(0, talkers).map((name, i) => new Talker(t, members[i], name, pauseMs)), more);
  await talk.goesOn();
  return talk;
}
