// The conversation as it is seen. Everything that people wrote becomes a text node; nothing is ever parsed as HTML.
import { $, crest, element, focusBack } from "./people.js";
import { language, nameList, t, timeOf } from "./texts.js";

const MOST_LINES = 1000;
const MOST_LINES_READ = 3000; // while somebody reads further up, nothing slides away above
const KEPT_LINES = 100; // over a reload of this tab
const AT_END_PX = 24;
const GROUP_MS = 5 * 60000;
const MERGE_MS = 30000; // who comes and goes within it is one line, or none
const FADE_MS = 15000;
const FOLD_ROWS = 12;
const FOLD_LETTERS = 700;
const FRESH_MS = 200; // more often than that, nothing moves
const HIDDEN_MS = 250; // between draws while nobody looks

// --- Text ---

const ADDRESS = /https?:\/\/[^\s<>"'「」『』（）、。]+/g;

/** Without the punctuation of the sentence around it; a bracket stays that was opened within. */
function trimAddress(text) {
  for (;;) {
    const last = text.at(-1);
    const opening = { ")": "(", "]": "[" }[last];
    const isOpen = opening && text.split(opening).length >= text.split(last).length;
    if (isOpen || !/[.,;:!?)\]]/.test(last)) return text;
    text = text.slice(0, -1);
  }
}

/** Where a name of a host is not what it seems, what it is stands behind it. */
function linkTo(address) {
  let url;
  try {
    url = new URL(address);
  } catch {
    return [address];
  }
  if (url.username || url.password) return [address];
  const link = element("a", { href: url.href, target: "_blank", rel: "noopener noreferrer nofollow", textContent: address });
  const host = address.split("/")[2].replace(/:\d*$/, "").toLowerCase();
  return host === url.hostname ? [link] : [link, element("small", { textContent: ` (${url.hostname})` })];
}

/** Text with its http(s) addresses as links: text nodes and anchors only. */
function linkify(text) {
  const nodes = [];
  let end = 0;
  for (const match of text.matchAll(ADDRESS)) {
    const address = trimAddress(match[0]);
    nodes.push(text.slice(end, match.index), ...linkTo(address));
    end = match.index + address.length;
  }
  nodes.push(text.slice(end));
  return nodes.filter((node) => node !== "");
}

/** As it is shown: without what turns letters round, without isolates that have no end, and without heaps of empty lines. */
function tidy(text) {
  const count = (what) => [...text.matchAll(what)].length;
  if (count(/[\u2066-\u2068]/g) !== count(/\u2069/g)) text = text.replace(/[\u2066-\u2069]/g, "");
  return text.replace(/[\u202a-\u202e]/g, "").replace(/\n{4,}/g, "\n\n\n");
}

/** Which language a text is in, as far as its script tells; "" is that of the page. */
function languageOf(text) {
  if (/[\u3040-\u30ff]/.test(text)) return "ja";
  if (/[\uac00-\ud7af]/.test(text)) return "ko";
  if (/[\u4e00-\u9fff]/.test(text)) return language === "ja" ? "ja" : "";
  return /[a-z]{2}/i.test(text) && language !== "en" ? "en" : "";
}

/** The node, to be read by a voice for the text's language. */
export function spoken(node, text) {
  const lang = languageOf(text);
  if (lang) node.lang = lang;
  return node;
}

const textNode = (text) => spoken(element("div", { className: "text", dir: "auto" }, ...linkify(text)), text);

const emoji = (() => {
  try {
    return new RegExp("^(?:\\p{RGI_Emoji}\\s*){1,6}$", "v");
  } catch {
    return /^(?:\p{Extended_Pictographic}\ufe0f?\s*){1,6}$/u;
  }
})();

const isLong = (text) => text.length > FOLD_LETTERS || text.split("\n").length > FOLD_ROWS;

