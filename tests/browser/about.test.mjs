// What a visitor is told of what is kept: sentences that follow the settings.
import assert from "node:assert/strict";
import test from "node:test";
import { open, startBrowser, startChat } from "../lib/page.mjs";

async function sentences(t, browser, args) {
  const { nginx } = await startChat(t, 1, args);
  const page = await open(t, browser, `${nginx.origin}/about`);
  await page.waitForFunction(() => [...document.querySelectorAll("[data-of]")].every((node) => node.textContent !== ""));
  const found = await page.$$eval("[data-of]", (nodes) => Object.fromEntries(nodes.map((node) => [node.dataset.of, node.textContent])));
  await page.close();
  return found;
}

test("each sentence says what the settings are, and another one when they change", async (t) => {
  const browser = await startBrowser(t, "en-GB");
  const one = await sentences(t, browser, ["--retention", "3600", "--leave-grace", "15"]);
  assert.match(one.retention, /^It is kept for 1 hour, at most 10,000 lines/);
  assert.match(one.disk, /never written to disk/);
  assert.match(one.text, /never written to a log/);
  assert.match(one.known, /for 15 seconds after the connection is lost; if a server fails, for about 25 seconds; if all stop, for 4 minutes at most\. It also stands beside what you said, and where you came and went/);
  assert.match(one.named, /^The log has your name/);
  assert.match(one.shown, /a part of your address/);
  assert.match(one.logged, /your whole address/);
  assert.match(one.stored, /your whole address\. What others see of it is kept as long as what is said\.$/);
  const other = await sentences(t, browser, ["--retention", "0", "--log-text=true", "--show-address", "off", "--log-address", "cloak", "--leave-grace", "60"]);
  assert.match(other.retention, /^It is passed on and not kept/);
  assert.doesNotMatch(other.retention + other.disk, /kept in memory/, "nothing is kept, so nothing is kept there");
  assert.match(other.text, /is written to the log/);
  assert.match(other.known, /for 1 minute after .* at most\.$/);
  assert.match(other.shown, /^Nobody in the room sees/);
  assert.match(other.logged, /a word that stands for/);
  assert.match(other.stored, /a word that stands for your address until midnight, and the key to it\.$/, "nothing that others see");
  const silent = await sentences(t, browser, ["--logging=false", "--log-address", "off", "--show-address", "off"]);
  assert.match(silent.named, /^There is no log/);
  assert.match(silent.logged, /there is none/);
  assert.match(silent.stored, /^The store does not have your address\.$/);
  for (const name of Object.keys(one)) assert.doesNotMatch(one[name] + other[name] + silent[name], /undefined|NaN|\[object/);
});

test("what is in the store is what others see of an address or what operators see, whichever tells more", async (t) => {
  const browser = await startBrowser(t, "en-GB");
  const seen = await sentences(t, browser, ["--show-address", "full", "--log-address", "off"]);
  assert.match(seen.logged, /^The log does not have your address/);
  assert.match(seen.stored, /^While you are here, the store has your whole address\. What others see of it is kept/);
  const both = await sentences(t, browser, ["--show-address", "cloak", "--log-address", "masked", "--retention", "0"]);
  assert.match(both.stored, /^While you are here, the store has a part of your address \(203\.0\.113\.x\)\.$/, "nothing is kept");
});

test("it says that Redis writes to disk, where it does; and all of it in Japanese", async (t) => {
  const browser = await startBrowser(t, "ja-JP");
  const { nginx, redis } = await startChat(t, 1);
  redis.run("CONFIG", "SET", "save", "60 1");
  redis.cut("normal");
  const page = await open(t, browser, `${nginx.origin}/about?lang=ja`);
  await page.waitForFunction(async () => (await (await fetch("/api/about")).json()).disk === "yes", null, { polling: 100 });
  await page.reload();
  await page.waitForFunction(() => document.querySelector("[data-of=disk]").textContent.includes("ディスクに書きます"));
  for (const text of await page.$$eval("[data-of]", (nodes) => nodes.map((node) => node.textContent))) assert.match(text, /[ぁ-ん]/);
  await page.click("main > p:last-child a");
  await page.waitForSelector("#entry:not([hidden])");
  assert.equal(await page.getAttribute("html", "lang"), "ja");
});
