// The page when an action is forbidden or can never succeed.
import assert from "node:assert/strict";
import test from "node:test";
import { joined, until } from "../lib/harness.mjs";
import { enter, open, say, sees, startBrowser, startChat } from "../lib/page.mjs";

const blocked = { profile: { default_content_setting_values: { cookies: 2 } } }; // blocks storage, too

test("with site data blocked the page works; only a reload loses the identity", async (t) => {
  const { nginx } = await startChat(t, 1);
  const browser = await startBrowser(t, "en-GB", blocked);
  const watcher = await joined(t, nginx.url, "watcher");
  const page = await open(t, browser, nginx.origin);
  const throws = await page.evaluate(() => {
    try {
      return !sessionStorage;
    } catch (error) {
      return error.name;
    }
  });
  assert.equal(throws, "SecurityError", "the storage is blocked");
  await enter(page, "alice");
  await say(page, "nothing stored");
  await watcher.waitFor({ type: "message", text: "nothing stored" });
  await page.reload();
  await page.waitForSelector("#entry:not([hidden])");
  await enter(page, "alice2");
  await page.click("#leave");
  await page.waitForSelector("#entry:not([hidden])");
  await until("she has left", () => watcher.saw("left", "alice2"));
});

for (const [locale, told, never] of [
  ["en-GB", "Too long: 2001 characters; 2000 are allowed.", "not sent: There is something in it that cannot be sent."],
  ["ja-JP", "長すぎます（2001 文字）。2000 文字までです。", "送れませんでした: 送れない文字が入っています。"],
])
  test(`a text that is too long stays in the input field, and a message that cannot be sent is reported (${locale})`, async (t) => {
    const { nginx } = await startChat(t, 1);
    const browser = await startBrowser(t, locale);
    const watcher = await joined(t, nginx.url, "watcher");
    const page = await open(t, browser, nginx.origin);
    await enter(page, "alice");
    await say(page, "x".repeat(2001));
    assert.equal(await page.textContent("#say-error"), told);
    assert.equal((await page.inputValue("#text")).length, 2001);
    await page.press("#text", "Backspace");
    assert.equal(await page.textContent("#say-error"), "");
    await page.press("#text", "Enter");
    await watcher.waitFor({ type: "message", text: "x".repeat(2000) });
    await page.evaluate(() => {
      document.querySelector("#text").value = "half an emoji \ud83d";
      document.querySelector("#say-form").requestSubmit();
    });
    await page.waitForSelector("#log li.failed");
    assert.ok((await page.textContent("#log li.failed")).includes(never), await page.textContent("#log li.failed"));
    await say(page, "after it");
    await sees(page, "after it");
    await watcher.waitFor({ type: "message", text: "after it" });
  });

test("on a phone, a status line hides neither the room's name nor the end of the conversation", async (t) => {
  const { nginx } = await startChat(t, 1);
  const browser = await startBrowser(t, "en-GB");
  const page = await open(t, browser, nginx.origin);
  await page.setViewportSize({ width: 360, height: 640 });
  await enter(page, "alice");
  for (let i = 0; i < 3; i++) await say(page, `${"line\n".repeat(12)}${i}`);
  await page.waitForFunction(() => document.querySelectorAll("#log li.message:not(.pending)").length === 3);
  const looks = () => page.evaluate(() => {
    const name = document.querySelector("#room-name");
    const [log, last] = [document.querySelector("#log"), document.querySelector("#log li:last-child")].map((node) => node.getBoundingClientRect());
    const fits = document.documentElement.scrollWidth === innerWidth && document.documentElement.scrollHeight === innerHeight;
    return { fits, name: name.parentElement.scrollWidth <= name.parentElement.clientWidth, end: last.bottom <= log.bottom + 1 };
  });
  const well = async (what) => until(what, async () => Object.values(await looks()).every(Boolean));
  await well("all is seen");
  await page.evaluate(() => {
    document.querySelector("#text").value = "half an emoji \ud83d";
    document.querySelector("#say-form").requestSubmit();
  });
  await page.waitForSelector("#log li.failed .error");
  await well("why it failed is seen");
  await page.evaluate(() => {
    const { send } = WebSocket.prototype;
    WebSocket.prototype.send = function (text) {
      for (let i = 0; i < 500; i++) send.call(this, '{"type":"typing"}');
      WebSocket.prototype.send = send;
      send.call(this, text);
    };
  });
  await say(page, "and typing without end");
  await page.waitForFunction(() => document.querySelector("#status").textContent.startsWith("Too much was sent too fast."));
  await well("the wait is seen");
});