/** Is somebody of this name spoken to? A letter behind it would make it another name. */
export function mentions(text, name) {
  const lower = text.toLowerCase();
  const wanted = `@${name.toLowerCase()}`;
  for (let at = lower.indexOf(wanted); at >= 0; at = lower.indexOf(wanted, at + 1))
    if (!/^[\p{Script=Latin}\p{N}_]/u.test(lower.slice(at + wanted.length)) || !/[\p{Script=Latin}\p{N}_]$/u.test(wanted)) return true;
  return false;
}

// --- Lines ---

/** What stands in the conversation, oldest first. A line is { node, kind, at, … }; kind is message, quiet, notice, gap or mark. */
export class Log {
  life = 30 * 60000; // ms until a line has faded; Infinity: never
  me = null;
  #scroller = $("log");
  #list = $("lines");
  #on; // { ignores(person), onPerson(person, anchor), onUnseen(count, hit), again(text), edit(text) }
  #lines = [];
  #queue = []; // what is to be done at the next frame
  #frame = 0; #timer = 0; #appended = 0;
  #pending = new Map(); // nonce → line
  #follows = true; // who reads the end goes on reading it, whatever takes room from the log
  #top = 0; // where it was scrolled to
  #unseen = 0; #isHit = false; #mark = null;

  constructor(on) {
    this.#on = on;
    this.#scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    const resized = new ResizeObserver(() => this.#follows && this.#scrollToEnd());
    resized.observe(this.#scroller);
    resized.observe(this.#list);
    $("pill").addEventListener("click", () => {
      this.toEnd();
      focusBack();
    });
    this.#list.addEventListener("keydown", (event) => this.#move(event));
    this.#scroller.addEventListener("keydown", (event) => event.target === this.#scroller && this.#move(event));
    document.addEventListener("visibilitychange", () => document.hidden || this.#seen());
    setInterval(() => this.fade(), FADE_MS);
    this.#setFollows(true);
  }

  // --- The end ---

  #isAtEnd() {
    return this.#scroller.scrollHeight - this.#scroller.scrollTop - this.#scroller.clientHeight < AT_END_PX;
  }

  /** Only who scrolls up stops following: what takes room from the log meanwhile does not. */
  #scrolled() {
    const { scrollTop } = this.#scroller;
    if (this.#isAtEnd()) this.#setFollows(true);
    else if (scrollTop < this.#top) this.#setFollows(false);
    this.#top = scrollTop;
  }

  #scrollToEnd() {
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
    this.#top = this.#scroller.scrollTop;
  }

  #setFollows(follows) {
    this.#follows = follows;
    this.#scroller.classList.toggle("follows", follows);
    if (follows) {
      this.#prune();
      if (!document.hidden) this.#seen();
    }
  }

  toEnd() {
    this.#flush();
    this.#setFollows(true);
    this.#scrollToEnd();
  }

  #seen() {
    if (!this.#follows || this.#unseen === 0) return;
    this.#unseen = 0;
    this.#isHit = false;
    this.tellUnseen();
  }

  tellUnseen() {
    $("pill").hidden = this.#follows || this.#unseen === 0;
    $("pill").textContent = t.newLines(this.#unseen, this.#isHit);
    this.#on.onUnseen(this.#unseen, this.#isHit);
  }

  #countUnseen(hit) {
    if (this.#follows && !document.hidden) return;
    if (this.#unseen === 0) this.#markNew();
    this.#unseen++;
    this.#isHit ||= hit;
  }

  /** Where one left off. */
  #markNew() {
    if (this.#mark) this.#remove(this.#mark);
    this.#mark = { kind: "mark", at: Date.now(), node: element("li", { className: "mark", textContent: t.newHere }) };
    this.#append(this.#mark);
  }

  // --- What comes ---

  /** Once a frame, however much comes; now and then while nobody looks. */
  #later(what) {
    this.#queue.push(what);
    if (document.hidden) this.#timer ||= setTimeout(() => this.#flush(), HIDDEN_MS);
    else this.#frame ||= requestAnimationFrame(() => this.#flush());
  }

  #flush() {
    cancelAnimationFrame(this.#frame);
    clearTimeout(this.#timer);
    this.#frame = this.#timer = 0;
    const queue = this.#queue;
    this.#queue = [];
    if (queue.length === 0) return;
    const unseen = this.#unseen;
    for (const what of queue) what();
    this.#prune();
    if (this.#unseen !== unseen) this.tellUnseen();
    $("empty").hidden = !this.isEmpty;
  }

  message(message) {
    this.#later(() => this.#addMessage(message));
  }

  #addMessage(message) {
    const mine = message.from.id === this.me?.id;
    const pending = mine && this.#pending.get(message.nonce);
    this.#pending.delete(message.nonce);
    if (pending) {
      this.#settle(pending, message);
      return;
    }
    const isIgnored = this.#on.ignores(message.from);
    const hit = !mine && !isIgnored && this.me !== null && mentions(message.text, this.me.name);
    if (!mine && !isIgnored) this.#countUnseen(hit);
    this.#append(this.#makeMessage(message, { mine, hit }));
  }

  /** One's own line is in everybody's order now. */
  #settle(line, message) {
    line.node.classList.remove("pending");
    line.at = message.at;
    line.waits = false;
    if (!this.#lines[this.#lines.indexOf(line) - 1]?.waits) return;
    this.#remove(line);
    this.#append(line);
  }

  /** A line of one's own that is not acknowledged. */
  pending(nonce, text) {
    this.#flush();
    if (this.#mark) this.#remove(this.#mark);
    const line = this.#makeMessage({ from: this.me, text, at: Date.now() }, { mine: true });
    line.node.classList.add("pending");
    line.waits = true;
    this.#pending.set(nonce, line);
    this.#append(line);
    this.toEnd();
  }

  acked(nonce) {
    this.#pending.get(nonce)?.node.classList.remove("pending");
  }

  failed(nonce, why, unsure) {
    this.#flush();
    const line = this.#pending.get(nonce);
    if (!line) return;
    this.#pending.delete(nonce);
    line.node.classList.replace("pending", "failed");
    line.waits = false;
    const button = (label, act) => {
      const made = element("button", { type: "button", textContent: label });
      made.addEventListener("click", () => {
        this.#remove(line);
        focusBack();
        act(line.text);
      });
      return made;
    };
    const words = element("span", { textContent: unsure ? t.perhapsNotSent(why) : t.notSent(why) });
    line.node.append(element("div", { className: "why" }, words, button(t.again, this.#on.again), button(t.edit, this.#on.edit)));
  }

  notice(text) {
    const node = element("li", { className: "notice" }, textNode(tidy(text)));
    this.#later(() => this.#append({ kind: "notice", at: Date.now(), text, node }));
  }

  gap(missed) {
    const node = element("li", { className: "gap", textContent: t.gap(missed) });
    this.#later(() => this.#append({ kind: "gap", at: Date.now(), node }));
  }

  /** Who came and went: one line for half a minute in which nothing is said. */
  presence({ come, gone, came, went }) {
    this.#later(() => {
      const last = this.#lines.findLast(({ waits }) => !waits);
      const goesOn = last?.kind === "quiet" && Date.now() - last.at < MERGE_MS;
      const line = goesOn ? last : this.#makeQuiet();
      for (const person of come) if (!line.gone.delete(person.id)) line.come.set(person.id, person.name);
      for (const person of gone) if (!line.come.delete(person.id)) line.gone.set(person.id, person.name);
      line.came += came - come.length;
      line.went += went - gone.length;
      this.#writeQuiet(line, goesOn);
    });
  }

  #makeQuiet() {
    return { kind: "quiet", at: Date.now(), come: new Map(), gone: new Map(), came: 0, went: 0, node: element("li", { className: "quiet" }) };
  }

  #writeQuiet(line, stands) {
    const say = (people, more, words) => (people.size + more > 0 ? words(nameList([...people.values()], people.size + more)) : "");
    const joined = say(line.come, line.came, t.joined);
    const left = say(line.gone, line.went, t.left);
    line.node.textContent = joined && left ? t.both(joined, left) : joined || left;
    if (line.node.textContent === "" && stands) this.#remove(line);
    else if (line.node.textContent !== "" && !stands) this.#append(line);
  }

  // --- A message ---

  #makeMessage({ from, text, at }, { mine = false, hit = false, since = Date.now() } = {}) {
    const shown = tidy(text);
    const node = element("li", { className: `message${mine ? " mine" : ""}${hit ? " hit" : ""}${emoji.test(shown) ? " jumbo" : ""}`, tabIndex: -1 });
    node.dataset.time = timeOf(at);
    node.append(textNode(shown));
    if (isLong(shown)) this.#fold(node);
    return { kind: "message", node, at, since, from, text, mine, hit };
  }

  #fold(node) {
    node.classList.add("folded");
    const button = element("button", { type: "button", className: "fold", textContent: t.more });
    button.setAttribute("aria-expanded", "false");
    button.addEventListener("click", () => {
      const folded = node.classList.toggle("folded");
      button.textContent = folded ? t.more : t.less;
      button.setAttribute("aria-expanded", String(!folded));
    });
    node.append(button);
  }

  /** Crest, name and address stand where the speaker changes. The time and the address are drawn from attributes:
   *  they are read from the card, not with every line. */
  #setHead(line, wanted) {
    const has = line.node.classList.contains("head");
    if (wanted === has) return;
    line.node.classList.toggle("head", wanted);
    if (!wanted) {
      line.node.querySelectorAll(":scope > .crest, :scope > .meta").forEach((node) => node.remove());
      return;
    }
    const who = element("button", { type: "button", className: "who", dir: "auto", textContent: line.from.name, tabIndex: -1 });
    who.addEventListener("click", () => this.#on.onPerson(line.from, who));
    const meta = element("div", { className: "meta" }, who);
    meta.dataset.where = line.mine ? t.you : (line.from.address ?? "");
    meta.dataset.time = line.node.dataset.time;
    line.node.prepend(crest(line.from), meta);
  }

  #goesOn(line, before) {
    return before?.kind === "message" && before.from.id === line.from.id && before.hit === line.hit && line.at - before.at < GROUP_MS;
  }

