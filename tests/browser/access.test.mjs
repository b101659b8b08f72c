// For everybody: axe's rules on each screen, small and low screens, big text, keys, screen readers, input methods.
import assert from "node:assert/strict";
import fs from "node:fs";
import { createRequire } from "node:module";
import test from "node:test";
import { joined, stopwatch, until } from "../lib/harness.mjs";
import { belowTheEnd, enter, open, phone, say, sees, startBrowser, startChat } from "../lib/page.mjs";

const axe = fs.readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

async function violations(page) {
  const found = await page.evaluate(async (source) => {
    if (!window.axe) (0, eval)(source); // evaluated by the debugger, which no policy of the page forbids
    return (await window.axe.run(document, { resultTypes: ["violations"] })).violations.map(({ id, impact, nodes }) => `${impact}: ${id} at ${nodes.slice(0, 3).map(({ target }) => target.join(" ")).join(", ")}`);
  }, axe).catch(async () => {
    await page.addScriptTag({ content: axe });
    return page.evaluate(async () => (await window.axe.run()).violations.map(({ id, impact }) => `${impact}: ${id}`));
  });
  return found;
}

/** Each screen, as [what it is, how to get there]; each begins where the one before ended. */
const screens = [
  ["entry", async () => {}],
  ["an empty room", async (page) => enter(page, "alice")],
  ["a conversation", async (page, { bob, nginx, t }) => {
    bob.member = await joined(t, nginx.url, "bob");
    bob.member.send({ type: "say", text: "hello @alice https://example.com", nonce: "1" });
    await say(page, "やあ\nhello");
    await sees(page, "example.com");
    await until("it is delivered", async () => !(await page.$("#lines .pending")));
  }],
  ["faded lines", async (page) => page.evaluate(() => document.querySelectorAll("#lines .message").forEach((node, i) => node.classList.add(i % 2 ? "old1" : "old2")))],
  ["a card", async (page) => page.click("#lines .who")],
  ["the menu", async (page) => {
    await page.keyboard.press("Escape");
    await page.click("#room-button");
    await page.waitForSelector("#menu[open]");
  }],
  ["sharing", async (page) => {
    await page.click("#menu [data-open=share]");
    await page.waitForSelector("#share[open]");
  }],
  ["keys", async (page) => {
    await page.keyboard.press("Escape");
    await page.focus("#log");
    await page.keyboard.press("?");
    await page.waitForSelector("#keys[open]");
  }],
  ["a failed line", async (page) => {
    await page.keyboard.press("Escape");
    await page.evaluate(() => {
      document.querySelector("#text").value = "half \ud83d";
      document.querySelector("#say-form").requestSubmit();
    });
    await page.waitForSelector("#lines .failed");
  }],
  ["a lost connection", async (page, { gateways }) => {
    await gateways[0].stop("SIGKILL");
    await page.waitForFunction(() => document.querySelector("#band").classList.contains("shown"));
  }],
];

for (const locale of ["en-GB", "ja-JP"])
  for (const colorScheme of ["light", "dark"])
    test(`axe finds nothing on any screen (${locale}, ${colorScheme})`, { timeout: 180000 }, async (t) => {
      const chat = await startChat(t, 1);
      const browser = await startBrowser(t, locale, null, { colorScheme, bypassCSP: true, reducedMotion: "reduce" });
      const page = await open(t, browser, chat.nginx.origin);
      const found = [];
      const bob = {};
      for (const [what, go] of screens) {
        await go(page, { ...chat, bob, t });
        for (const violation of await violations(page)) found.push(`${what}: ${violation}`);
      }
      assert.deepEqual(found, []);
    });

test("axe finds nothing on the pages that are only read", async (t) => {
  const { nginx } = await startChat(t, 1);
  const browser = await startBrowser(t, "ja-JP", null, { bypassCSP: true });
  const page = await open(t, browser, nginx.origin, /status of 404/);
  const found = [];
  for (const path of ["/about", "/offline", "/nothing", "/status"]) {
    await page.goto(nginx.origin + path, { waitUntil: "networkidle" });
    for (const violation of await violations(page)) found.push(`${path}: ${violation}`);
  }
  assert.deepEqual(found, []);
});

