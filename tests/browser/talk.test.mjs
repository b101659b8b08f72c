// Talking on the page: order, drafts, reading back, who is ignored, and what one has not seen.
import assert from "node:assert/strict";
import test from "node:test";
import { joined, metric, until } from "../lib/harness.mjs";
import { belowTheEnd, enter, open, phone, say, sees, startBrowser, startChat, texts } from "../lib/page.mjs";

const numbered = (n) => Array.from({ length: n }, (_, i) => `${i + 1}`);

/** One page and one member beside it. */
async function start(t, { args = [], locale = "en-GB", device = {} } = {}) {
  const chat = await startChat(t, 1, args);
  const browser = await startBrowser(t, locale, null, device);
  const bob = await joined(t, chat.nginx.url, "bob");
  const page = await open(t, browser, chat.nginx.origin);
  await enter(page, "alice");
  await until("bob sees her", () => bob.saw("joined", "alice"));
  let nonce = 0;
  return { ...chat, browser, bob, page, says: (text) => bob.send({ type: "say", text, nonce: `bob-${nonce++}` }) };
}

test("twenty lines said faster than the rate allows arrive in the order in which they were said", { timeout: 120000 }, async (t) => {
  const { page, bob } = await start(t, { args: ["--rate", "2:2"] });
  for (const text of numbered(20)) await say(page, text);
  const seen = () => bob.messages().filter(({ from }) => from.name === "alice").map(({ text }) => text);
  await until("all have arrived", () => seen().length === 20, 60000);
  assert.deepEqual(seen(), numbered(20));
  assert.deepEqual(await texts(page), numbered(20), "and stand so on the page");
  assert.equal(await page.$("#lines .pending, #lines .failed"), null);
});

test("a long line goes to the gateway and comes back compressed, through nginx", { timeout: 120000 }, async (t) => {
  const { page, bob, gateways } = await start(t);
  const line = "夜の駅で、だれもいない電車を待っていた。Nobody else was there. ".repeat(12).trim();
  await say(page, line);
  const { text } = await bob.waitFor({ type: "message", text: line });
  await until("it stands on the page", async () => (await texts(page)).includes(text));
  for (const name of ["inflated_messages_total", "deflated_frames_total"]) assert.ok((await metric(gateways[0], name)) > 0, name);
});

test("lines said while Redis does not answer arrive in order when it does", { timeout: 120000 }, async (t) => {
  const { page, bob, redis } = await start(t);
  redis.freeze(t);
  for (const text of numbered(20)) await say(page, text);
  await page.waitForFunction(() => document.querySelector("#band-text").textContent.startsWith("Not delivered yet"));
  redis.thaw();
  const seen = () => bob.messages().filter(({ from }) => from.name === "alice").map(({ text }) => text);
  await until("all have arrived", () => seen().length === 20, 60000);
  assert.deepEqual(seen(), numbered(20));
  await page.waitForFunction(() => document.querySelector("#band-text").textContent === "");
});

test("the newest line stays in view when the keyboard opens, and when the draft is tall", async (t) => {
  const { page, says } = await start(t, { args: ["--rate", "1000:3000"] });
  for (const text of numbered(60)) says(`line ${text}`);
  await sees(page, "line 60");
  await until("the end is seen", async () => (await belowTheEnd(page)) <= 1);
  await page.setViewportSize({ width: 390, height: 480 });
  await until("it is seen on a low screen", async () => (await belowTheEnd(page)) <= 1);
  await page.fill("#text", "x\n".repeat(14));
  await until("it is seen over a tall draft", async () => (await belowTheEnd(page)) <= 1);
  says("one more");
  await sees(page, "one more");
  await until("a new line is followed", async () => (await belowTheEnd(page)) <= 1);
});

test("on a phone, a tap on the button sends and leaves the keyboard, and Enter is a new line", async (t) => {
  const { page, bob } = await start(t, { device: phone });
  await page.tap("#text");
  await page.keyboard.type("one");
  await page.keyboard.press("Enter");
  await page.keyboard.type("two");
  assert.equal(await page.inputValue("#text"), "one\ntwo");
  await page.tap("#send");
  await bob.waitFor({ type: "message", text: "one\ntwo" });
  assert.equal(await page.evaluate(() => document.activeElement.id), "text");
  assert.equal(await page.getAttribute("#text", "enterkeyhint"), "enter");
});

