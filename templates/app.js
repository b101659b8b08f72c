// The page: glues the conversation with the server (client.js) to what is seen (log.js, people.js).
import { Box, isComposing } from "./box.js";
import { Client } from "./client.js";
import { Log, mentions, spoken } from "./log.js";
import { $, element, focusBack, People } from "./people.js";
import { errorText, language, t } from "./texts.js";

const ASK_AFTER_MS = 1000;
const CONNECTING_SHOWN_MS = 1000;
const MOVING_SHOWN_MS = 2000;
const HELD_SHOWN_MS = 1000;
const QUIET_FROM = 50; // in a room of so many the street tells who comes and goes
const BURST = 5; // lines in BURST_MS that are announced one by one
const BURST_MS = 10000;
const SUMMARY_MS = 15000;

$("broken").remove(); // this script runs

const room = decodeURIComponent(location.pathname.match(/^\/r\/([^/]+)/)?.[1] ?? "");
const scheme = location.protocol === "https:" ? "wss:" : "ws:";
const url = `${scheme}//${location.host}/room${room ? `/${encodeURIComponent(room)}` : ""}`;

// --- What survives a reload of this tab, and no longer ---

// Where site data is blocked, each access to the storage throws: the page does without.
const store = {
  get(key) {
    try {
      return JSON.parse(sessionStorage.getItem(`yukizuri:${key}`));
    } catch {
      return null;
    }
  },
  set(key, value) {
    try {
      if (value === null) sessionStorage.removeItem(`yukizuri:${key}`);
      else sessionStorage.setItem(`yukizuri:${key}`, JSON.stringify(value));
    } catch {
      // a reload comes back as somebody new
    }
  },
};
const memoryKey = `room:${room}`;
const settings = { theme: "system", fade: 30, quiet: "auto", sound: false, notify: false, announce: "all", ...store.get("settings") };

function applySettings() {
  document.documentElement.dataset.theme = settings.theme;
  log.life = settings.fade > 0 ? settings.fade * 60000 : Infinity;
  log.unfade();
  store.set("settings", settings);
}

// --- Whom one does not want to see: known by id, or by the address' mark and the name ---

const ignored = new Map(Object.entries(store.get("ignored") ?? {})); // id → { mark, name }

const isIgnored = ({ id, mark, name }) => ignored.has(id) || (mark !== undefined && [...ignored.values()].some((other) => other.mark === mark && other.name === name));

function toggleIgnored(person) {
  const was = isIgnored(person);
  for (const [id, other] of ignored) if (id === person.id || (other.mark === person.mark && other.name === person.name)) ignored.delete(id);
  if (!was) ignored.set(person.id, { mark: person.mark, name: person.name });
  store.set("ignored", Object.fromEntries(ignored));
  log.refresh();
  people.draw();
  focusBack();
}

// --- The parts ---

let me = null;
let left = null; // the name under which one left
let told = 0; // the number up to which a welcome had told who is here
let name = ""; // of the room
let askTimer = 0;

const extras = () => import("./extras.js"); // what is needed only when something is opened
const onMention = (person) => box.mention(person.name);
const openCard = async (person, anchor) => (await extras()).openCard({ ...person, ...people.get(person.id) }, { me, anchor, ignores: isIgnored, onMention, onIgnore: toggleIgnored });
const people = new People({ ignores: isIgnored, onPerson: openCard });
const log = new Log({ ignores: isIgnored, onPerson: openCard, onUnseen: tellUnseen, again: say, edit: (text) => box.put(text) });

const client = new Client(url, {
  state: showState,
  slow(slow) {
    if (slow) showState("slow");
    else if (state === "slow") showState("joined");
  },
  held: showHeld,
  welcome,
  message(message) {
    people.spoke(message.from);
    log.message(message);
    announce(message);
  },
  presence(message) {
    const news = people.apply(message);
    if (message.seq > told && news.came + news.went > 0 && isQuietShown()) log.presence(news);
    askIfDoubtful();
    showEmpty();
  },
  members(message) {
    people.set(message.members, message.count, me);
  },
  notice(message) {
    if (message.kind !== "clear") return log.notice(message.text);
    log.clear();
    extras().then(({ cleared }) => log.notice(cleared(message)));
  },
  gap(message) {
    told = message.seq ?? 0;
    log.gap(message.missed);
  },
  typing: ({ from }) => people.writes(from),
  acked: (nonce) => log.acked(nonce),
  failed: (nonce, error, unsure) => log.failed(nonce, errorText(error), unsure),
  refused,
});

const box = new Box({
  limits: () => client.limits?.text ?? 0,
  isTooLong: (text) => client.isTooLong(text),
  named: (start) => people.named(start),
  lastOwn: () => log.lastOwn,
  onSay: say,
  onTyping: () => client.typing(),
  onTooLong: () => tell(t.errors.too_long), // once, and not at each key
});