  // --- The list ---

  /** At the end, but before one's own lines that wait: those come after whatever comes before they do. */
  #append(line) {
    const at = line.waits ? this.#lines.length : this.#lines.findLastIndex(({ waits }) => !waits) + 1;
    if (performance.now() - this.#appended > FRESH_MS) line.node.classList.add("fresh");
    this.#appended = performance.now();
    const next = this.#lines[at];
    this.#lines.splice(at, 0, line);
    this.#list.insertBefore(line.node, next?.node ?? null);
    this.#judgeHead(at);
    this.#judgeHead(at + 1);
    if (line.kind === "message" && this.#on.ignores(line.from)) this.#hide(line, this.#lines[at - 1]);
    $("empty").hidden = true;
  }

  #judgeHead(at) {
    const line = this.#lines[at];
    if (line?.kind === "message") this.#setHead(line, !this.#goesOn(line, this.#lines[at - 1]));
  }

  #remove(line) {
    const at = this.#lines.indexOf(line);
    if (at < 0) return;
    this.#lines.splice(at, 1);
    line.node.remove();
    if (line === this.#mark) this.#mark = null;
    this.#judgeHead(at);
  }

  #prune() {
    const most = this.#follows ? MOST_LINES : MOST_LINES_READ;
    if (this.#lines.length > most) this.#dropFirst(this.#lines.length - most);
  }