for (const [what, viewport, size] of [["320 px with twice the text", { width: 320, height: 640 }, "200%"], ["390 px with twice the text", { width: 390, height: 844 }, "200%"], ["a phone on its side with a keyboard", { width: 844, height: 190 }, "100%"], ["1280 px", { width: 1280, height: 800 }, "100%"]])
  test(`nothing is cut off, and the button is in reach: ${what}`, async (t) => {
    const { nginx } = await startChat(t, 1);
    const browser = await startBrowser(t, "en-GB", null, { viewport });
    const bob = await joined(t, nginx.url, "bobwithalongname");
    const page = await open(t, browser, nginx.origin);
    const fits = () => page.evaluate(() => document.documentElement.scrollWidth <= innerWidth);
    await page.evaluate((to) => document.documentElement.style.setProperty("font-size", to), size);
    assert.ok(await fits(), "the entry");
    await enter(page, "alice");
    for (const text of ["one", "x".repeat(300), "three", "four"]) bob.send({ type: "say", text, nonce: text.slice(0, 9) });
    await sees(page, "four");
    assert.ok(await fits(), "the conversation");
    const box = await page.evaluate(() => {
      const send = document.querySelector("#send").getBoundingClientRect();
      const log = document.querySelector("#log").getBoundingClientRect();
      return { send: send.right <= innerWidth + 1 && send.bottom <= innerHeight + 1 && send.width >= 44, log: log.height };
    });
    assert.ok(box.send, "the button is inside");
    assert.ok(box.log >= 48, `two lines can be read: ${box.log} px`);
    assert.ok((await belowTheEnd(page)) <= 1);
  });

test("everything can be done with keys", async (t) => {
  const { nginx } = await startChat(t, 1);
  const browser = await startBrowser(t, "en-GB");
  const bob = await joined(t, nginx.url, "bob");
  const page = await open(t, browser, nginx.origin);
  assert.equal(await page.evaluate(() => document.activeElement.id), "name");
  await page.keyboard.type("alice");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#chat:not([hidden])");
  assert.equal(await page.evaluate(() => document.activeElement.id), "text");
  for (const text of ["one", "two"]) bob.send({ type: "say", text, nonce: text });
  await sees(page, "two");
  await page.focus("#log");
  await page.keyboard.press("ArrowUp");
  const focused = () => page.evaluate(() => document.activeElement.querySelector?.(".text")?.textContent ?? document.activeElement.id);
  assert.equal(await focused(), "two");
  await page.keyboard.press("ArrowUp");
  assert.equal(await focused(), "one");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#card[open]");
  assert.equal(await focused(), "card-mention");
  await page.keyboard.press("Escape");
  assert.equal(await focused(), "one", "the focus is back");
  await page.keyboard.press("Escape");
  assert.equal(await focused(), "text");
  await page.keyboard.press("Tab");
});

test("a screen reader is told each line while few come, then how many from whom, and mentions always", async (t) => {
  const { nginx } = await startChat(t, 1, ["--rate", "1000:3000"]);
  const browser = await startBrowser(t, "en-GB");
  const bob = await joined(t, nginx.url, "bob");
  const page = await open(t, browser, nginx.origin);
  await page.clock.install();
  await enter(page, "alice");
  await page.evaluate(() => {
    window.told = [];
    new MutationObserver((changes) => changes.forEach(({ addedNodes }) => addedNodes.forEach((node) => window.told.push(node.textContent)))).observe(document.querySelector("#announcer"), { childList: true });
  });
  assert.equal(await page.getAttribute("#log", "aria-live"), "off");
  for (let i = 1; i <= 100; i++) bob.send({ type: "say", text: i === 50 ? "@alice look" : `line ${i}`, nonce: `${i}` });
  await page.waitForFunction(() => document.querySelectorAll("#lines .text").length === 100);
  await page.clock.fastForward(16000);
  const told = await page.evaluate(() => window.told);
  assert.deepEqual(told.slice(0, 5), [1, 2, 3, 4, 5].map((i) => `bob: line ${i}`));
  assert.equal(told[5], "bob: @alice look");
  assert.match(told[6], /^94 new lines, from .*bob/);
  assert.equal(told.length, 7);
  await say(page, "my own");
  await sees(page, "my own");
  assert.equal(await page.evaluate(() => window.told.length), 7, "one's own lines are not told");
});

for (const [how, options] of [["as browsers tell it", { isComposing: true, keyCode: 13 }], ["by its code alone", { isComposing: false, keyCode: 229 }]])
  test(`Enter that ends a composition sends nothing (${how})`, async (t) => {
    const { nginx } = await startChat(t, 1);
    const browser = await startBrowser(t, "ja-JP");
    const page = await open(t, browser, nginx.origin);
    await enter(page, "アリス");
    await page.fill("#text", "へんかんちゅう");
    await page.evaluate((given) => {
      const event = new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true, isComposing: given.isComposing });
      Object.defineProperty(event, "keyCode", { value: given.keyCode });
      document.querySelector("#text").dispatchEvent(event);
    }, options);
    assert.equal(await page.inputValue("#text"), "へんかんちゅう");
    await page.press("#text", "Enter");
    await sees(page, "へんかんちゅう");
  });

