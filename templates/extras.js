// What is needed only once a dialog is opened, or somebody is called: it is loaded then.
import { $ } from "./people.js";
import { t } from "./texts.js";

const FRESH_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"; // none that look like another
const TONE_S = 0.12;

let context = null; // of the page: { settings, applySettings, room, leave }

/** A room that nobody has been in, as good as surely. */
function freshRoom() {
  const bytes = window.crypto.getRandomValues(new Uint8Array(10));
  return [...bytes].map((byte) => FRESH_LETTERS[byte % FRESH_LETTERS.length]).join("");
}

const linkTo = (room) => new URL(`/r/${encodeURIComponent(room)}`, location.href).href;

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
  await prepare[which]?.();
  $(which).showModal();
}

// --- Settings ---

for (const node of document.querySelectorAll("[data-setting]"))
  node.addEventListener("change", async () => {
    const { setting } = node.dataset;
    context.settings[setting] = node.type === "checkbox" ? node.checked : setting === "fade" ? Number(node.value) : node.value;
    if (setting === "notify" && node.checked && (await Notification.requestPermission()) !== "granted") node.checked = context.settings.notify = false;
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
for (const dialog of document.querySelectorAll("dialog")) dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());

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
  if (notify && globalThis.Notification?.permission === "granted") new Notification(title, { tag: "yukizuri" });
}
