// The page in a real browser, behind a real nginx, on several gateways.
import assert from "node:assert/strict";
import path from "node:path";
import test from "node:test";
import { joined, until } from "../lib/harness.mjs";
import { enter, leave, names, open, say, sees, shots, startBrowser, startChat } from "../lib/page.mjs";

test("two pages on different gateways behind nginx see each other join, talk and leave", async (t) => {
  const { redis, nginx } = await startChat(t);
  const browser = await startBrowser(t);
  const alice = await open(t, browser, nginx.origin);
  assert.equal((await alice.textContent("#title")).trim(), "ゆきずり");
  await alice.screenshot({ path: path.join(shots, "entry.png") });
  await enter(alice, "アリス");
  const bob = await open(t, browser, nginx.origin);
  await enter(bob, "Bob");
  const owners = ["アリス", "bob"].map((name) => redis.run("HGET", `yukizuri:{lobby}:member:${name}`, "gateway"));
  assert.equal(new Set(owners).size, 2, `on different gateways: ${owners}`);
  await sees(alice, "Bob");
  for (const page of [alice, bob]) await until("both are listed", async () => (await names(page)).join() === "Bob,アリス");
  assert.equal(await bob.textContent("#people-title .count"), "2");

  await say(bob, "こんにちは https://example.com/a?b=c&d=%22 です");
  await sees(alice, "こんにちは");
  await say(alice, "やあ\nBob");
  await sees(bob, "やあ");
  await bob.waitForFunction(() => document.querySelectorAll("#lines .mine:not(.pending)").length === 1);
  assert.equal(await alice.getAttribute("#lines a", "href"), "https://example.com/a?b=c&d=%22");
  assert.match(await alice.textContent("#members li:nth-child(2) small"), /127\.0\.0\.x/);
  redis.run("PUBLISH", "yukizuri:{lobby}", "十時に戻ります");
  await sees(alice, "十時に戻ります");
  await alice.screenshot({ path: path.join(shots, "chat.png") });
  await alice.setViewportSize({ width: 390, height: 780 });
  await alice.screenshot({ path: path.join(shots, "chat-narrow.png") });

  await leave(bob);
  await sees(alice, "Bobが去りました");
  await until("she is alone", async () => (await names(alice)).join() === "アリス");
});

test("a taken name is explained and another one is suggested", async (t) => {
  const { nginx } = await startChat(t, 1);
  const browser = await startBrowser(t);
  await joined(t, nginx.url, "alice");
  const page = await open(t, browser, nginx.origin);
  await page.fill("#name", "Alice");
  await page.click("#enter");
  await page.click("#suggestion:has-text('Alice2')");
  await page.waitForSelector("#chat:not([hidden])");
});

test("when its gateway dies, the page reconnects by itself; no leave is shown and no message is lost", async (t) => {
  const { redis, gateways, nginx } = await startChat(t);
  const browser = await startBrowser(t);
  const page = await open(t, browser, nginx.origin);
  await enter(page, "alice");
  const watcher = await joined(t, nginx.url, "watcher");
  await sees(page, "watcher");
  const owner = redis.run("HGET", "yukizuri:{lobby}:member:alice", "gateway");
  const other = gateways[owner === "g0" ? 1 : 0];
  assert.notEqual(redis.run("HGET", "yukizuri:{lobby}:member:watcher", "gateway"), owner, "the watcher is elsewhere");
  await page.evaluate(() => {
    // it may have resumed before the check
    const status = document.querySelector("#band-text");
    new MutationObserver(() => (window.wasAway ||= status.textContent !== "")).observe(status, { childList: true, characterData: true, subtree: true });
  });
  await gateways[owner === "g0" ? 0 : 1].stop("SIGKILL");
  await page.waitForFunction(() => window.wasAway);
  await say(page, "said while away");
  watcher.send({ type: "say", text: "while you were away", nonce: "1" });
  await sees(page, "while you were away");
  await watcher.waitFor({ type: "message", text: "said while away" });
  await page.waitForFunction(() => document.querySelectorAll("#lines .pending").length === 0);
  assert.equal(watcher.messages().filter((m) => m.text === "said while away").length, 1);
  assert.ok(!watcher.saw("left", "alice"));
  assert.equal((await other.stats()).resumes, 1);
});

