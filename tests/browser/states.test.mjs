// What the page says when something is wrong: on the way in, with the connection, with the page itself.
import assert from "node:assert/strict";
import test from "node:test";
import { joined, startGateway, until } from "../lib/harness.mjs";
import { enter, open, say, sees, startBrowser, startChat } from "../lib/page.mjs";

const band = (page) => page.textContent("#band-text");
const untilBand = (page, text) => page.waitForFunction((wanted) => document.querySelector("#band-text").textContent.startsWith(wanted), text);

/** From here on the page counts how often the words of its band change. */
const countChanges = (page) => page.evaluate(() => {
  window.changes = [];
  const node = document.querySelector("#band-text");
  new MutationObserver(() => window.changes.push(node.textContent)).observe(node, { childList: true, characterData: true, subtree: true });
});

test("offline is told at once, and what is written then arrives later", async (t) => {
  const { nginx } = await startChat(t, 1);
  const browser = await startBrowser(t, "en-GB");
  const bob = await joined(t, nginx.url, "bob");
  const page = await open(t, browser, nginx.origin);
  await enter(page, "alice");
  await browser.setOffline(true);
  await untilBand(page, "You are offline.");
  await say(page, "written offline");
  await browser.setOffline(false);
  await bob.waitFor({ type: "message", text: "written offline" });
  await page.waitForFunction(() => document.querySelector("#band-text").textContent === "");
});

test("an outage is told in words once, with a way to hurry; the seconds are not read aloud", { timeout: 120000 }, async (t) => {
  const { gateways, nginx, redis } = await startChat(t, 1);
  const browser = await startBrowser(t, "en-GB");
  const page = await open(t, browser, nginx.origin);
  await enter(page, "alice");
  await countChanges(page);
  await gateways[0].stop("SIGKILL");
  await untilBand(page, "Connection lost.");
  await page.waitForFunction(() => / \(\d+ s\)/.test(document.querySelector("#band-seconds").textContent), null, { timeout: 60000 });
  assert.equal(await page.getAttribute("#band-seconds", "aria-hidden"), "true");
  assert.equal(await page.textContent("#band-button"), "Now");
  await startGateway(t, { redis, port: gateways[0].port, args: ["--trusted-proxy", "127.0.0.1", "--gateway-id", "g0"] });
  await page.click("#band-button").catch(() => {}); // it may be back already
  await page.waitForFunction(() => document.querySelector("#band-text").textContent === "", null, { timeout: 60000 });
  assert.deepEqual(await page.evaluate(() => window.changes), ["Connection lost. Coming back", ""]);
});

test("a server that never answers is told on the way in, tried again, and can be given up", { timeout: 120000 }, async (t) => {
  const { nginx } = await startChat(t, 1);
  const browser = await startBrowser(t, "en-GB");
  const page = await open(t, browser, nginx.origin);
  await page.clock.install();
  await page.evaluate(() => {
    window.attempts = 0;
    window.WebSocket = class extends EventTarget {
      static OPEN = 1;
      readyState = 0;
      constructor() {
        super();
        window.attempts++;
      }
      close() {}
    };
  });
  await page.fill("#name", "alice");
  await page.click("#enter");
  assert.equal(await page.textContent("#entry-state"), "Connecting…");
  assert.equal(await page.getAttribute("#enter", "aria-busy"), "true");
  await page.clock.fastForward(11000);
  await page.waitForFunction(() => window.attempts === 2);
  assert.match(await page.textContent("#entry-state"), /cannot be reached/);
  await page.click("#stop");
  assert.equal(await page.textContent("#entry-state"), "");
  assert.equal(await page.getAttribute("#enter", "aria-busy"), "false");
  await page.clock.fastForward(60000);
  assert.equal(await page.evaluate(() => window.attempts), 2);
});

test("where this goes on in another tab the box takes nothing, keeps the draft, and one can come back", async (t) => {
  const { nginx } = await startChat(t, 1);
  const browser = await startBrowser(t, "en-GB");
  const page = await open(t, browser, nginx.origin);
  await enter(page, "alice");
  await page.fill("#text", "half said");
  const memory = await page.evaluate(() => ({ ...sessionStorage }));
  const other = await browser.newPage();
  await other.addInitScript((stored) => Object.assign(sessionStorage, stored), memory);
  await other.goto(nginx.origin);
  await other.waitForSelector("#chat:not([hidden])");
  await untilBand(page, "This goes on in another tab.");
  assert.equal(await page.evaluate(() => document.querySelector("#say-form").inert), true);
  assert.equal(await page.inputValue("#text"), "half said");
  await page.click("#band-button");
  await page.waitForFunction(() => !document.querySelector("#say-form").inert);
  await untilBand(other, "This goes on in another tab.");
});

