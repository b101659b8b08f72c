// Who passes by: crests, the street, who came and went, who is writing, and what fades.
import assert from "node:assert/strict";
import test from "node:test";
import { joined, joinedFrom, until } from "../lib/harness.mjs";
import { enter, open, sees, startBrowser, startChat, texts } from "../lib/page.mjs";

const drawn = (node) => ({ shape: node.querySelector("path").getAttribute("d"), hue: [...node.classList].find((name) => /^h\d+$/.test(name)) });
const MINUTE = 60000;

test("a person has the same crest everywhere, one of its own, in the colour of its address", async (t) => {
  const { nginx, gateways } = await startChat(t, 2);
  const browser = await startBrowser(t, "en-GB");
  const bob = await joinedFrom(t, gateways[0].url, "bob", "203.0.113.7");
  const dave = await joinedFrom(t, gateways[1].url, "dave", "203.0.113.7");
  const erin = await joinedFrom(t, gateways[1].url, "erin", "203.0.114.7");
  assert.equal(bob.welcome.me.mark, dave.welcome.me.mark);
  assert.notEqual(bob.welcome.me.mark, erin.welcome.me.mark);
  const pages = [];
  for (const name of ["alice", "carol"]) {
    const page = await open(t, browser, nginx.origin);
    await enter(page, name);
    pages.push(page);
  }
  bob.send({ type: "say", text: "hello", nonce: "1" });
  dave.send({ type: "say", text: "hi", nonce: "1" });
  const crests = [];
  for (const page of pages) {
    await sees(page, "hello");
    await sees(page, "hi");
    for (const name of ["bob", "dave"]) {
      await page.waitForSelector(`#members .person:has(bdi:text-is("${name}"))`);
      const inList = await page.$eval(`#members .person:has(bdi:text-is("${name}")) .crest`, drawn);
      const inLog = await page.$eval(`#lines .message:has(.who:text-is("${name}")) .crest`, drawn);
      assert.deepEqual(inLog, inList, `${name} in the list and in the conversation`);
      crests.push({ name, ...inList });
    }
  }
  const [[bobs, daves], [bobsThere, davesThere]] = [crests.slice(0, 2), crests.slice(2)];
  assert.deepEqual(bobs, bobsThere, "as another page draws it");
  assert.deepEqual(daves, davesThere);
  assert.notEqual(bobs.shape, daves.shape, "another person has another");
  assert.equal(bobs.hue, daves.hue, "people of one address have one colour");
});

test("in the street a crest walks in with who joins, stirs while somebody writes, and goes with who leaves", async (t) => {
  const { nginx } = await startChat(t, 1, ["--leave-grace", "0"]);
  const browser = await startBrowser(t, "en-GB");
  const page = await open(t, browser, nginx.origin);
  await enter(page, "alice");
  const street = async () => (await page.$$("#crests .crest:not(.gone)")).length;
  await until("she is there herself", async () => (await street()) === 1);
  const bob = await joined(t, nginx.url, "bob");
  const dave = await joined(t, nginx.url, "dave");
  await until("all three are there", async () => (await street()) === 3);
  bob.send({ type: "typing" });
  await page.waitForSelector("#crests .writes");
  assert.equal((await page.textContent("#writing")).replace(/[\u2068\u2069]/g, ""), "bob is writing…");
  dave.send({ type: "typing" });
  await page.waitForFunction(() => document.querySelectorAll("#crests .writes").length === 2);
  assert.equal((await page.textContent("#writing")).replace(/[\u2068\u2069]/g, ""), "bob and dave are writing…");
  bob.send({ type: "say", text: "there", nonce: "1" });
  await page.waitForFunction(() => document.querySelectorAll("#crests .writes").length === 1);
  bob.send({ type: "leave" });
  await until("who left has gone from the street", async () => (await street()) === 2);
  await page.waitForFunction(() => !document.querySelector("#crests .gone"));
  assert.equal(await page.$("#chat [style], #lines [style]"), null, "nothing is styled in its markup");
});

test("whom one points at in the list keeps the focus while others speak and come", async (t) => {
  const { nginx } = await startChat(t, 1);
  const browser = await startBrowser(t, "en-GB");
  const bob = await joined(t, nginx.url, "bob");
  const page = await open(t, browser, nginx.origin);
  await enter(page, "alice");
  const names = () => page.$$eval("#members bdi", (nodes) => nodes.map((node) => node.textContent).join());
  const dave = await joined(t, nginx.url, "dave");
  await until("all are listed", async () => (await names()) === "alice,bob,dave");
  await page.focus('#members .person:has(bdi:text-is("bob"))');
  dave.send({ type: "say", text: "hello", nonce: "1" });
  await until("who spoke last stands before", async () => (await names()) === "alice,dave,bob");
  await joined(t, nginx.url, "erin");
  await until("she is listed", async () => (await names()) === "alice,dave,bob,erin");
  assert.equal(await page.evaluate(() => document.activeElement.querySelector("bdi").textContent), "bob");
  bob.send({ type: "leave" });
  await until("he has left the list", async () => (await names()) === "alice,dave,erin");
});

test("when four hundred come at once, some are named and all are counted", { timeout: 120000 }, async (t) => {
  const { nginx } = await startChat(t, 2);
  const browser = await startBrowser(t, "en-GB");
  await browser.addInitScript(() => sessionStorage.setItem("yukizuri:settings", JSON.stringify({ quiet: "on" })));
  const page = await open(t, browser, nginx.origin);
  await enter(page, "alice");
  await Promise.all(Array.from({ length: 400 }, (_, i) => joined(t, nginx.url, `g${i}`)));
  await page.waitForFunction(() => document.querySelector("#people-button .count").textContent === "401");
  await page.waitForFunction(() => document.querySelector("#lines .quiet")?.textContent.endsWith("395 others came in"));
  assert.equal((await page.$$("#lines .quiet")).length, 1);
  assert.equal((await page.textContent("#lines .quiet")).match(/\u2068g\d+\u2069/g).length, 5);
});

