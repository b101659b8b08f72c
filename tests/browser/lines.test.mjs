// What a line looks like, whatever somebody wrote: no markup is ever made of it.
import assert from "node:assert/strict";
import test from "node:test";
import { joined, until } from "../lib/harness.mjs";
import { enter, open, sees, startBrowser, startChat } from "../lib/page.mjs";

async function start(t, locale = "en-GB", path = "/") {
  const chat = await startChat(t, 1, ["--rate", "1000:3000"]);
  const browser = await startBrowser(t, locale);
  const page = await open(t, browser, chat.nginx.origin + path, /status of 404/);
  await enter(page, "alice");
  const bob = await joined(t, chat.nginx.url + (path === "/" ? "" : path.replace("/r", "")), "bob");
  let nonce = 0;
  return { ...chat, page, bob, says: (text) => bob.send({ type: "say", text, nonce: `${nonce++}` }) };
}

test("names, rooms and notices are shown as text, and no element is made of them", async (t) => {
  const { page, nginx, redis } = await start(t, "en-GB", "/r/__proto__");
  const nasty = ["<img src=x>", "__proto__", "constructor", "&amp;", "<i>\"'", "javascript:1"];
  for (const [i, name] of nasty.entries()) (await joined(t, `${nginx.url}/__proto__`, name)).send({ type: "say", text: `from ${i}`, nonce: "1" });
  for (const name of nasty) await page.waitForSelector(`#members bdi:text-is(${JSON.stringify(name)})`);
  for (const i of nasty.keys()) await sees(page, `from ${i}`);
  redis.run("PUBLISH", "yukizuri:{__proto__}", JSON.stringify({ type: "notice", text: "<b onclick=hit=1>closing</b>" }));
  await sees(page, "<b onclick=hit=1>closing</b>");
  assert.equal(await page.textContent("#room-name"), "__proto__");
  assert.match(await page.title(), /^__proto__ · /);
  await page.click("#room-button");
  await page.waitForSelector("#menu[open]");
  assert.equal(await page.$("img, #chat i, #chat b, #menu b"), null);
  assert.equal(await page.evaluate(() => window.hit), undefined);
  const answer = await page.goto(`${nginx.origin}/r/${encodeURIComponent('<img src=x onerror="hit=1">')}`);
  assert.equal(answer.status(), 404);
  assert.equal(await page.$("img"), null);
  assert.equal(await page.evaluate(() => window.hit), undefined);
});

test("addresses are links: with their brackets, without who might log in, and with what they really are", async (t) => {
  const { page, says } = await start(t);
  const said = [
    ["see https://en.example/wiki/Foo_(bar).", "https://en.example/wiki/Foo_(bar)"],
    ["(https://en.example/a)", "https://en.example/a"],
    ["「https://en.example/か」です", "https://en.example/か"],
    ["https://user:pw@evil.example/", null],
    ["https://", null],
  ];
  for (const [text] of said) says(text);
  says("https://раураl.com/in");
  await page.waitForFunction((n) => document.querySelectorAll("#lines .text").length === n, said.length + 1);
  const links = await page.$$eval("#lines .text", (nodes) => nodes.map((node) => node.querySelector("a")?.textContent ?? null));
  assert.deepEqual(links, [...said.map(([, link]) => link), "https://раураl.com/in"]);
  assert.equal(await page.textContent("#lines .message:last-child small"), " (xn--l-7sba6dbr.com)");
  for (const link of await page.$$("#lines a")) assert.equal(await link.getAttribute("rel"), "noopener noreferrer nofollow");
});

test("a text turns nothing round, is folded when it is long, and is big when it is emoji alone", async (t) => {
  const { page, says } = await start(t);
  says("\u202eevil\u202c and \u2067more");
  says("one\n\n\n\n\n\ntwo");
  says(Array.from({ length: 30 }, (_, i) => `row ${i}`).join("\n"));
  says("🎉👍🏽👩‍👩‍👧");
  says("🎉 hello");
  says("12");
  says("やあ");
  says("안녕");
  await page.waitForFunction(() => document.querySelectorAll("#lines .text").length === 8);
  const lines = await page.$$eval("#lines .message", (nodes) => nodes.map((node) => ({ text: node.querySelector(".text").textContent, lang: node.querySelector(".text").lang, jumbo: node.matches(".jumbo"), folded: node.matches(".folded") })));
  assert.doesNotMatch(lines[0].text, /[\u202a-\u202e\u2066-\u2069]/);
  assert.equal(lines[1].text, "one\n\n\ntwo");
  assert.deepEqual(lines.map(({ folded }) => folded), [false, false, true, false, false, false, false, false]);
  assert.deepEqual(lines.map(({ jumbo }) => jumbo), [false, false, false, true, false, false, false, false]);
  assert.deepEqual(lines.slice(6).map(({ lang }) => lang), ["ja", "ko"], "a voice for its language reads it");
  const height = () => page.$eval("#lines .message:has(.fold) .text", (node) => node.clientHeight);
  const folded = await height();
  await page.click("#lines .fold");
  assert.equal(await page.getAttribute("#lines .fold", "aria-expanded"), "true");
  assert.ok((await height()) > 2 * folded, `${folded} px, then ${await height()}`);
});

for (const [locale, path, script] of [["en-GB", "/", "Latin"], ["ja-JP", "/", "Han|Hiragana"]])
  test(`a tap suggests a name, another one each time (${locale})`, async (t) => {
    const { nginx } = await startChat(t, 1);
    const browser = await startBrowser(t, locale);
    const page = await open(t, browser, nginx.origin + path);
    const seen = [];
    for (let i = 0; i < 6; i++) {
      await page.click("#dice");
      await page.waitForFunction((before) => document.querySelector("#name").value !== before, seen.at(-1) ?? "");
      seen.push(await page.inputValue("#name"));
      assert.match(seen.at(-1), new RegExp(script.split("|").map((one) => `\\p{Script=${one}}`).join("|"), "u"));
      if (i > 0) assert.notEqual(seen[i], seen[i - 1]);
    }
    await page.click("#enter");
    await page.waitForSelector("#chat:not([hidden])");
    await until("it is one's name", async () => (await page.textContent("#members bdi")) === seen.at(-1));
  });
