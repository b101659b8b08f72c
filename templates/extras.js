// What is needed only once a dialog is opened, or somebody is called: it is loaded then.
import { $, crest } from "./people.js";
import { language, t, timeOf } from "./texts.js";

const FRESH_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"; // none that look like another
const TONE_S = 0.12;

let context = null; // of the page: { settings, applySettings, room, leave }

/** A room that nobody has been in, as good as surely. */
function freshRoom() {
  const bytes = window.crypto.getRandomValues(new Uint8Array(10));
  return [...bytes].map((byte) => FRESH_LETTERS[byte % FRESH_LETTERS.length]).join("");
}

const linkTo = (room) => new URL(`/r/${encodeURIComponent(room)}`, location.href).href;

// --- Words that are rarely needed ---

const CLEARED = "An operator has cleared this conversation."; // where the operator gives no other words

const rare = {
  en: {
    cleared: CLEARED,
    working: "Many people want to come in. Please wait a moment while your browser works for it…",
    passersby: ["Traveller", "Passer-by", "Wanderer", "Neighbour", "Stroller", "Evening guest", "Umbrella", "Cyclist", "Early bird", "Night owl"],
  },
  ja: {
    cleared: "運営者がこの会話を消しました。",
    working: "入りたい人が大勢います。ブラウザーが準備の計算をしています…",
    passersby: ["旅人", "通りすがり", "雨宿り", "夕涼み", "散歩の人", "朝の客", "夜更かし", "道草", "となりの人", "風来坊"],
  },
}[language];

export const { working, passersby } = rare;
export const cleared = ({ text }) => (text === CLEARED ? rare.cleared : text);

// --- What each dialog shows when it opens ---

const prepare = {
  menu() {
    for (const node of document.querySelectorAll(".room")) node.textContent = context.room;
    $("fresh-room").href = linkTo(freshRoom());
    const other = new URL(location.href);
    other.searchParams.set("lang", $("language").hreflang);
    $("language").href = other.href;
    for (const node of document.querySelectorAll("[data-setting]")) {
      const value = context.settings[node.dataset.setting];
      if (node.type === "checkbox") node.checked = value;
      else node.value = String(value);
    }
  },
  async share() {
    const link = linkTo(context.room);
    $("link").value = link;
    $("copied").textContent = "";
    $("share-native").hidden = !navigator.share;
    const { generate } = await import("./lean-qr.js");
    generate(link).toCanvas($("qr"), { on: [0, 0, 0, 255], off: [255, 255, 255, 255] });
  },
};

export async function open(which, page) {
  context = page;
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  const ready = prepare[which]?.();
  $(which).showModal();
  await ready?.catch(() => {}); // without its picture the link is there all the same
}

// --- Settings ---

for (const node of document.querySelectorAll("[data-setting]"))
  node.addEventListener("change", async () => {
    const { setting } = node.dataset;
    if (setting === "sound" && node.checked) sound(); // some browsers let only a tap begin it
    context.settings[setting] = node.type === "checkbox" ? node.checked : setting === "fade" ? Number(node.value) : node.value;
    if (setting === "notify" && node.checked && (await globalThis.Notification?.requestPermission()) !== "granted") node.checked = context.settings.notify = false;
    context.applySettings();
  });

$("leave").addEventListener("click", () => {
  $("menu").close();
  context.leave();
});

// --- Sharing ---

$("copy").addEventListener("click", async () => {
  $("link").select();
  try {
    await navigator.clipboard.writeText($("link").value);
  } catch {
    document.execCommand("copy"); // where the page is not served over TLS
  }
  $("copied").textContent = t.copied;
});

$("share-native").addEventListener("click", () => navigator.share({ title: document.title, url: $("link").value }).catch(() => {}));

// A click beside a dialog closes it.
for (const dialog of document.querySelectorAll("dialog"))
  dialog.addEventListener("click", ({ target, clientX: x, clientY: y }) => {
    const { left, right, top, bottom } = dialog.getBoundingClientRect();
    if (target === dialog && (x < left || x > right || y < top || y > bottom)) dialog.close();
  });

// --- The card of a person, beside where it was asked for ---

let shown = null; // { person, onMention, onIgnore }

export function openCard(person, { me, anchor, ignores, onMention, onIgnore }) {
  shown = { person, onMention, onIgnore };
  $("card-crest").replaceChildren(crest(person));
  $("card-name").textContent = person.name;
  $("card-address").textContent = person.address ? t.address(person.address) : "";
  $("card-since").textContent = person.since ? t.sinceThen(timeOf(person.since)) : "";
  $("card-mention").hidden = $("card-ignore").hidden = person.id === me?.id;
  $("card-ignore").textContent = ignores(person) ? t.heed : t.ignore;
  $("card").showModal();
  const { left, bottom, top } = anchor.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = $("card");
  $("card").style.setProperty("left", `${Math.max(8, Math.min(left, innerWidth - width - 8))}px`);
  $("card").style.setProperty("top", `${bottom + height + 8 < innerHeight ? bottom + 4 : Math.max(8, top - height - 4)}px`);
}

for (const [id, act] of [["card-mention", "onMention"], ["card-ignore", "onIgnore"]])
  $(id).addEventListener("click", () => {
    $("card").close(); // the focus goes back to where it was, and then where the act puts it
    $("people-sheet").close();
    shown[act](shown.person);
  });

// --- Being called while one looks elsewhere ---

let audio = null;

function sound() {
  audio ??= new AudioContext();
  const [tone, volume] = [audio.createOscillator(), audio.createGain()];
  tone.frequency.value = 660;
  volume.gain.setValueAtTime(0.15, audio.currentTime);
  volume.gain.exponentialRampToValueAtTime(0.001, audio.currentTime + TONE_S);
  tone.connect(volume).connect(audio.destination);
  tone.start();
  tone.stop(audio.currentTime + TONE_S);
}

/** The notification has no text: what is said is for those who look. */
export function ring({ sound: wantsSound, notify }, title) {
  if (wantsSound) sound();
  if (notify && globalThis.Notification?.permission === "granted") navigator.serviceWorker?.ready.then((worker) => worker.showNotification(title, { tag: "yukizuri" }));
}
