// People who talk through a balancer with the page's client, and a count of what they saw.
import assert from "node:assert/strict";
import WebSocket from "ws";
import { Client } from "../../../templates/client.js";
import { atEnd, pause, until } from "../../lib/harness.mjs";

const BETWEEN_MS = 210; // more often is above the gateway's rate, and the client holds lines back
const UNDER_WAY = 10;

class Talker {
  seen = new Map(); // text → how often
  acked = [];
  failed = [];
  gaps = [];
  left = [];
  refused = []; // why a connection was not opened
  connections = 0;
  state = "";
  #stopped = false;

  constructor(t, url, name, options) {
    this.name = name;
    const saw = ({ text }) => this.seen.set(text, (this.seen.get(text) ?? 0) + 1);
    const nothing = () => {};
    const handlers = {
      state: (state) => (this.state = state),
      welcome: nothing, members: nothing, notice: nothing, typing: nothing, epoch: nothing,
      message: saw,
      presence: ({ left }) => this.left.push(...left.map((person) => person.name)),
      gap: (gap) => this.gaps.push(gap),
      acked: (nonce) => this.acked.push(this.said.get(nonce)),
      failed: (nonce, { code }) => this.failed.push(code),
      refused: ({ code }) => this.refused.push(code),
    };
    this.said = new Map(); // nonce → text
    this.client = new Client(url, handlers, (where) => {
      const socket = new WebSocket(where, { perMessageDeflate: false, ...options });
      let open = false;
      socket.on("open", () => (open = true) && this.connections++);
      socket.on("error", (error) => open || this.#stopped || this.refused.push(error.message));
      this.socket = socket;
      return socket;
    });
    atEnd(t, () => this.end());
    this.client.join(name);
  }

  async talk() {
    while (!this.#stopped) {
      const text = `${this.name} ${this.said.size}`;
      if (this.said.size - this.acked.length < UNDER_WAY) this.said.set(this.client.say(text), text);
      await pause(BETWEEN_MS);
    }
  }

  stop() {
    this.#stopped = true;
  }

  end() {
    this.stop();
    this.client.leave();
    this.socket.terminate();
  }
}

/** Lets people join and talk: { people, settle }. `settle` ends the conversation, waits until everything that was said is seen, and fails if
 *  anything was lost, doubled or refused, or if anybody was announced as left. */
export async function talkTogether(t, urls, options = {}) {
  const people = urls.map((url, i) => new Talker(t, url, `person-${i}`, options));
  await until(() => `all are in: ${people.map(({ state, refused }) => `${state} ${refused}`)}`, () => people.every(({ state }) => state === "joined"));
  const talks = people.map((person) => person.talk());
  const hear = (more) => {
    const before = people.map(({ seen }) => seen.size);
    return until(`everybody hears ${more} more`, () => people.every(({ seen }, i) => seen.size >= before[i] + more));
  };
  const settle = async () => {
    for (const person of people) person.stop();
    await Promise.all(talks);
    const all = people.flatMap(({ said }) => [...said.values()]);
    const missing = () => people.map(({ name, seen, state, refused }) => `${name} (${state}, ${refused}) misses ${all.filter((text) => !seen.has(text)).length} of ${all.length}`);
    await until(missing, () => people.every(({ seen, acked, said }) => all.every((text) => seen.has(text)) && acked.length === said.size));
    for (const { name, seen, failed, gaps, left, refused } of people) {
      const doubled = [...seen].filter(([, times]) => times > 1);
      assert.deepEqual({ name, doubled, failed, gaps, left, refused }, { name, doubled: [], failed: [], gaps: [], left: [], refused: [] });
    }
    return all.length;
  };
  await hear(people.length);
  return { people, hear, settle };
}
