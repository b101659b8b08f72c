// The page in a real browser, behind a real nginx, on several gateways.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import test from "node:test";
import { chromium } from "playwright-core";
import { atEnd, joined, startGateway, startNginx, startRedis, temporaryDirectory, top, until } from "../lib/harness.mjs";

const executablePath = process.env.CHROMIUM ?? ["/usr/bin/chromium", "/usr/bin/chromium-browser"].find((file) => fs.existsSync(file));
const shots = path.join(top, "tests/browser/shots");
fs.mkdirSync(shots, { recursive: true });

async function startBrowser(t) {
  const browser = await chromium.launchPersistentContext(temporaryDirectory(t), {
    executablePath,
    headless: true,
    locale: "ja-JP",
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
  atEnd(t, () => browser.close());
  return browser;
}

async function startChat(t, count = 2, args = []) {
  const redis = await startRedis(t);
  const gateways = [];
  for (let i = 0; i < count; i++) gateways.push(await startGateway(t, { redis, args: ["--trusted-proxy", "127.0.0.1", "--gateway-id", `g${i}`, ...args] }));
  const nginx = await startNginx(t, gateways.map((gateway) => `127.0.0.1:${gateway.port}`));
  return { redis, gateways, nginx };
}

/** A page whose errors fail the test. */
async function open(t, browser, url, ignore = /WebSocket connection|ERR_CONNECTION_REFUSED|status of 50\d/) {
  const page = await browser.newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("console", (message) => message.type() === "error" && !ignore.test(message.text()) && errors.push(message.text()));
  atEnd(t, () => assert.deepEqual(errors, []));
  await page.goto(url);
  return page;
}

async function enter(page, name) {
  await page.fill("#name", name);
  await page.click("#entry-form button");
  await page.waitForSelector("#chat:not([hidden])");
}

async function say(page, text) {
  await page.fill("#text", text);
  await page.press("#text", "Enter");
}

const sees = (page, text) => page.waitForFunction((wanted) => document.querySelector("#log").innerText.includes(wanted), text);
const names = (page) => page.$$eval("#members bdi", (nodes) => nodes.map((node) => node.textContent).sort());

test("two pages that nginx put on different gateways see each other join, talk and leave", async (t) => {
  const { redis, nginx } = await startChat(t);
  const browser = await startBrowser(t);
  const alice = await open(t, browser, nginx.origin);
  assert.equal(await alice.textContent("#entry h1 span"), "ゆきずり");
  await alice.screenshot({ path: path.join(shots, "entry.png") });
  await enter(alice, "アリス");
  const bob = await open(t, browser, nginx.origin);
  await enter(bob, "Bob");
  const owners = ["アリス", "bob"].map((name) => redis.run("HGET", `yukizuri:{lobby}:member:${name}`, "gateway"));
  assert.equal(new Set(owners).size, 2, `on different gateways: ${owners}`);
  await sees(alice, "Bob");
  assert.deepEqual(await names(alice), ["Bob", "アリス"]);
  assert.deepEqual(await names(bob), ["Bob", "アリス"]);
  assert.equal(await bob.textContent("#count"), "2");

  await say(bob, "こんにちは https://example.com/a?b=c&d=%22 です");
  await sees(alice, "こんにちは");
  await say(alice, "やあ\nBob");
  await sees(bob, "やあ");
  await bob.waitForFunction(() => document.querySelectorAll("#log li.mine:not(.pending)").length === 1);
  assert.equal(await alice.getAttribute("#log a", "href"), "https://example.com/a?b=c&d=%22");
  assert.match(await alice.textContent("#members li .where"), /127\.0\.0\.x/);
  redis.run("PUBLISH", "yukizuri:{lobby}", "十時に戻ります");
  await sees(alice, "十時に戻ります");
  await alice.screenshot({ path: path.join(shots, "chat.png") });
  await alice.setViewportSize({ width: 390, height: 780 });
  await alice.screenshot({ path: path.join(shots, "chat-narrow.png") });

  await bob.click("#leave");
  await sees(alice, "Bob\u2069 が去りました");
  assert.deepEqual(await names(alice), ["アリス"]);
  assert.ok(await bob.isVisible("#entry"));
});

test("a name, a text or a link that would like to be HTML stays text", async (t) => {
  const { nginx } = await startChat(t, 1);
  const browser = await startBrowser(t);
  const alice = await open(t, browser, nginx.origin);
  await enter(alice, "alice");
  const nasty = ['<img src=x onerror="window.hit=1">', "javascript:alert(1)", 'https://x.example/"onmouseover="window.hit=1', "https://x.example/<script>window.hit=1</script>", "data:text/html,<script>1</script>", "' style='x"];
  const eve = await joined(t, nginx.url, "<b>eve\"'");
  for (const [i, text] of nasty.entries()) eve.send({ type: "say", text, nonce: `${i}` });
  await alice.waitForFunction((n) => document.querySelectorAll("#log li.message").length === n, nasty.length);
  assert.deepEqual(await alice.$$eval("#log li.message .text", (nodes) => nodes.map((node) => node.textContent)), nasty);
  assert.equal(await alice.evaluate("window.hit"), undefined);
  const elements = await alice.$$eval("#log *", (nodes) => [...new Set(nodes.map((node) => node.localName))].sort());
  assert.deepEqual(elements, ["a", "bdi", "li", "span", "time"]);
  for (const href of await alice.$$eval("#log a", (nodes) => nodes.map((node) => node.protocol))) assert.equal(href, "https:");
  for (const attributes of await alice.$$eval("#log a", (nodes) => nodes.map((node) => node.getAttributeNames().sort().join())))
    assert.equal(attributes, "href,rel,target");
});

test("a taken name is explained and another suggested", async (t) => {
  const { nginx } = await startChat(t, 1);
  const browser = await startBrowser(t);
  await joined(t, nginx.url, "alice");
  const page = await open(t, browser, nginx.origin);
  await page.fill("#name", "Alice");
  await page.click("#entry-form button");
  await page.waitForFunction(() => document.querySelector("#entry-error").textContent.includes("Alice2"));
  assert.equal(await page.inputValue("#name"), "Alice2");
  await page.click("#entry-form button");
  await page.waitForSelector("#chat:not([hidden])");
});

test("the gateway dies: the page comes back by itself, nobody sees a leave, nothing is lost", async (t) => {
  const { redis, gateways, nginx } = await startChat(t);
  const browser = await startBrowser(t);
  const page = await open(t, browser, nginx.origin);
  await enter(page, "alice");
  const watcher = await joined(t, nginx.url, "watcher");
  await sees(page, "watcher");
  const owner = redis.run("HGET", "yukizuri:{lobby}:member:alice", "gateway");
  const other = gateways[owner === "g0" ? 1 : 0];
  assert.notEqual(redis.run("HGET", "yukizuri:{lobby}:member:watcher", "gateway"), owner, "the watcher is elsewhere");
  await gateways[owner === "g0" ? 0 : 1].stop("SIGKILL");
  await page.waitForFunction(() => document.querySelector("#status").textContent !== "");
  await say(page, "said while away");
  watcher.send({ type: "say", text: "while you were away", nonce: "1" });
  await sees(page, "while you were away");
  await watcher.waitFor({ type: "message", text: "said while away" });
  await page.waitForFunction(() => document.querySelectorAll("#log li.pending").length === 0);
  assert.equal(watcher.messages().filter((m) => m.text === "said while away").length, 1);
  assert.ok(!watcher.saw("left", "alice"));
  assert.equal((await other.stats()).resumes, 1);
});

test("a reload comes back as the same member; leaving is remembered", async (t) => {
  const { nginx } = await startChat(t, 1);
  const browser = await startBrowser(t);
  const watcher = await joined(t, nginx.url, "watcher");
  const page = await open(t, browser, nginx.origin);
  await enter(page, "alice");
  await until("she is seen", () => watcher.saw("joined", "alice"));
  await page.reload();
  await page.waitForSelector("#chat:not([hidden])");
  await say(page, "me again");
  const message = await watcher.waitFor({ type: "message", text: "me again" });
  assert.equal(message.from.name, "alice");
  assert.ok(!watcher.saw("left", "alice"));
  await page.click("#leave");
  await until("she has left", () => watcher.saw("left", "alice"));
  await page.reload();
  await page.waitForSelector("#entry:not([hidden])");
  assert.equal(await page.isVisible("#chat"), false);
});

test("the page in English, and a room of its own", async (t) => {
  const { nginx, redis } = await startChat(t, 1);
  const browser = await chromium.launchPersistentContext(temporaryDirectory(t), {
    executablePath, headless: true, locale: "en-GB",
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
  atEnd(t, () => browser.close());
  const page = await open(t, browser, `${nginx.origin}/r/${encodeURIComponent("珈琲")}`);
  assert.equal(await page.textContent("#entry h1 span"), "Yukizuri");
  await enter(page, "alice");
  assert.equal(await page.textContent("#room-name"), "珈琲");
  assert.deepEqual(redis.lines("SMEMBERS", "yukizuri:{珈琲}:members"), ["alice"]);
});
