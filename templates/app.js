// The page: glues the conversation with the server (client.js) to what is seen (view.js).
import { Client } from "./client.js";
import { t, errorText } from "./texts.js";
import { $, element, translatePage, Log, People, nameList, showStatus } from "./view.js";

const TYPING_EVERY_MS = 3000;
const TYPING_SHOWN_MS = 4000;
const ASK_AFTER_MS = 1000;

const room = decodeURIComponent(location.pathname.match(/^\/r\/([^/]+)/)?.[1] ?? "");
const scheme = location.protocol === "https:" ? "wss:" : "ws:";
const url = `${scheme}//${location.host}/room${room ? `/${encodeURIComponent(room)}` : ""}`;
const memoryKey = `yukizuri:${room}`;

translatePage();
const log = new Log();
const people = new People();
const typists = new Map(); // id → { name, timer }
let me = null;
let askTimer = 0;
let countdown = 0;

const client = new Client(url, {
  state: showState,
  welcome(message) {
    const first = me === null;
    me = message.me;
    $("entry").hidden = true;
    $("chat").hidden = false;
    $("room-name").textContent = message.room;
    document.title = `${message.room} · ${t.title}`;
    people.set(message.members, message.count, me);
    if (message.missed > 0) log.line("gap", t.gap(message.missed));
    remember();
    if (first) $("text").focus();
  },
  message(message) {
    stopTyping(message.from.id);
    log.message(message, message.from.id === me.id);
  },
  presence(message) {
    const { come, gone } = people.apply(message);
    if (come.length) log.line("joined", t.joined(nameList(come)));
    if (gone.length) log.line("left", t.left(nameList(gone)));
    for (const person of gone) stopTyping(person.id);
    askIfDoubtful();
  },
  members(message) {
    people.set(message.members, message.count, me);
  },
  notice(message) {
    log.line("notice", message.text);
  },
  gap(message) {
    log.line("gap", t.gap(message.missed));
  },
  typing({ from }) {
    if (from.id !== me.id) startTyping(from);
  },
  acked(nonce) {
    log.acked(nonce);
  },
  failed(nonce, error, unsure) {
    log.failed(nonce, errorText(error), unsure);
  },
  refused(error) {
    forget();
    me = null;
    $("chat").hidden = true;
    $("entry").hidden = false;
    $("entry-error").textContent = errorText(error);
    setEntering(false);
    if (error.suggestion) $("name").value = error.suggestion;
    $("name").select();
  },
});

function showState(state, delay = 0) {
  clearInterval(countdown);
  if (state === "waiting" || state === "penalty") {
    const end = Date.now() + delay;
    const tell = () => showStatus(t[state](Math.max(0, Math.ceil((end - Date.now()) / 1000))), true);
    tell();
    countdown = setInterval(tell, 500);
    if (me === null) $("entry-error").textContent = t.errors.unavailable;
  } else if (state === "elsewhere" || state === "ended") {
    showStatus(state === "ended" ? t.ended : t.resumedElsewhere, true);
    if (state === "elsewhere") offerReturn();
  } else {
    showStatus(state === "connecting" ? t.connecting : state === "moving" ? t.moving : t.connected);
  }
}

/** Another tab has taken this member over: coming back is a choice, or two tabs would fight. */
function offerReturn() {
  const button = element("button", { type: "button", textContent: t.returnHere });
  button.addEventListener("click", () => client.join(me.name));
  $("status").append(" ", button);
}

// --- What survives a reload of this tab, and no longer ---

// Where site data is blocked, each access to the storage throws: the page does without.

function remember() {
  try {
    sessionStorage.setItem(memoryKey, JSON.stringify(client.remember()));
  } catch {
    // a reload comes back as somebody new
  }
}

function forget() {
  try {
    sessionStorage.removeItem(memoryKey);
  } catch {
    // there is nothing in it either
  }
}

function recall() {
  try {
    return JSON.parse(sessionStorage.getItem(memoryKey));
  } catch {
    return null;
  }
}

addEventListener("pagehide", () => {
  if (me) remember();
});

// --- Who is typing ---

function drawTypists() {
  const names = [...typists.values()].map(({ person }) => person);
  $("typing").textContent = names.length ? t.typing(nameList(names)) : "";
}

function startTyping(person) {
  stopTyping(person.id);
  typists.set(person.id, { person, timer: setTimeout(() => stopTyping(person.id), TYPING_SHOWN_MS) });
  drawTypists();
}

function stopTyping(id) {
  clearTimeout(typists.get(id)?.timer);
  if (typists.delete(id)) drawTypists();
}

function askIfDoubtful() {
  clearTimeout(askTimer);
  askTimer = setTimeout(() => people.isDoubtful && client.askMembers(), ASK_AFTER_MS);
}

// --- What the visitor does ---

function setEntering(entering) {
  for (const button of $("entry-form").querySelectorAll("button")) button.disabled = entering;
}

$("entry-form").addEventListener("submit", (event) => {
  event.preventDefault();
  $("entry-error").textContent = "";
  setEntering(true);
  client.join($("name").value);
});

$("say-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("text").value;
  if (!text.trim()) return;
  if (client.isTooLong(text)) {
    $("say-error").textContent = t.tooLong([...text].length, client.limits.text);
    return; // it stays where it can be made shorter
  }
  log.pending(client.say(text), me, text);
  $("text").value = "";
  fitText();
});

function fitText() {
  $("text").style.height = "auto";
  $("text").style.height = `${$("text").scrollHeight + 2}px`;
}

let typedAt = 0;
$("text").addEventListener("input", () => {
  fitText();
  $("say-error").textContent = "";
  if (Date.now() - typedAt < TYPING_EVERY_MS || !$("text").value.trim()) return;
  typedAt = Date.now();
  client.typing();
});

// Enter sends, Shift+Enter breaks the line; while an input method composes, Enter is its own.
$("text").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
  event.preventDefault();
  $("say-form").requestSubmit();
});

$("leave").addEventListener("click", () => {
  client.leave();
  forget();
  me = null;
  log.clear();
  clearInterval(countdown);
  showStatus("");
  $("say-error").textContent = "";
  setEntering(false);
  $("chat").hidden = true;
  $("entry").hidden = false;
  document.title = t.title;
});

$("people-toggle").addEventListener("click", () => {
  const open = $("people").classList.toggle("open");
  $("people-toggle").setAttribute("aria-expanded", String(open));
});

// --- Coming back ---

addEventListener("online", () => client.hurry());
addEventListener("pageshow", () => client.hurry());
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") client.hurry();
});

const memory = recall();
$("entry").hidden = false;
if (memory?.resume) {
  $("name").value = memory.name;
  setEntering(true);
  client.join(memory.name, memory);
}
