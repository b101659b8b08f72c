// Members who talk all the time, as docs/protocol.md tells clients to, and what became of their lines.
import assert from "node:assert/strict";
import { atEnd } from "./endings.mjs";
import { Member } from "./member.mjs";
import { pause, until } from "./until.mjs";

const BETWEEN_LINES_MS = 400;

class Talker extends Member {
  /** Every line: { text, shown: true | false | undefined, if nobody knows, answered }. */
  lines = [];
  /** The number of lines said anew after another epoch had begun. */
  anew = 0;
  /** The codes of all other errors. */
  refusals = [];
  #stopped = false;
  #epoch;

  begin(name) {
    this.name = name;
    this.#epoch = this.welcome.epoch;
    this.socket.on("message", (data) => this.#take(JSON.parse(data.toString())));
    this.#sayNext();
  }

  stop() {
    this.#stopped = true;
  }

  #take(message) {
    if (message.type === "gap" || message.type === "epoch") this.#epoch = message.epoch;
    const line = message.nonce === undefined ? undefined : this.lines.find(({ nonce }) => nonce === message.nonce);
    if (line === undefined || line.answered) return;
    if (message.type === "ack") this.#end(line, true);
    else if (message.type === "error") this.#refused(line, message);
  }

  #end(line, shown) {
    Object.assign(line, { shown, answered: true });
    pause(BETWEEN_LINES_MS).then(() => this.#sayNext());
  }

  #refused(line, { code, accepted, retry_after }) {
    if (accepted !== false) line.open = true;
    if (code === "epoch_changed" && !line.open) return this.#sayAnew(line);
    this.refusals.push(code);
    if (code === "epoch_changed") return this.#end(line, undefined);
    assert.notEqual(retry_after, undefined, code);
    pause(retry_after * 1000).then(() => this.#say(line));
  }

  /** It was never accepted: clients say it as a new line as soon as they have heard of the epoch, and nobody notices. */
  async #sayAnew(line) {
    this.anew++;
    await until("the epoch", () => this.closed || this.#epoch !== line.epoch);
    line.nonce += "'";
    this.#say(line);
  }

  #sayNext() {
    if (this.#stopped || this.closed) return;
    const text = `${this.name} ${this.lines.length}`;
    const line = { text, nonce: text, open: false, answered: false };
    this.lines.push(line);
    this.#say(line);
  }

  #say(line) {
    if (!line.open) line.epoch = this.#epoch;
    if (!this.closed) this.send({ type: "say", text: line.text, nonce: line.nonce, epoch: line.epoch });
  }

  get current() {
    return this.lines[this.lines.length - 1];
  }
}

class Talk {
  constructor(talkers) {
    this.talkers = talkers;
  }

  /** Waits until everybody has been acknowledged a line that was begun after this call. */
  async goesOn() {
    const from = this.talkers.map(({ lines }) => lines.length);
    const goOn = (talker, i) => talker.closed || talker.lines.slice(from[i]).some(({ shown }) => shown);
    const silent = () => this.talkers.filter((talker, i) => !goOn(talker, i)).map(({ name, current, refusals }) => `${name}: ${JSON.stringify(current)}, refused ${refusals.slice(-3)}`);
    await until(() => `everybody goes on; not ${silent().slice(0, 5).join("; ")}`, () => this.talkers.every(goOn));
  }

  /** Ends it. Returns what was seen: `closed` members, the codes of all `errors` but those after which a line was said
   *  anew, how many had a `gap`, the `lost` lines, which were acknowledged
   *  and not shown to all, those of them that were lost `silently`, and the `doubled` ones. */
  async end() {
    for (const talker of this.talkers) talker.stop();
    await until("the last lines are answered", () => this.talkers.every(({ current, closed }) => closed || current.answered));
    for (const talker of this.talkers) if (!talker.closed) await talker.settled();
    const acknowledged = this.talkers.flatMap(({ lines }) => lines.filter(({ shown }) => shown));
    const last = this.talkers.map(({ lines }) => lines.findLast(({ shown }) => shown)?.text);
    await until("the last lines are shown", () => this.talkers.every((talker) => talker.closed || last.every((text) => talker.texts().includes(text) || talker.gaps().length > 0)));
    const seen = { said: acknowledged.length, closed: 0, errors: {}, gaps: 0, lost: new Set(), silently: new Set(), doubled: new Set() };
    for (const talker of this.talkers) this.#judge(talker, acknowledged, seen);
    return { ...seen, lost: [...seen.lost], silently: [...seen.silently], doubled: [...seen.doubled] };
  }

  #judge(talker, acknowledged, seen) {
    const shown = new Map();
    for (const text of talker.texts()) shown.set(text, (shown.get(text) ?? 0) + 1);
    for (const code of talker.refusals) seen.errors[code] = (seen.errors[code] ?? 0) + 1;
    seen.closed += talker.closed ? 1 : 0;
    seen.gaps += talker.gaps().length > 0 ? 1 : 0;
    for (const [text, times] of shown) if (times > 1) seen.doubled.add(text);
    for (const { text } of acknowledged) {
      if (shown.has(text)) continue;
      seen.lost.add(text);
      if (talker.gaps().length === 0) seen.silently.add(text);
    }
  }
}

/** `count` members, by turns on one of the gateways, who have all joined before the first one begins. */
export async function startTalk(t, gateways, count) {
  const talkers = [];
  for (let i = 0; i < count; i++) talkers.push(await new Talker(t, gateways[i % gateways.length].url).join(`talker-${i}`));
  atEnd(t, () => talkers.forEach((talker) => talker.stop()));
  talkers.forEach((talker, i) => talker.begin(`talker-${i}`));
  return new Talk(talkers);
}
