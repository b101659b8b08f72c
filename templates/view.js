// What is seen. Everything that people wrote becomes a text node; nothing is ever parsed as HTML.
import { t, language } from "./texts.js";

const MOST_LINES = 1000;
const NAMES_IN_A_LINE = 5;
const AT_END_PX = 60;

export const $ = (id) => document.getElementById(id);

export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

export function translatePage() {
  document.documentElement.lang = language;
  for (const node of document.querySelectorAll("[data-text]")) node.textContent = t[node.dataset.text];
  $("text").placeholder = t.placeholder;
  $("text").setAttribute("aria-label", t.placeholder);
  document.title = t.title;
}

/** Text with its http(s) addresses as links: text nodes and anchors only. */
export function linkify(text) {
  const nodes = [];
  let end = 0;
  for (const match of text.matchAll(/https?:\/\/[^\s<>"'「」『』（）、。]+/g)) {
    const address = match[0].replace(/[.,;:!?)\]]+$/, "");
    let url;
    try {
      url = new URL(address);
    } catch {
      continue;
    }
    nodes.push(text.slice(end, match.index));
    nodes.push(element("a", { href: url.href, target: "_blank", rel: "noopener noreferrer nofollow", textContent: address }));
    end = match.index + address.length;
  }
  nodes.push(text.slice(end));
  return nodes;
}

/** The conversation. */
export class Log {
  #list = $("log");
  #pending = new Map(); // nonce → line
  #follows = true; // who reads the end sees it also when something takes room from the log

  constructor() {
    this.#list.addEventListener("scroll", () => {
      this.#follows = this.#isAtEnd();
      if (this.#follows) $("to-end").hidden = true;
    });
    new ResizeObserver(() => this.#follows && this.toEnd()).observe(this.#list);
    $("to-end").addEventListener("click", () => this.toEnd());
  }

  toEnd() {
    this.#list.scrollTop = this.#list.scrollHeight;
    $("to-end").hidden = true;
  }

  clear() {
    this.#list.replaceChildren();
    this.#pending.clear();
  }

  line(kind, ...content) {
    this.#add(element("li", { className: `line ${kind}` }, ...content));
  }

  /** A line of one's own that is not acknowledged yet. */
  pending(nonce, from, text) {
    const line = this.#message({ from, text, at: Date.now() }, true);
    line.classList.add("pending");
    this.#pending.set(nonce, line);
    this.#add(line);
    this.toEnd();
  }

  acked(nonce) {
    this.#pending.get(nonce)?.classList.remove("pending");
  }

  failed(nonce, why, unsure) {
    const line = this.#pending.get(nonce);
    if (!line) return;
    this.#pending.delete(nonce);
    line.classList.replace("pending", "failed");
    line.append(element("span", { className: "error", textContent: ` ${unsure ? t.perhapsNotSent : t.notSent}: ${why}` }));
    if (this.#follows) this.toEnd();
  }

  /** A message; one's own pending line moves to where it belongs in everybody's order. */
  message(message, mine) {
    const pending = mine && message.nonce ? this.#pending.get(message.nonce) : null;
    this.#pending.delete(message.nonce);
    pending?.remove();
    this.#add(this.#message(message, mine));
  }

  #message(message, mine) {
    const at = new Date(message.at);
    const who = element("span", { className: "who" }, element("bdi", { textContent: message.from.name }));
    if (message.from.address) who.append(" ", element("span", { className: "where", textContent: message.from.address }));
    return element(
      "li",
      { className: `message${mine ? " mine" : ""}` },
      who,
      element("span", { className: "text" }, ...linkify(message.text)),
      element("time", { dateTime: at.toISOString(), textContent: at.toLocaleTimeString(language, { hour: "2-digit", minute: "2-digit" }) }),
    );
  }

  #isAtEnd() {
    return this.#list.scrollHeight - this.#list.scrollTop - this.#list.clientHeight < AT_END_PX;
  }

  #add(line) {
    const follow = this.#isAtEnd();
    this.#list.append(line);
    while (this.#list.childElementCount > MOST_LINES) this.#list.firstElementChild.remove();
    if (follow) this.toEnd();
    else $("to-end").hidden = false;
  }
}

/** Who is here. */
export class People {
  #people = new Map(); // id → person
  #me = null;
  count = 0;

  set(members, count, me) {
    this.#people = new Map(members.map((person) => [person.id, person]));
    this.count = count;
    if (me) this.#me = me;
    if (this.#me && !this.#people.has(this.#me.id)) this.#people.set(this.#me.id, this.#me);
    this.#draw();
  }

  /** Applies a presence; returns who is really new and who really left, as seen from here. */
  apply({ joined, left, count }) {
    const gone = left.filter((person) => person.id !== this.#me?.id && this.#people.delete(person.id));
    const come = joined.filter((person) => !this.#people.has(person.id) && person.id !== this.#me?.id);
    for (const person of joined) this.#people.set(person.id, person);
    this.count = count;
    this.#draw();
    return { come, gone };
  }

  /** Does the list name other people than the count says? Then it should be asked for. */
  get isDoubtful() {
    const named = this.#people.size;
    return named > this.count || (this.count <= 200 && named < this.count);
  }

  #draw() {
    const shown = [...this.#people.values()].slice(0, 200);
    $("members").replaceChildren(
      ...shown.map((person) =>
        element(
          "li",
          { className: person.id === this.#me?.id ? "me" : "" },
          element("bdi", { textContent: person.name }),
          element("span", { className: "where", textContent: person.address ?? "" }),
        ),
      ),
    );
    $("count").textContent = $("count-short").textContent = String(this.count);
    $("members-more").textContent = this.count > shown.length ? t.more(this.count - shown.length) : "";
  }
}

/** "a, b, c and 7 others" */
export function nameList(people) {
  const names = people.slice(0, NAMES_IN_A_LINE).map((person) => `\u2068${person.name}\u2069`);
  if (people.length > NAMES_IN_A_LINE) names.push(t.others(people.length - NAMES_IN_A_LINE));
  return t.and(names);
}

export function showStatus(text, bad = false) {
  $("status").textContent = text;
  $("status").classList.toggle("bad", bad);
}