test("leaving keeps the conversation until another name is taken, and one can come back", async (t) => {
  const { nginx } = await startChat(t, 1);
  const browser = await startBrowser(t, "en-GB");
  const page = await open(t, browser, nginx.origin);
  await enter(page, "alice");
  await say(page, "I was here");
  await sees(page, "I was here");
  await page.click("#room-button");
  await page.click("#leave");
  await page.waitForSelector("#entry:not([hidden])");
  assert.equal(await page.textContent("#entry-error"), "You left.");
  assert.equal(await page.evaluate(() => document.activeElement.id), "name");
  await page.click("#suggestion");
  await sees(page, "I was here");
  await page.click("#room-button");
  await page.click("#leave");
  await enter(page, "somebody else");
  assert.equal(await page.$("#lines .message"), null);
});

test("without its scripts the page shows the way in, and what is wrong", async (t) => {
  const { nginx } = await startChat(t, 1);
  const browser = await startBrowser(t, "ja-JP");
  const page = await browser.newPage();
  await page.route(/\/assets\/log\./, (route) => route.abort());
  await page.goto(nginx.origin);
  assert.ok(await page.isVisible("#name"));
  assert.equal((await page.textContent("label[for=name]")).trim(), "ここでの名前");
  await page.waitForSelector("#broken", { state: "visible" });
  assert.match(await page.textContent("#broken"), /読み込み直す/);
  await page.unroute(/\/assets\/log\./);
  await page.click("#broken a");
  await enter(page, "alice");
});

test("the page is in the language that is asked for, and the other one is a link away", async (t) => {
  const { nginx } = await startChat(t, 1);
  const browser = await startBrowser(t, "ja-JP");
  const page = await open(t, browser, nginx.origin);
  assert.equal(await page.getAttribute("html", "lang"), "ja");
  await enter(page, "alice");
  await page.click("#room-button");
  await page.click("#language");
  await page.waitForSelector("#chat:not([hidden])");
  assert.equal(await page.getAttribute("html", "lang"), "en");
  assert.equal(await band(page), "");
  await until("it is the same member", async () => (await page.textContent("#members .person bdi")) === "alice");
});

test("moving to another server is told when it takes long", { timeout: 120000 }, async (t) => {
  const { nginx } = await startChat(t, 1);
  const browser = await startBrowser(t, "en-GB");
  const page = await browser.newPage();
  let connection = null;
  await page.routeWebSocket(/\/room/, (socket) => {
    if (connection === null) socket.connectToServer(); // the next one is never answered
    connection ??= socket;
  });
  await page.goto(nginx.origin);
  await enter(page, "alice");
  connection.send(JSON.stringify({ type: "reconnect", after: 0 }));
  await untilBand(page, "Moving to another server");
});

test("a connection that comes back while one looks elsewhere has read nothing", async (t) => {
  const { nginx } = await startChat(t, 1);
  const browser = await startBrowser(t, "en-GB");
  const bob = await joined(t, nginx.url, "bob");
  const page = await browser.newPage();
  const connections = [];
  await page.routeWebSocket(/\/room/, (socket) => {
    connections.push(socket);
    socket.connectToServer();
  });
  await page.goto(nginx.origin);
  await enter(page, "alice");
  await page.evaluate(() => {
    Object.defineProperty(document, "hidden", { value: true, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  });
  bob.send({ type: "say", text: "unread", nonce: "1" });
  await until("it is counted", async () => (await page.title()).startsWith("(1) "));
  await connections[0].close({ code: 1001 });
  await until("it has come back", () => connections.length === 2);
  bob.send({ type: "say", text: "another", nonce: "2" });
  await until("both are counted", async () => (await page.title()).startsWith("(2) "));
});

test("after a reload the page can still be installed", async (t) => {
  const { nginx } = await startChat(t, 1);
  const browser = await startBrowser(t, "en-GB");
  const page = await open(t, browser, nginx.origin);
  await enter(page, "alice");
  await page.waitForSelector("link[rel=manifest]", { state: "attached" });
  await page.reload();
  await page.waitForSelector("link[rel=manifest]", { state: "attached" });
});
