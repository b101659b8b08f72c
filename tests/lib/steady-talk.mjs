// Members who talk without a pause, and what must hold of it afterwards: each line is shown to everybody once, in order.
import assert from "node:assert/strict";
import { atEnd } from "./endings.mjs";
import { joined } from "./member.mjs";
import { pause, until } from "./until.mjs";

/** Says one line after the other as each is acknowledged, as clients do: a line that is refused is repeated under its nonce. */
class Talker {
  acknowledged = [];
  refusals = [];
  #count = 0;
  #stopped = false;

  constructor(t, member, name) {
    Object.assign(this, { member, name });
    this.#next();
    member.socket.on("message", (data) => this.#take(JSON.parse(data.toString())));
    atEnd(t, () => (this.#stopped = true));
  }

  #next() {
    if (this.#stopped) return;
    this.line = `${this.name}-${this.#count++}`;
    this.epoch = this.member.received.findLast((m) => m.epoch)?.epoch;
    this.#send();
  }

  #send() {
    this.member.send({ type: "say", text: this.line, nonce: this.line, epoch: this.epoch });
  }

  #take(message) {
    if (message.nonce !== this.line) return;
    if (message.type === "ack") {
      this.acknowledged.push(this.line);
      this.line = undefined;
      this.#next();
    } else if (message.type === "error") {
      this.refusals.push(message.code);
      if (message.code === "epoch_changed") this.epoch = this.member.received.findLast((m) => m.epoch)?.epoch;
      pause((message.retry_after ?? 0.05) * 1000).then(() => this.#send());
    }
  }

  stop() {
    this.#stopped = true;
  }
}

export class Talk {
  constructor(members, talkers) {
    Object.assign(this, { members, talkers });
  }

  get acknowledged() {
    return this.talkers.flatMap(({ acknowledged }) => acknowledged);
  }

  get refusals() {
    return this.talkers.flatMap(({ refusals }) => refusals);
  }

  /** Waits until each has said `count` more lines. */
  async goesOn(count = 20) {
    const from = this.talkers.map(({ acknowledged }) => acknowledged.length);
    await until(() => `everybody says ${count} lines: ${this.talkers.map(({ acknowledged }, i) => acknowledged.length - from[i])}, refused ${this.refusals}`, () => this.talkers.every(({ acknowledged }, i) => acknowledged.length - from[i] >= count));
  }

  async end() {
    for (const talker of this.talkers) talker.stop();
    await until("the last lines are answered", () => this.talkers.every(({ line }) => line === undefined));
  }

  /** Ends it. Everybody has seen each acknowledged line once, those of each sayer in order. */
  async assertWhole() {
    await this.end();
    const all = this.acknowledged.sort();
    for (const member of this.members) {
      await until(() => `everything is shown: ${member.texts().length} of ${all.length}, ${JSON.stringify(member.gaps())}, ${JSON.stringify(member.closed)}`, () => member.texts().length >= all.length);
      assert.deepEqual(member.texts().sort(), all);
      assert.equal(member.closed, null);
      for (const { name } of this.talkers) {
        const numbers = member.texts().filter((text) => text.startsWith(`${name}-`)).map((text) => Number(text.slice(name.length + 1)));
        assert.deepEqual(numbers, numbers.map((_, i) => i), `the lines of ${name} are in order`);
      }
    }
  }

  /** As if nothing had happened: no gap, no other epoch, no refusal. */
  async assertUndisturbed() {
    await this.assertWhole();
    assert.deepEqual(this.refusals, []);
    for (const member of this.members) assert.deepEqual(member.received.filter(({ type }) => type === "gap" || type === "epoch"), []);
  }
}

/** `count` members join the room of these gateways in turn; the first `talkers` of them talk. */
export async function startTalk(t, urls, { count = 12, talkers = 4 } = {}) {
  const names = Array.from({ length: count }, (_, i) => `m${i}`);
  const members = await Promise.all(names.map((name, i) => joined(t, urls[i % urls.length], name)));
  const talk = new Talk(members, names.slice(0, talkers).map((name, i) => new Talker(t, members[i], name)));
  await talk.goesOn(5);
  return talk;
}