test("lines fade by their age, go at its end, and stay while somebody reads further up", { timeout: 120000 }, async (t) => {
  const { nginx } = await startChat(t, 1, ["--rate", "1000:3000"]);
  const browser = await startBrowser(t, "en-GB");
  const bob = await joined(t, nginx.url, "bob");
  const page = await browser.newPage();
  await page.clock.install();
  await page.goto(nginx.origin);
  await enter(page, "alice");
  for (let i = 1; i <= 60; i++) bob.send({ type: "say", text: `line ${i}`, nonce: `${i}` });
  await sees(page, "line 60");
  const how = () => page.$$eval("#lines .message", (nodes) => ({ all: nodes.length, old1: nodes.filter((node) => node.matches(".old1")).length, old2: nodes.filter((node) => node.matches(".old2")).length }));
  assert.deepEqual(await how(), { all: 60, old1: 0, old2: 0 });
  await page.clock.fastForward(16 * MINUTE);
  assert.deepEqual(await how(), { all: 60, old1: 60, old2: 0 }, "after half of thirty minutes");
  await page.clock.fastForward(10 * MINUTE);
  assert.deepEqual(await how(), { all: 60, old1: 0, old2: 60 }, "shortly before their end");
  await page.$eval("#log", (log) => (log.scrollTop = 0));
  await page.waitForFunction(() => !document.querySelector("#log").matches(".follows"));
  await page.clock.fastForward(10 * MINUTE);
  assert.equal((await how()).all, 60, "nothing goes while it is read");
  await page.keyboard.press("Escape");
  await page.clock.fastForward(MINUTE);
  await until("they have gone", async () => (await how()).all === 0);
});

test("lines stay until one leaves, where that is wanted", async (t) => {
  const { nginx } = await startChat(t, 1);
  const browser = await startBrowser(t, "en-GB");
  const bob = await joined(t, nginx.url, "bob");
  const page = await browser.newPage();
  await page.clock.install();
  await page.goto(nginx.origin);
  await enter(page, "alice");
  bob.send({ type: "say", text: "stays", nonce: "1" });
  await sees(page, "stays");
  await page.click("#room-button");
  await page.selectOption("#set-fade", "0");
  await page.clock.fastForward(600 * MINUTE);
  assert.deepEqual(await texts(page), ["stays"]);
  assert.equal(await page.$("#lines .old1, #lines .old2"), null);
  await page.selectOption("#set-fade", "5");
  await until("and goes at once when it is older than is wanted now", async () => (await texts(page)).length === 0);
});

test("fading goes by this device's clock alone, however far that is from the server's", async (t) => {
  const { nginx } = await startChat(t, 1);
  const browser = await startBrowser(t, "en-GB");
  await browser.addInitScript(() => sessionStorage.setItem("yukizuri:settings", JSON.stringify({ fade: 5 })));
  const bob = await joined(t, nginx.url, "bob");
  const page = await browser.newPage();
  await page.clock.install({ time: new Date("2100-01-01") });
  await page.goto(nginx.origin);
  await enter(page, "alice");
  bob.send({ type: "say", text: "just said", nonce: "1" });
  await sees(page, "just said");
  await page.clock.fastForward(2 * MINUTE);
  assert.deepEqual(await texts(page), ["just said"]);
  assert.equal(await page.$("#lines .old1, #lines .old2"), null);
  await page.clock.fastForward(4 * MINUTE);
  await until("it has gone", async () => (await texts(page)).length === 0);
  await page.waitForSelector("#empty.together:not([hidden])");
});

test("when a visitor has come and gone, the empty room says again how to ask somebody in", async (t) => {
  const { nginx } = await startChat(t, 1, ["--leave-grace", "0"]);
  const browser = await startBrowser(t, "en-GB");
  const page = await open(t, browser, nginx.origin);
  await enter(page, "alice");
  await page.waitForSelector("#empty.alone:not([hidden])");
  const bob = await joined(t, nginx.url, "bob");
  await page.waitForSelector("#lines .quiet");
  bob.send({ type: "leave" });
  await page.waitForSelector("#lines .quiet", { state: "detached" });
  await page.waitForSelector("#empty.alone:not([hidden])");
});

test("people whom the welcome told of have not come in, though the first presence names them", async (t) => {
  const { nginx } = await startChat(t, 1);
  const browser = await startBrowser(t, "en-GB");
  const page = await browser.newPage();
  await page.routeWebSocket(/\/room/, (socket) => {
    const server = socket.connectToServer();
    server.onMessage((text) => {
      socket.send(text);
      const { type, seq } = JSON.parse(text);
      const person = { id: "AAAAAAAAAAA", name: "early" };
      if (type === "welcome") socket.send(JSON.stringify({ type: "presence", seq, joined: [person], left: [], came: 3, went: 0, count: 1 }));
    });
  });
  await page.goto(nginx.origin);
  await enter(page, "alice");
  await joined(t, nginx.url, "bob");
  await page.waitForFunction(() => document.querySelector("#lines .quiet")?.textContent.includes("bob"));
  assert.equal((await page.textContent("#lines .quiet")).replace(/[\u2068\u2069]/g, ""), "bob came in");
});