function welcome(message) {
  const first = me === null;
  me = log.me = message.me;
  told = message.seq;
  if (name === "") install();
  name = message.room;
  setEntering(false);
  show("chat");
  $("room-name").textContent = name;
  $("room-button").setAttribute("aria-label", t.room(name));
  people.set(message.members, message.count, me);
  if (message.missed > 0) log.gap(message.missed);
  remember();
  log.tellUnseen();
  showEmpty();
  box.count();
  if (first && matchMedia("(pointer: fine)").matches) $("text").focus();
}

/** What makes the page one that can be installed is not needed to come in. */
function install() {
  extras().catch(() => {}); // a gateway of another build has it no more
  document.head.append(element("link", { rel: "manifest", href: language === "ja" ? "./app.ja.webmanifest" : "./app.en.webmanifest" }));
  navigator.serviceWorker?.register(`/worker.js?lang=${language}`).catch(() => {}); // the page works without it
}

function refused(error) {
  forget();
  me = null;
  show("entry");
  setEntering(false);
  $("entry-error").textContent = errorText(error);
  $("suggestion").hidden = !error.suggestion;
  $("suggestion").textContent = error.suggestion ? t.comeInAs(error.suggestion) : "";
  $("suggestion").value = error.suggestion ?? "";
  $("name").select();
}

const isQuietShown = () => settings.quiet === "on" || (settings.quiet === "auto" && people.count <= QUIET_FROM);

function askIfDoubtful() {
  clearTimeout(askTimer);
  askTimer = setTimeout(() => people.isDoubtful && client.askMembers(), ASK_AFTER_MS);
}

function showEmpty() {
  $("empty").hidden = !log.isEmpty;
  $("empty").className = people.count > 1 ? "together" : "alone";
}

// --- Where one is: the entry or the chat ---

function show(what) {
  $("entry").hidden = what !== "entry";
  $("chat").hidden = what !== "chat";
}

// --- The band: what is wrong with the connection, in words, said once; the seconds are not read aloud ---

let state = "joined";
let why = ""; // in the operator's words
let stateTimer = 0;
let countdown = 0;

function showState(next, ms = 0, error = null) {
  if (next === "connecting" && state === "moving") return; // says why
  clearTimeout(stateTimer);
  clearInterval(countdown);
  $("band-seconds").textContent = "";
  state = next;
  why = next === "ended" ? errorText(error ?? { code: next }) : "";
  $("say-form").inert = state === "elsewhere" || state === "ended";
  if (me === null) showEntryState(next, error);
  stateTimer = setTimeout(showBand, { connecting: CONNECTING_SHOWN_MS, moving: MOVING_SHOWN_MS }[next] ?? 0);
  if (ms < 1000) return;
  const end = Date.now() + ms;
  const drawSeconds = () => ($("band-seconds").textContent = t.seconds(Math.max(0, Math.ceil((end - Date.now()) / 1000))));
  drawSeconds();
  countdown = setInterval(drawSeconds, 500);
}

function showBand() {
  if (state === "connecting" && $("band-text").textContent !== "") return; // why is told already
  const shown = !navigator.onLine && state !== "elsewhere" && state !== "ended" ? "offline" : state;
  const text = why || (t.states[shown] ?? "");
  if ($("band-text").textContent !== text) $("band-text").textContent = text; // unchanged words are not read again
  $("band").classList.toggle("shown", text !== "");
  const label = { waiting: t.now, elsewhere: t.comeBack, ended: t.again }[shown] ?? "";
  $("band-button").textContent = label;
  $("band-button").hidden = label === "";
}

$("band-button").addEventListener("click", () => {
  if (state === "waiting") client.hurry();
  else client.join(me.name);
});

function showEntryState(next, error) {
  if (next === "connecting" && error) extras().then(({ working }) => ($("entry-state").textContent = working));
  else if (next === "connecting") $("entry-state").textContent ||= t.states.connecting;
  else if (next === "waiting" || next === "penalty") $("entry-state").textContent = errorText(error ?? { code: "unavailable" });
}

// --- One's own lines ---

function showHeld(ms) {
  $("held").textContent = ms >= HELD_SHOWN_MS ? t.held(Math.ceil(ms / 1000)) : "";
}

function say(text) {
  if (!me) return;
  log.pending(client.say(text), text);
  remember();
}

// --- Coming in, leaving ---

function setEntering(entering) {
  $("enter").setAttribute("aria-busy", entering);
  $("stop").hidden = !entering;
  if (!entering) $("entry-state").textContent = "";
}

function enter(wanted, memory = null) {
  if (left !== null && wanted !== left) log.clear();
  left = null;
  $("entry-error").textContent = "";
  $("suggestion").hidden = true;
  setEntering(true);
  client.join(wanted, memory);
}

$("entry-form").addEventListener("submit", (event) => {
  event.preventDefault();
  if ($("enter").getAttribute("aria-busy") !== "true") enter($("name").value);
});

$("stop").addEventListener("click", () => {
  client.stop();
  setEntering(false);
  $("name").focus();
});

$("suggestion").addEventListener("click", () => {
  $("name").value = $("suggestion").value;
  enter($("name").value);
});