test("a reload resumes the same member; after leaving, a reload stays outside", async (t) => {
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
  await leave(page);
  await until("she has left", () => watcher.saw("left", "alice"));
  await page.reload();
  await page.waitForSelector("#entry:not([hidden])");
  assert.equal(await page.isVisible("#chat"), false);
});

test("the page works in English and for a named room", async (t) => {
  const { nginx, redis } = await startChat(t, 1);
  const browser = await startBrowser(t, "en-GB");
  const page = await open(t, browser, `${nginx.origin}/r/${encodeURIComponent("珈琲")}`);
  assert.equal((await page.textContent("#title")).trim(), "Yukizuri");
  await enter(page, "alice");
  assert.equal(await page.textContent("#room-name"), "珈琲");
  assert.deepEqual(redis.lines("SMEMBERS", "yukizuri:{珈琲}:members"), ["alice"]);
});

test("missed messages are reported in one line", async (t) => {
  const { redis, gateways, nginx } = await startChat(t, 2, ["--retention-messages", "2"]);
  const browser = await startBrowser(t, "en-GB");
  const page = await open(t, browser, nginx.origin);
  await enter(page, "alice");
  const [cut, other] = redis.run("HGET", "yukizuri:{lobby}:member:alice", "gateway") === "g0" ? gateways : [...gateways].reverse();
  const bob = await joined(t, other.url, "bob");
  await sees(page, "came in");
  cut.freeze(t);
  redis.cut("pubsub");
  await until("bob's gateway is subscribed again", () => redis.run("PUBSUB", "NUMSUB", "yukizuri:{lobby}").endsWith("1"));
  for (let i = 1; i <= 5; i++) bob.send({ type: "say", text: `line ${i}`, nonce: `${i}` });
  await bob.waitFor({ type: "ack", nonce: "5" });
  cut.thaw();
  await sees(page, "line 5");
  const lines = await page.$$eval("#lines > li:not(.quiet)", (nodes) => nodes.map((node) => node.querySelector(".text")?.textContent ?? node.textContent));
  assert.deepEqual(lines, ["3 messages passed by unseen", "line 4", "line 5"]);
});

test("messages are shown as text: without markup, attributes, or links other than http and https", async (t) => {
  const { nginx } = await startChat(t, 1);
  const browser = await startBrowser(t);
  const alice = await open(t, browser, nginx.origin);
  await enter(alice, "alice");
  const nasty = ['<img src=x onerror="window.hit=1">', "javascript:alert(1)", 'https://x.example/"onmouseover="window.hit=1', "https://x.example/<script>window.hit=1</script>", "data:text/html,<script>1</script>", "' style='x"];
  const eve = await joined(t, nginx.url, "<b>eve\"'");
  for (const [i, text] of nasty.entries()) eve.send({ type: "say", text, nonce: `${i}` });
  await alice.waitForFunction((n) => document.querySelectorAll("#lines .message").length === n, nasty.length);
  assert.deepEqual(await alice.$$eval("#lines .text", (nodes) => nodes.map((node) => node.textContent)), nasty);
  assert.equal(await alice.evaluate("window.hit"), undefined);
  const elements = await alice.$$eval("#lines *", (nodes) => [...new Set(nodes.map((node) => node.localName))].sort());
  assert.deepEqual(elements, ["a", "button", "div", "li", "path", "svg"]);
  for (const href of await alice.$$eval("#lines a", (nodes) => nodes.map((node) => node.protocol))) assert.equal(href, "https:");
  for (const attributes of await alice.$$eval("#lines a", (nodes) => nodes.map((node) => node.getAttributeNames().sort().join())))
    assert.equal(attributes, "href,rel,target");
});
