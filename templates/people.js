// Who is here: their crests, the list, the street above the box, and who is writing.
import { t } from "./texts.js";

const MOST_LISTED = 200;
const SEARCH_FROM = 20;
const STREET_STEP_PX = 28;
const DRAW_MS = 500; // the list of a room that people run through is drawn so often
const WRITING_MS = 4000;
const GONE_MS = 400; // as long as the animation

const alphabet = new Intl.Collator();

export const $ = (id) => document.getElementById(id);

export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

/** Back to where one goes on: to the box, but where that would open a phone's keyboard. */
export const focusBack = () => $(matchMedia("(pointer: fine)").matches ? "text" : "log").focus();

// --- Crests (紋): a small figure for a person; its shape from the id, its hue from the address' mark ---

const SVG = "http://www.w3.org/2000/svg";
const TAU = 2 * Math.PI;
// Half of a petal that points up: the ends and handles of its curves, from the middle outwards. The other half is its mirror.
const PETALS = [
  [[0, 0], [4, -2], [4, -6], [0, -9]],
  [[0, 0], [1, -3], [2, -6], [3, -8], [2, -9], [1, -9], [0, -9]],
  [[0, -2], [5, -2], [5, -9], [0, -9]],
  [[1.5, -2], [1.5, -4], [1.5, -7], [2, -9], [1, -9], [0.5, -9], [0, -9]],
  [[0, -1], [3, -3], [6, -8], [0, -10]],
];

function hash(word) {
  let h = 2166136261;
  for (const letter of word) h = Math.imul(h ^ letter.codePointAt(0), 16777619);
  return (h ^ (h >>> 15)) >>> 0;
}

const circle = (r) => `M${-r} 0a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0Z`;

/** One petal, turned; a curve of each half. */
function petal(points, angle) {
  const [sin, cos] = [Math.sin(angle), Math.cos(angle)];
  const turned = ([x, y], side) => `${(x * side * cos - y * sin).toFixed(1)} ${(x * side * sin + y * cos).toFixed(1)}`;
  const half = (list, side) => list.slice(1).map((point) => turned(point, side)).join(" ");
  return `M${turned(points[0], 1)}C${half(points, 1)}L${turned(points.at(-1), -1)}C${half([...points].reverse(), -1)}Z`;
}

/** The whole figure is one path, so that a thousand lines have no thousand petals. */
function shapeOf(id) {
  const h = hash(id);
  const count = 3 + (h % 6);
  const points = PETALS[(h >>> 4) % PETALS.length];
  const petals = Array.from({ length: count }, (_, i) => petal(points, (TAU / count) * i));
  const ring = (h >>> 9) & 1 ? [circle(11.5), circle(10)] : [];
  const eye = (h >>> 11) & 1 ? [circle(2.2)] : [];
  return [...ring, ...petals, ...eye].join("");
}

export function crest(person) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "-12 -12 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", `crest h${hash(person.mark ?? person.address ?? person.id) % 12}`);
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", shapeOf(person.id));
  svg.append(path);
  return svg;
}

// --- Everybody ---

export class People {
  #people = new Map(); // id → person, with `since` and `spoke` (ms) of our own
  #me = null;
  #ignored; #onPerson;
  #writing = new Map(); // id → timer
  #street = new Map(); // id → crest in the street
  #items = new Map(); // id → { node in the list, looks }
  #timer = 0; #drawnAt = 0;
  count = 0;