$("dice").addEventListener("click", async () => {
  const others = (await extras()).passersby.filter((one) => one !== $("name").value);
  $("name").value = others[Math.floor(Math.random() * others.length)];
  $("name").focus();
});

function leave() {
  const { name: mine } = me;
  left = mine;
  client.leave();
  forget();
  store.set(memoryKey, { left: mine });
  me = null;
  clearInterval(countdown);
  state = "joined";
  showBand();
  setEntering(false);
  show("entry");
  $("entry-error").textContent = t.youLeft;
  $("suggestion").textContent = t.back;
  $("suggestion").value = mine;
  $("suggestion").hidden = false;
  document.title = t.untitled;
  $("name").focus();
}

// --- Coming back ---

/** The conversation of this tab, its draft and its last lines. */
function remember() {
  if (me) store.set(memoryKey, { ...client.remember(), me, draft: box.text, lines: log.remember() });
}

function forget() {
  store.set(memoryKey, null);
}

addEventListener("pagehide", remember);
addEventListener("online", () => {
  showBand();
  client.hurry();
});
addEventListener("offline", () => {
  showBand();
  client.hurry(); // is it? The connection is asked
});
addEventListener("pageshow", () => client.hurry());
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") client.hurry();
  else remember();
});

// --- Unread, in the title and on the icon ---

function tellUnseen(count, hit) {
  if (!me) return;
  const badge = document.hidden && count > 0 ? (hit ? `(@${count}) ` : `(${count}) `) : "";
  document.title = `${badge}${name} · ${t.untitled}`;
  $("icon").href = badge ? "./icon-dot.svg" : "./icon.svg";
  if (badge) navigator.setAppBadge?.(count).catch(() => {});
  else navigator.clearAppBadge?.().catch(() => {});
}

// --- What a screen reader is told: each line while few come, else how many from whom; mentions always ---

let announced = []; // when
let unsaid = []; // names of those whose lines were not announced
let summary = 0;

function announce({ from, text }) {
  if (!me || from.id === me.id || isIgnored(from)) return;
  const now = Date.now();
  announced = announced.filter((at) => now - at < BURST_MS);
  const hit = mentions(text, me.name);
  if (hit && document.hidden) extras().then(({ ring }) => ring(settings, document.title));
  if (hit || (settings.announce === "all" && announced.length < BURST && unsaid.length === 0)) {
    announced.push(now);
    tell(t.said(from.name, text), text);
  } else if (settings.announce !== "mentions") {
    unsaid.push(from.name);
    summary ||= setTimeout(summarize, SUMMARY_MS);
  }
}

function summarize() {
  summary = 0;
  const names = [...new Set(unsaid)];
  tell(t.summary(unsaid.length, names.slice(0, 2), names.length - Math.min(2, names.length)));
  unsaid = [];
}

function tell(words, text = "") {
  const line = spoken(element("p", { textContent: words }), text);
  $("announcer").append(line);
  setTimeout(() => line.remove(), BURST_MS);
}

// --- Keys, dialogs ---

const isWriting = (target) => target.matches?.("input, textarea, select");

document.addEventListener("keydown", (event) => {
  if (isComposing(event) || event.ctrlKey || event.metaKey || event.altKey || $("chat").hidden || document.querySelector("dialog[open]")) return;
  if (event.key === "Escape") {
    log.toEnd();
    $("text").focus();
  } else if (event.key === "/" && !isWriting(event.target)) {
    event.preventDefault();
    $("text").focus();
  } else if (event.key === "?" && !isWriting(event.target)) {
    event.preventDefault();
    open("keys");
  }
});

/** The dialogs' script comes when one is opened first. */
async function open(which) {
  (await extras()).open(which, { settings, applySettings, room: name, leave });
}

for (const button of document.querySelectorAll("[data-open]")) button.addEventListener("click", () => open(button.dataset.open));

// The list of people is beside the conversation, or in a dialog where there is no room for it.
const wide = matchMedia("(min-width: 56.25rem) and (min-height: 24rem)");
const placePeople = () => $(wide.matches ? "people" : "people-sheet").append($("people-list"));
wide.addEventListener("change", placePeople);
placePeople();

// iOS does not resize the page for its keyboard: the chat is as high as what is seen, and where that is.
const view = window.visualViewport;
function fitView() {
  if (view.scale > 1.01) return; // somebody looks closer
  document.documentElement.style.setProperty("--height", `${view.height}px`);
  document.documentElement.style.setProperty("--top", `${view.offsetTop}px`);
}
if (view && !("virtualKeyboard" in navigator)) for (const event of ["resize", "scroll"]) view.addEventListener(event, fitView);

applySettings();
const memory = store.get(memoryKey);
if (memory?.resume) {
  me = log.me = memory.me;
  show("chat");
  $("name").value = memory.name;
  box.put(memory.draft ?? "");
  log.restore(memory.lines ?? []);
  enter(memory.name, memory);
  for (const [nonce, { text }] of client.pending) log.pending(nonce, text);
} else {
  show("entry");
  if (memory?.left) $("name").value = memory.left;
  if (matchMedia("(pointer: fine)").matches) $("name").focus();
}