test("what one reads further up stays where it is, whatever comes", { timeout: 120000 }, async (t) => {
  const { page, says } = await start(t, { args: ["--rate", "1000:3000"] });
  for (const text of numbered(1000)) says(`line ${text}`);
  await sees(page, "line 1000");
  await page.hover("#log");
  await page.mouse.wheel(0, -2000);
  await until("it is further up", async () => (await belowTheEnd(page)) > 500);
  const under = () => page.evaluate(() => {
    const { left, top } = document.querySelector("#log").getBoundingClientRect();
    const node = document.elementFromPoint(left + 100, top + 150).closest("li");
    return [node.textContent, Math.round(node.getBoundingClientRect().top)];
  });
  const before = await under();
  for (const text of numbered(1200)) says(`more ${text}`);
  await page.waitForFunction(() => document.querySelector("#pill").textContent.startsWith("1,200 new"));
  assert.deepEqual(await under(), before);
  assert.ok((await page.$$("#lines > li")).length > 2000, "nothing was taken away");
  await page.click("#pill");
  await until("the end is seen", async () => (await belowTheEnd(page)) <= 1);
  assert.ok((await page.$$("#lines > li")).length <= 1000);
  assert.equal(await page.isVisible("#pill"), false);
});

test("a reload keeps the draft and the last hundred lines; another tab has none of it", async (t) => {
  const { page, says, browser, nginx } = await start(t, { args: ["--rate", "1000:3000"] });
  for (const text of numbered(150)) says(`line ${text}`);
  await sees(page, "line 150");
  await page.fill("#text", "half said");
  await page.reload();
  await page.waitForSelector("#chat:not([hidden])");
  assert.equal(await page.inputValue("#text"), "half said");
  assert.deepEqual(await texts(page), numbered(150).slice(50).map((text) => `line ${text}`));
  says("after it");
  await sees(page, "after it");
  const other = await open(t, browser, nginx.origin);
  assert.ok(await other.isVisible("#entry"));
  assert.deepEqual(await texts(other), []);
});

test("lines of one speaker stand under one name, and the next speaker has the next", async (t) => {
  const { page, bob, says, nginx } = await start(t);
  const carol = await joined(t, nginx.url, "carol");
  for (const text of ["one", "two"]) says(text);
  await bob.waitFor({ type: "message", text: "two" });
  carol.send({ type: "say", text: "three", nonce: "c" });
  await carol.waitFor({ type: "ack", nonce: "c" });
  says("four");
  await sees(page, "four");
  const heads = await page.$$eval("#lines .message", (nodes) => nodes.map((node) => node.querySelector(".who")?.textContent ?? null));
  assert.deepEqual(heads, ["bob", null, "carol", "bob"]);
});

test("an empty room says so, and how to ask somebody in", async (t) => {
  const { nginx } = await startChat(t, 1);
  const browser = await startBrowser(t, "en-GB");
  const page = await open(t, browser, nginx.origin);
  await enter(page, "alice");
  await page.waitForSelector("#empty:not([hidden])");
  assert.match(await page.textContent("#empty"), /Nobody else is here yet/);
  await joined(t, nginx.url, "bob");
  await page.waitForSelector("#empty[hidden]", { state: "attached" });
});

test("who comes and goes within half a minute is one line, or none", async (t) => {
  const { page, nginx } = await start(t);
  const carol = await joined(t, nginx.url, "carol");
  await sees(page, "carol came in");
  await joined(t, nginx.url, "dave");
  await sees(page, "carol and dave came in");
  carol.send({ type: "leave" });
  await page.waitForFunction(() => document.querySelector("#lines .quiet").textContent.replace(/[\u2068\u2069]/g, "") === "dave came in");
  assert.equal((await page.$$("#lines .quiet")).length, 1);
});