  #dropFirst(count) {
    for (const line of this.#lines.splice(0, count)) {
      line.node.remove();
      if (line === this.#mark) this.#mark = null;
      if (line.run) this.#countRun(line.run, line.run.lines.slice(1));
    }
    this.#judgeHead(0);
  }

  clear() {
    this.#flush();
    this.#dropFirst(this.#lines.length);
    this.#pending.clear();
    this.toEnd();
    this.#seen();
  }

  /** The text that one said last. */
  get lastOwn() {
    return this.#lines.findLast(({ kind, mine }) => kind === "message" && mine)?.text ?? "";
  }

  get isEmpty() {
    return this.#lines.length === 0;
  }

  // --- The ignored: a run of their lines is one that says so ---

  #hide(line, before) {
    line.node.hidden = true;
    line.run = before?.run ?? this.#makeRun(line);
    this.#countRun(line.run, [...line.run.lines, line]);
  }

  #makeRun(line) {
    const button = element("button", { type: "button", textContent: t.show });
    const run = { node: element("li", { className: "hidden-run" }, element("span"), " · ", button), lines: [] };
    button.addEventListener("click", () => {
      this.#showRun(run);
      run.lines[0].node.focus();
    });
    line.node.before(run.node);
    return run;
  }

  #countRun(run, lines) {
    run.lines = lines;
    run.node.firstChild.textContent = t.hidden(lines.length);
    if (lines.length === 0) run.node.remove();
  }

  #showRun(run) {
    run.node.remove();
    for (const line of run.lines) {
      line.node.hidden = false;
      line.run = undefined;
    }
  }

  /** Who is ignored has changed. */
  refresh() {
    this.#flush();
    for (const line of this.#lines) if (line.run) this.#showRun(line.run);
    let before = null;
    for (const line of this.#lines) {
      if (line.kind === "message" && this.#on.ignores(line.from)) this.#hide(line, before);
      before = line;
    }
  }

  // --- Fading: by colour, and never what somebody is reading ---

  fade(now = Date.now()) {
    if (this.life === Infinity || !this.#follows || this.#list.contains(document.activeElement)) return;
    let over = 0;
    for (const line of this.#lines) {
      const age = (now - (line.since ?? line.at)) / this.life; // `at` is of another clock
      if (age < 0.5) break;
      line.node.classList.toggle("old1", age <= 0.85);
      line.node.classList.toggle("old2", age > 0.85);
      if (age > 1) over++;
    }
    if (over > 0) this.#dropFirst(over);
    $("empty").hidden = !this.isEmpty;
  }

  /** The fading begins anew, after its span was changed. */
  unfade() {
    for (const { node } of this.#lines) node.classList.remove("old1", "old2");
    this.fade();
  }

  // --- Keys ---

  #move(event) {
    const messages = this.#lines.filter(({ kind, node }) => kind === "message" && !node.hidden);
    const at = messages.findIndex(({ node }) => node === document.activeElement);
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (step) {
      const next = at < 0 ? messages.length - 1 : Math.max(0, Math.min(messages.length - 1, at + step));
      messages[next]?.node.focus();
      event.preventDefault();
    } else if (event.key === "Enter" && at >= 0) {
      this.#on.onPerson(messages[at].from, messages[at].node);
      event.preventDefault();
    }
  }

  // --- Over a reload of this tab ---

  remember() {
    this.#flush();
    return this.#lines.filter(({ kind, node, waits }) => (kind === "message" && !waits && !node.matches(".failed")) || kind === "notice").slice(-KEPT_LINES).map(({ kind, at, since, from, text, mine }) => ({ kind, at, since, from, text, mine }));
  }

  restore(lines) {
    for (const { kind, at, since, from, text, mine } of lines) {
      if (kind === "notice") this.notice(text);
      else this.#later(() => this.#append(this.#makeMessage({ from, text, at }, { mine, since, hit: !mine && mentions(text, this.me?.name ?? "") })));
    }
    this.#flush();
    this.toEnd();
  }
}
