// Asking somebody in: a link, a code to point a phone at, the system's own sheet, and a room of one's own.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import test from "node:test";
import { joined } from "../lib/harness.mjs";
import { enter, open, startBrowser, startChat } from "../lib/page.mjs";

const readCode = createRequire(import.meta.url)("jsqr");

async function openShare(page) {
  await page.click("#room-button");
  await page.click("#menu [data-open=share]");
  await page.waitForSelector("#share[open]");
}

test("the code says what the link says, also for a room whose name is Japanese, and comes only when it is asked for", async (t) => {
  const { nginx } = await startChat(t, 1);
  const browser = await startBrowser(t, "ja-JP");
  const page = await open(t, browser, `${nginx.origin}/r/${encodeURIComponent("縁側")}`);
  const asked = [];
  page.on("request", (request) => asked.push(request.url()));
  await enter(page, "アリス");
  assert.ok(!asked.some((url) => url.includes("lean-qr")));
  await openShare(page);
  const link = `${nginx.origin}/r/${encodeURIComponent("縁側")}`;
  assert.equal(await page.inputValue("#link"), link);
  await page.waitForFunction(() => document.querySelector("#qr").width > 20 && document.querySelector("#qr").width < 300);
  const { data, width, height } = await page.evaluate(() => {
    const { width, height } = document.querySelector("#qr");
    return { width, height, data: [...document.querySelector("#qr").getContext("2d").getImageData(0, 0, width, height).data] };
  });
  assert.equal(readCode(Uint8ClampedArray.from(data), width, height)?.data, link);
  assert.ok(asked.some((url) => url.includes("lean-qr")));
});

test("the link can be copied, and given to the system's sheet where there is one", async (t) => {
  const { nginx } = await startChat(t, 1);
  const browser = await startBrowser(t, "en-GB");
  await browser.grantPermissions(["clipboard-read", "clipboard-write"], { origin: nginx.origin });
  await browser.addInitScript(() => (navigator.share = async (what) => (window.shared = what)));
  const page = await open(t, browser, nginx.origin);
  await enter(page, "alice");
  await openShare(page);
  await page.click("#copy");
  await page.waitForFunction(() => document.querySelector("#copied").textContent === "The link is copied.");
  const link = await page.inputValue("#link");
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), link);
  await page.click("#share-native");
  assert.equal((await page.waitForFunction(() => window.shared).then((handle) => handle.jsonValue())).url, link);
});

test("a fresh room is one that nobody is in, with a name of its own", async (t) => {
  const { nginx } = await startChat(t, 1);
  const browser = await startBrowser(t, "en-GB");
  await joined(t, nginx.url, "bob");
  const page = await open(t, browser, nginx.origin);
  await enter(page, "alice");
  const rooms = [];
  for (let i = 0; i < 2; i++) {
    await page.click("#room-button");
    await page.waitForFunction((last) => ![null, "#", last].includes(document.querySelector("#fresh-room").getAttribute("href")), rooms.at(-1) ?? null);
    rooms.push(await page.getAttribute("#fresh-room", "href"));
    await page.keyboard.press("Escape");
  }
  assert.notEqual(rooms[0], rooms[1]);
  for (const room of rooms) assert.match(new URL(room, nginx.origin).pathname, /^\/r\/[a-z0-9]{10}$/);
  await page.click("#room-button");
  await page.click("#fresh-room");
  await page.waitForSelector("#entry:not([hidden])");
  await enter(page, "alice");
  await page.waitForSelector("#empty:not([hidden])");
  assert.equal(await page.textContent("#people-button .count"), "1");
});

test("a room whose name cannot be is a page with a way on, in both languages", async (t) => {
  const { nginx } = await startChat(t, 1);
  for (const [locale, words] of [["en-GB", "Nothing is here."], ["ja-JP", "ここには何もありません。"]]) {
    const browser = await startBrowser(t, locale);
    const page = await open(t, browser, `${nginx.origin}/r/${"x".repeat(65)}`, /status of 404/);
    assert.equal(await page.textContent("h1"), words);
    await page.click("main a");
    await page.waitForSelector("#entry:not([hidden])");
  }
});

test("without the script that draws the code there is the link", async (t) => {
  const { nginx } = await startChat(t, 1);
  const browser = await startBrowser(t, "en-GB");
  const page = await open(t, browser, nginx.origin, /Failed to load resource/);
  await page.route("**/lean-qr*", (route) => route.abort());
  await enter(page, "alice");
  await openShare(page);
  assert.equal(await page.inputValue("#link"), `${nginx.origin}/r/lobby`);
});

test("what is opened later needs no gateway that still has this page's scripts", async (t) => {
  const { nginx, gateways } = await startChat(t, 1);
  const browser = await startBrowser(t, "en-GB");
  const page = await open(t, browser, nginx.origin, /./);
  await enter(page, "alice");
  await page.waitForFunction(() => performance.getEntriesByType("resource").some(({ name, responseEnd }) => name.includes("/extras.") && responseEnd > 0));
  await gateways[0].stop("SIGKILL");
  await page.click("#room-button");
  await page.waitForSelector("#menu[open]");
  await page.click("#leave");
  await page.waitForSelector("#entry:not([hidden])");
});