  /** `ignores(person)`: is this one not to be seen? `onPerson(person)`: somebody in the list was chosen. */
  constructor({ ignores, onPerson }) {
    this.#ignored = ignores;
    this.#onPerson = onPerson;
    $("search").addEventListener("input", () => this.draw());
    new ResizeObserver(() => this.#drawStreet()).observe($("street"));
  }

  get(id) {
    return this.#people.get(id);
  }

  named(start) {
    const wanted = start.toLowerCase();
    return this.#inOrder().filter(({ id, name }) => id !== this.#me?.id && name.toLowerCase().startsWith(wanted)).filter((person) => !this.#ignored(person));
  }

  set(members, count, me) {
    if (me) this.#me = me;
    const before = this.#people;
    this.#people = new Map();
    for (const person of this.#me ? [this.#me, ...members] : members) this.#add(person, before.get(person.id));
    this.count = count;
    this.#soon();
  }

  #add(person, known = this.#people.get(person.id)) {
    this.#people.set(person.id, { since: Date.now(), spoke: 0, ...known, ...person });
  }

  /** Applies a presence; returns who is really new and who really left, as seen from here, and how many. */
  apply({ joined, left, came = joined.length, went = left.length, count }) {
    const gone = left.filter(({ id }) => id !== this.#me?.id && this.#people.delete(id));
    const come = joined.filter(({ id }) => id !== this.#me?.id && !this.#people.has(id));
    for (const person of joined) this.#add(person);
    for (const person of gone) this.#stopWriting(person.id);
    const rise = count - this.count; // people whom the welcome counted may be told again after it
    this.count = count;
    this.#soon();
    went += gone.length - left.length;
    return { come, gone, came: Math.max(come.length, Math.min(come.length + came - joined.length, rise + went)), went };
  }

  spoke(person) {
    this.#stopWriting(person.id);
    const known = this.#people.get(person.id);
    if (!known) return;
    known.spoke = Date.now();
    this.#soon();
  }

  /** Does the list name other people than the count says? Then it should be asked for. */
  get isDoubtful() {
    const named = this.#people.size;
    return named > this.count || (this.count <= MOST_LISTED && named < this.count);
  }

  // --- Who is writing ---

  writes(person) {
    if (person.id === this.#me?.id || this.#ignored(person)) return;
    clearTimeout(this.#writing.get(person.id));
    this.#writing.set(person.id, setTimeout(() => this.#stopWriting(person.id), WRITING_MS));
    this.#drawWriting();
  }

  #stopWriting(id) {
    clearTimeout(this.#writing.get(id));
    if (this.#writing.delete(id)) this.#drawWriting();
  }

  #drawWriting() {
    const names = [...this.#writing.keys()].map((id) => this.#people.get(id)?.name).filter(Boolean);
    $("writing").textContent = names.length ? t.writing(names) : "";
    for (const [id, node] of this.#street) node.classList.toggle("writes", this.#writing.has(id));
  }

  // --- Drawing ---

  /** Now, or a moment after it was drawn before. */
  #soon() {
    if (this.#timer) return;
    const wait = Math.max(0, this.#drawnAt + DRAW_MS - Date.now());
    this.#timer = setTimeout(() => this.draw(), wait);
  }

  /** Me, then who spoke last, then by name. */
  #inOrder() {
    const first = (person) => (person.id === this.#me?.id ? 1 : 0);
    return [...this.#people.values()].sort((a, b) => first(b) - first(a) || b.spoke - a.spoke || alphabet.compare(a.name, b.name));
  }

  draw() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#drawnAt = Date.now();
    const wanted = $("search").value.trim().toLowerCase();
    const all = this.#inOrder();
    const found = wanted ? all.filter(({ name }) => name.toLowerCase().includes(wanted)) : all;
    const listed = found.slice(0, this.count > MOST_LISTED && !wanted ? SEARCH_FROM : MOST_LISTED);
    this.#place(listed.map((person) => this.#itemOf(person)));
    const unlisted = this.count - (wanted ? all : listed).length; // the search knows no others either
    $("members-more").textContent = unlisted > 0 ? t.elsewhere(unlisted) : "";
    $("search").hidden = this.count < SEARCH_FROM && !wanted;
    for (const node of document.querySelectorAll(".count")) node.textContent = this.count.toLocaleString();
    $("people-button").setAttribute("aria-label", t.here(this.count));
    $("stack").replaceChildren(...all.filter((person) => !this.#ignored(person)).slice(0, 3).map(crest));
    this.#drawStreet(all);
  }

  /** Whoever stays where it is keeps its node: a click or the focus is not lost when somebody else speaks. */
  #place(items) {
    let at = $("members").firstChild;
    for (const item of items)
      if (item === at) at = at.nextSibling;
      else $("members").insertBefore(item, at);
    while (at) {
      const next = at.nextSibling;
      at.remove();
      at = next;
    }
    for (const id of this.#items.keys()) if (!this.#people.has(id)) this.#items.delete(id);
  }

  #itemOf(person) {
    const looks = [person.name, person.address, person.mark, this.#ignored(person)].join();
    const known = this.#items.get(person.id);
    if (known?.looks === looks) return known.node;
    const node = this.#item(person);
    this.#items.set(person.id, { looks, node });
    return node;
  }

  #item(person) {
    const mine = person.id === this.#me?.id;
    const button = element("button", { type: "button", className: "person" }, crest(person), element("bdi", { textContent: person.name }), element("small", { textContent: mine ? t.you : (person.address ?? "") }));
    button.addEventListener("click", () => this.#onPerson(person, button));
    return element("li", { className: this.#ignored(person) ? "ignored" : "" }, button);
  }

  /** Crests walk in from the right and fade out to the left; those who stay keep their nodes. */
  #drawStreet(all = this.#inOrder()) {
    const room = Math.floor($("street").clientWidth / 2 / STREET_STEP_PX);
    const people = all.filter((person) => !this.#ignored(person));
    const shown = people.slice(0, Math.max(1, room));
    const ids = new Set(shown.map(({ id }) => id));
    for (const [id, node] of this.#street) {
      if (ids.has(id)) continue;
      this.#street.delete(id);
      node.classList.add("gone");
      setTimeout(() => node.remove(), GONE_MS);
    }
    for (const person of shown) {
      if (!this.#street.has(person.id)) this.#street.set(person.id, crest(person));
      const node = this.#street.get(person.id);
      if (!node.isConnected) $("crests").append(node);
    }
    $("passing").textContent = this.count > shown.length ? `+${(this.count - shown.length).toLocaleString()}` : "";
    this.#drawWriting();
  }
}
