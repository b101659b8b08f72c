// What one can choose, what is asked for and when, and the page as an app of its own.
import assert from "node:assert/strict";
import test from "node:test";
import { joined, until } from "../lib/harness.mjs";
import { enter, open, say, sees, startBrowser, startChat } from "../lib/page.mjs";

async function start(t, locale = "en-GB", device = {}) {
  const chat = await startChat(t, 1);
  const browser = await startBrowser(t, locale, null, device);
  const page = await open(t, browser, chat.nginx.origin);
  await enter(page, "alice");
  return { ...chat, browser, page };
}

const paper = (page) => page.evaluate(() => getComputedStyle(document.body).backgroundColor);

async function openMenu(page) {
  await page.click("#room-button");
  await page.waitForSelector("#menu[open]");
}

/** As when one looks at another tab. */
const hide = (page) => page.evaluate(() => {
  Object.defineProperty(document, "hidden", { value: true, configurable: true });
  Object.defineProperty(document, "visibilityState", { value: "hidden", configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
});

test("colours are the system's, or those that were chosen, also after a reload; another tab begins anew", async (t) => {
  const { page, browser, nginx } = await start(t, "en-GB", { colorScheme: "dark" });
  const dark = await paper(page);
  await openMenu(page);
  await page.selectOption("#set-theme", "light");
  const light = await paper(page);
  assert.notEqual(light, dark);
  await page.reload();
  await page.waitForSelector("#chat:not([hidden])");
  assert.equal(await paper(page), light);
  const other = await open(t, browser, nginx.origin);
  assert.equal(await paper(other), dark);
  await openMenu(page);
  assert.equal(await page.inputValue("#set-theme"), "light");
  await page.selectOption("#set-theme", "system");
  assert.equal(await paper(page), dark);
});

test("who comes and goes is told always, never, or in small rooms, as one likes", async (t) => {
  const { page, nginx } = await start(t);
  await openMenu(page);
  await page.selectOption("#set-quiet", "off");
  await page.keyboard.press("Escape");
  const bob = await joined(t, nginx.url, "bob");
  await page.waitForFunction(() => document.querySelector("#people-button .count").textContent === "2");
  assert.equal(await page.$("#lines .quiet"), null);
  await openMenu(page);
  await page.selectOption("#set-quiet", "on");
  await page.keyboard.press("Escape");
  await joined(t, nginx.url, "carol");
  await page.waitForFunction(() => document.querySelector("#lines .quiet")?.textContent.includes("carol"));
  bob.send({ type: "say", text: "hi", nonce: "1" });
  await sees(page, "hi");
});

test("nobody is asked for notifications before they want them, and a refusal leaves the box empty", async (t) => {
  const { page } = await start(t);
  const asked = () => page.evaluate(() => window.asked ?? 0);
  await page.evaluate(() => (Notification.requestPermission = async () => ((window.asked = (window.asked ?? 0) + 1), "denied")));
  await openMenu(page);
  assert.equal(await asked(), 0);
  await page.check("#set-notify", { trial: false }).catch(() => {}); // it is empty again at once
  await until("it was asked", async () => (await asked()) === 1);
  await until("the box is empty", async () => !(await page.isChecked("#set-notify")));
});

test("a sound is made by a mention alone, while one looks elsewhere, where one wants it", async (t) => {
  const { page, nginx } = await start(t);
  await page.evaluate(() => {
    window.sounds = 0;
    const { start } = OscillatorNode.prototype;
    OscillatorNode.prototype.start = function (...given) {
      window.sounds++;
      return start.apply(this, given);
    };
  });
  const bob = await joined(t, nginx.url, "bob");
  const sounds = () => page.evaluate(() => window.sounds);
  const told = (sign) => until(`the title says ${sign}`, async () => (await page.title()).startsWith(sign));
  const look = () => page.evaluate(() => {
    delete document.hidden;
    delete document.visibilityState;
    document.dispatchEvent(new Event("visibilitychange"));
  });
  await hide(page);
  bob.send({ type: "say", text: "@alice one", nonce: "1" });
  await told("(@1)");
  assert.equal(await sounds(), 0, "it is off at first");
  await look();
  await openMenu(page);
  await page.check("#set-sound");
  assert.equal(await sounds(), 1, "one hears what it will be");
  await page.keyboard.press("Escape");
  await hide(page);
  bob.send({ type: "say", text: "to nobody", nonce: "2" });
  await told("(1)");
  assert.equal(await sounds(), 1, "for a mention alone");
  bob.send({ type: "say", text: "@alice two", nonce: "3" });
  await told("(@2)");
  await until("it sounds", async () => (await sounds()) === 2);
  bob.send({ type: "say", text: "to nobody again", nonce: "4" });
  await told("(@3)");
  assert.equal(await sounds(), 2, "and what follows a mention does not");
});

test("the page can be installed; what it keeps on the device is the page for when one is offline, and nothing said", { timeout: 120000 }, async (t) => {
  const { page, nginx, browser } = await start(t, "ja-JP");
  await say(page, "ひみつの話");
  await sees(page, "ひみつの話");
  const manifest = await page.evaluate(async () => (await fetch(document.querySelector("link[rel=manifest]").href)).json());
  assert.equal(manifest.name, "ゆきずり");
  assert.equal(manifest.display, "standalone");
  const base = await page.getAttribute("link[rel=manifest]", "href");
  for (const { src, sizes, type } of manifest.icons) {
    const answer = await fetch(new URL(src, new URL(base, nginx.origin)));
    assert.equal(answer.headers.get("content-type").split(";")[0], type);
    const bytes = Buffer.from(await answer.arrayBuffer());
    if (type === "image/png") assert.equal(`${bytes.readUInt32BE(16)}x${bytes.readUInt32BE(20)}`, sizes);
  }
  await page.evaluate(() => navigator.serviceWorker.ready);
  const kept = await page.evaluate(async () => {
    const found = [];
    for (const name of await caches.keys()) for (const { url } of await (await caches.open(name)).keys()) found.push(new URL(url).pathname);
    return found.sort();
  });
  assert.deepEqual(kept.map((path) => path.replace(/\.[0-9a-f]{12}\./, ".")), ["/assets/icon.svg", "/assets/style.css", "/offline"]);
  assert.deepEqual(await page.evaluate(async () => [localStorage.length, document.cookie, (await indexedDB.databases()).length]), [0, "", 0]);
  await page.waitForFunction(() => navigator.serviceWorker.controller);
  await browser.setOffline(true);
  const offline = await browser.newPage();
  await offline.goto(nginx.origin);
  assert.equal(await offline.textContent("h1"), "オフラインです。");
  await browser.setOffline(false);
  await offline.click("main a");
  await offline.waitForSelector("#entry:not([hidden])");
});

test("while one talks, shares, and looks around, nothing is asked of another host", async (t) => {
  const { nginx, page } = await start(t);
  const others = [];
  page.on("request", (request) => new URL(request.url()).host !== new URL(nginx.origin).host && others.push(request.url()));
  const bob = await joined(t, nginx.url, "bob");
  bob.send({ type: "say", text: "https://other.example/picture.png <img src=https://other.example/a.png>", nonce: "1" });
  await sees(page, "picture.png");
  await openMenu(page);
  await page.click("#menu [data-open=share]");
  await page.waitForFunction(() => document.querySelector("#qr").width > 20);
  for (const path of ["/about", "/status"]) await page.goto(nginx.origin + path, { waitUntil: "networkidle" });
  assert.deepEqual(others, []);
});

test("what an operator forbids is told in words, with the time at which it ends and the operator's reason", async (t) => {
  const { nginx } = await startChat(t, 1);
  const browser = await startBrowser(t, "en-GB");
  const page = await browser.newPage();
  const until = Date.UTC(2030, 0, 1, 12, 34);
  let refusal = { code: "banned", until };
  // as a gateway that has such rules answers: docs/protocol.md names the codes
  await page.routeWebSocket(/\/room/, (socket) => {
    const server = socket.connectToServer();
    socket.onMessage((text) => {
      const { type, nonce } = JSON.parse(text);
      if (type === (refusal.code === "muted" ? "say" : "join") && refusal) socket.send(JSON.stringify({ type: "error", message: "no", nonce, ...refusal }));
      else server.send(text);
    });
  });
  await page.goto(nginx.origin);
  const time = await page.evaluate((at) => new Date(at).toLocaleString(undefined, { dateStyle: "short", timeStyle: "short" }), until);
  const tell = async () => {
    await page.fill("#name", "alice");
    await page.click("#enter");
    return page.waitForFunction(() => document.querySelector("#entry-error").textContent).then((handle) => handle.jsonValue());
  };
  assert.equal(await tell(), `You cannot come in here. (until ${time}) no`);
  refusal = { code: "locked" };
  await page.waitForFunction(() => document.querySelector("#enter").ariaBusy !== "true");
  await page.fill("#name", "alice");
  await page.click("#enter");
  await page.waitForFunction(() => document.querySelector("#entry-error").textContent === "Nobody new can come in at the moment.");
  refusal = { code: "muted", until };
  await enter(page, "alice");
  await say(page, "may I?");
  await page.waitForFunction((wanted) => document.querySelector("#lines .failed .why")?.textContent.startsWith(wanted), `Not sent: You cannot speak here at the moment. (until ${time})`);
  assert.equal(await page.inputValue("#text"), "");
  await page.click("#lines .failed button:has-text('Edit')");
  assert.equal(await page.inputValue("#text"), "may I?");
});