test("what an input method composes is sent by the Enter after it, and not by the one that ends it", async (t) => {
  const { nginx } = await startChat(t, 1);
  const browser = await startBrowser(t, "ja-JP");
  const bob = await joined(t, nginx.url, "bob");
  const page = await open(t, browser, nginx.origin);
  await enter(page, "アリス");
  const keys = await browser.newCDPSession(page);
  for (const text of ["k", "か", "かん", "感"]) await keys.send("Input.imeSetComposition", { text, selectionStart: text.length, selectionEnd: text.length });
  const enterKey = { key: "Enter", code: "Enter", windowsVirtualKeyCode: 229 };
  await keys.send("Input.dispatchKeyEvent", { type: "rawKeyDown", ...enterKey });
  await keys.send("Input.insertText", { text: "感" });
  await keys.send("Input.dispatchKeyEvent", { type: "keyUp", ...enterKey });
  assert.equal(await page.inputValue("#text"), "感");
  await page.keyboard.press("Enter");
  await bob.waitFor({ type: "message", text: "感" });
  assert.deepEqual(bob.texts(), ["感"]);
});

test("in a big room the list has a search, oneself first, few nodes, and its dialog gives the focus back", { timeout: 120000 }, async (t) => {
  const { nginx } = await startChat(t, 1);
  const browser = await startBrowser(t, "en-GB", null, phone);
  const page = await open(t, browser, nginx.origin);
  await enter(page, "alice");
  await Promise.all(Array.from({ length: 999 }, (_, i) => joined(t, nginx.url, `guest ${i}`)));
  await page.waitForFunction(() => document.querySelector("#people-button .count").textContent === "1,000");
  const seconds = stopwatch();
  await page.tap("#people-button");
  await page.waitForSelector("#people-sheet[open]");
  t.diagnostic(`a list of 1,000 opens within ${Math.round(seconds() * 1000)} ms`);
  const order = await page.$$eval("#members .person bdi", (nodes) => nodes.map((node) => node.textContent));
  assert.equal(order[0], "alice", "oneself is first");
  assert.deepEqual(order.slice(1), order.slice(1).sort(new Intl.Collator("en-GB").compare), "the others by name");
  assert.ok((await page.$$("#people-list *")).length <= 200);
  const known = (await page.$$eval("#members bdi", (nodes) => nodes.map((node) => node.textContent))).at(-1);
  await page.fill("#search", known.toUpperCase());
  await until("the one is found", async () => (await page.textContent("#members bdi")) === known);
  await page.keyboard.press("Escape"); // empties the search
  await page.keyboard.press("Escape");
  await page.waitForSelector("#people-sheet:not([open])", { state: "attached" });
  assert.equal(await page.evaluate(() => document.activeElement.id), "people-button");
});

test("on a phone, whoever is chosen in the list of people can be mentioned, and the list closes", async (t) => {
  const { nginx } = await startChat(t, 1);
  const browser = await startBrowser(t, "en-GB", null, phone);
  await joined(t, nginx.url, "bob");
  const page = await open(t, browser, nginx.origin);
  await enter(page, "alice");
  await page.waitForFunction(() => document.querySelector("#people-button .count").textContent === "2");
  await page.tap("#people-button");
  await page.tap('#people-sheet .person:has(bdi:text-is("bob"))');
  await page.tap("#card-mention");
  assert.equal(await page.inputValue("#text"), "@bob ");
  assert.equal(await page.$("dialog[open]"), null);
  assert.equal(await page.evaluate(() => document.activeElement.id), "text");
});

test("a tap beside a dialog closes it, and one on its edge does not", async (t) => {
  const { nginx } = await startChat(t, 1);
  const browser = await startBrowser(t, "en-GB");
  const page = await open(t, browser, nginx.origin);
  await enter(page, "alice");
  await page.click("#room-button");
  await page.waitForSelector("#menu[open]");
  const { x, y } = await (await page.$("#menu")).boundingBox();
  await page.mouse.click(x + 4, y + 60);
  assert.ok(await page.$("#menu[open]"));
  await page.mouse.click(x - 20, y + 60);
  await page.waitForSelector("#menu:not([open])", { state: "attached" });
});

test("what one is taken to keeps the focus: the newest lines, and a text that is said again", async (t) => {
  const { nginx } = await startChat(t, 1, ["--rate", "1000:3000"]);
  const browser = await startBrowser(t, "en-GB");
  const bob = await joined(t, nginx.url, "bob");
  const page = await open(t, browser, nginx.origin);
  await enter(page, "alice");
  const focused = () => page.evaluate(() => document.activeElement.id);
  for (let i = 0; i < 60; i++) bob.send({ type: "say", text: `line ${i}`, nonce: `${i}` });
  await sees(page, "line 59");
  await page.$eval("#log", (log) => (log.scrollTop = 0));
  await page.waitForFunction(() => !document.querySelector("#log").matches(".follows"));
  bob.send({ type: "say", text: "new", nonce: "new" });
  await page.click("#pill");
  assert.equal(await focused(), "text");
  await page.evaluate(() => {
    document.querySelector("#text").value = "half \ud83d";
    document.querySelector("#say-form").requestSubmit();
  });
  await page.click("#lines .failed .why button");
  assert.equal(await focused(), "text");
});