test("somebody who is ignored is neither read nor counted, and can be heeded again", async (t) => {
  const { page, says, bob } = await start(t);
  says("before");
  await sees(page, "before");
  await page.click("#lines .who");
  await page.click("#card-ignore");
  for (const text of numbered(5)) says(text);
  bob.send({ type: "typing" });
  says("@alice look");
  await page.waitForFunction(() => document.querySelector("#lines .hidden-run").textContent.startsWith("7 lines hidden"));
  assert.deepEqual(await texts(page), []);
  assert.equal((await page.$$("#lines .hidden-run")).length, 1);
  assert.equal(await page.textContent("#writing"), "");
  assert.equal((await page.title()).startsWith("("), false);
  await page.click("#lines .hidden-run button");
  assert.equal((await texts(page)).length, 7);
  await page.reload();
  await page.waitForSelector("#lines .hidden-run");
  await page.click("#members .ignored .person");
  await page.click("#card-ignore");
  assert.equal((await texts(page)).length, 7);
});

test("what comes while one looks elsewhere is counted in the title, and marked where it begins", async (t) => {
  const { page, says, browser } = await start(t);
  says("seen");
  await sees(page, "seen");
  const hide = (hidden) => page.evaluate((hidden) => {
    Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
    Object.defineProperty(document, "visibilityState", { value: hidden ? "hidden" : "visible", configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  }, hidden);
  await hide(true);
  for (const text of ["one", "two", "three"]) says(text);
  await until("three are counted", async () => (await page.title()).startsWith("(3) "));
  says("@alice are you there?");
  await until("the mention is told", async () => (await page.title()).startsWith("(@4) "));
  assert.match(await page.getAttribute("#icon", "href"), /icon-dot/);
  await hide(false);
  await until("nothing is unread", async () => (await page.title()).startsWith("lobby"));
  assert.doesNotMatch(await page.getAttribute("#icon", "href"), /icon-dot/);
  const order = await page.$$eval("#lines > li", (nodes) => nodes.filter((node) => node.matches(".mark, .message")).map((node) => (node.matches(".mark") ? "mark" : node.querySelector(".text").textContent)));
  assert.deepEqual(order, ["seen", "mark", "one", "two", "three", "@alice are you there?"]);
  assert.ok(await page.$("#lines .hit"));
  await say(page, "here I am");
  await until("one's own line takes the mark away", async () => !(await page.$("#lines .mark")));
});

test("a name after @ is completed by keys, and the arrow brings back what one said last", async (t) => {
  const { page, bob, nginx } = await start(t);
  await joined(t, nginx.url, "bonnie");
  await sees(page, "bonnie");
  await page.focus("#text");
  await page.keyboard.type("hello @bo");
  await page.waitForSelector("#completions:not([hidden])");
  assert.deepEqual((await page.$$eval("#completions li", (nodes) => nodes.map((node) => node.textContent))).sort(), ["bob", "bonnie"]);
  const chosen = await page.textContent("#completions [aria-selected=true]");
  await page.keyboard.press("Enter");
  assert.equal(await page.inputValue("#text"), `hello @${chosen} `);
  await page.keyboard.type("there");
  await page.keyboard.press("Enter");
  await bob.waitFor({ type: "message", text: `hello @${chosen} there` });
  await page.keyboard.press("ArrowUp");
  assert.equal(await page.inputValue("#text"), `hello @${chosen} there`);
});

test("one's own lines stand in their order at every moment, below those of others, and each is put there once", { timeout: 120000 }, async (t) => {
  const { page, says, redis } = await start(t);
  await page.evaluate(() => {
    window.orders = new Set();
    window.added = 0;
    new MutationObserver((changes) => {
      window.added += changes.flatMap(({ addedNodes }) => [...addedNodes]).filter((node) => node.matches(".mine")).length;
      window.orders.add([...document.querySelectorAll("#lines .mine .text")].map((node) => node.textContent).join());
    }).observe(document.querySelector("#lines"), { childList: true });
  });
  redis.freeze(t);
  for (const text of numbered(5)) await say(page, text);
  redis.thaw();
  says("from bob");
  await sees(page, "from bob");
  await until("all are delivered", async () => !(await page.$("#lines .pending")));
  assert.deepEqual(await page.evaluate(() => [...window.orders]), ["1", "1,2", "1,2,3", "1,2,3,4", "1,2,3,4,5"]);
  assert.equal(await page.evaluate(() => window.added), 5);
});

test("what was not delivered is there after a reload, and arrives once", { timeout: 120000 }, async (t) => {
  const { page, bob, redis } = await start(t);
  redis.freeze(t);
  await say(page, "one");
  await say(page, "two");
  await page.reload();
  await page.waitForFunction(() => document.querySelectorAll("#lines .pending").length === 2);
  redis.thaw();
  await until("it is delivered", async () => (await texts(page)).length === 2 && !(await page.$("#lines .pending")));
  await say(page, "three");
  await bob.waitFor({ type: "message", text: "three" });
  assert.deepEqual(bob.texts(), ["one", "two", "three"]);
});

test("a line whose acknowledgement came before it stands there once after a reload", async (t) => {
  const { nginx } = await startChat(t, 1);
  const browser = await startBrowser(t, "en-GB");
  const page = await browser.newPage();
  let lost = false;
  await page.routeWebSocket(/\/room/, (socket) => {
    const server = socket.connectToServer();
    server.onMessage((text) => {
      const isOwn = JSON.parse(text).text === "once";
      if (isOwn && !lost) lost = true; // the connection ends before this one
      else socket.send(text);
    });
  });
  await page.goto(nginx.origin);
  await enter(page, "alice");
  await say(page, "once");
  await until("it is acknowledged", async () => lost && !(await page.$("#lines .pending")));
  await page.reload();
  await page.waitForFunction(() => document.querySelectorAll("#lines .message:not(.pending)").length === 1);
  await say(page, "and again");
  await until("what follows is there", async () => (await texts(page)).includes("and again") && !(await page.$("#lines .pending")));
  assert.deepEqual(await texts(page), ["once", "and again"]);
});

test("a name that was taken meanwhile leaves the conversation to whoever comes back under another", async (t) => {
  const { nginx } = await startChat(t, 1);
  const browser = await startBrowser(t, "en-GB");
  const page = await browser.newPage();
  let connection = null;
  let taken = false;
  await page.routeWebSocket(/\/room/, (socket) => {
    connection = socket;
    const server = socket.connectToServer();
    socket.onMessage((text) => {
      const { type, name } = JSON.parse(text);
      if (taken && type === "join" && name === "alice") socket.send(JSON.stringify({ type: "error", code: "name_taken", message: "taken", suggestion: "alice2" }));
      else server.send(text);
    });
  });
  await page.goto(nginx.origin);
  await enter(page, "alice");
  await say(page, "before");
  await until("it is delivered", async () => !(await page.$("#lines .pending")));
  taken = true;
  await connection.close({ code: 1001 });
  await page.click("#suggestion");
  await page.waitForSelector("#chat:not([hidden])");
  assert.deepEqual(await texts(page), ["before"]);
});

test("the ignored are offered nowhere, and their placeholder counts what is left of them", { timeout: 120000 }, async (t) => {
  const { nginx } = await startChat(t, 1);
  const browser = await startBrowser(t, "en-GB");
  const bob = await joined(t, nginx.url, "bob");
  const page = await browser.newPage();
  await page.clock.install();
  await page.goto(nginx.origin);
  await enter(page, "alice");
  const says = async (text) => {
    await bob.say(text);
    await page.waitForFunction((wanted) => [...document.querySelectorAll("#lines .text")].some((node) => node.textContent === wanted), text);
  };
  await says("early");
  await page.click("#lines .who");
  await page.click("#card-ignore");
  await page.fill("#text", "@bo");
  await page.waitForFunction(() => document.querySelectorAll("#stack svg").length === 1);
  assert.equal(await page.isHidden("#completions"), true);
  await page.fill("#text", "");
  await page.evaluate(() => document.activeElement.blur());
  await page.clock.fastForward(20 * 60000);
  await says("late");
  await page.waitForFunction(() => document.querySelector(".hidden-run").textContent.startsWith("2 lines hidden"));
  await page.clock.fastForward(11 * 60000);
  await page.waitForFunction(() => document.querySelector(".hidden-run").textContent.startsWith("1 line hidden"));
  await page.click(".hidden-run button");
  assert.deepEqual(await texts(page), ["late"]);
  assert.equal(await page.evaluate(() => document.activeElement.querySelector(".text")?.textContent), "late");
});
