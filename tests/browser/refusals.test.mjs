// The page when an action is forbidden or can never succeed.
import assert from "node:assert/strict";
import test from "node:test";
import { joined, until } from "../lib/harness.mjs";
import { enter, leave, open, say, sees, startBrowser, startChat } from "../lib/page.mjs";

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
  await leave(page);
  await until("she has left", () => watcher.saw("left", "alice2"));
});

for (const [locale, told, never] of [
  ["en-GB", "Too long by 1 character.", "Not sent: There is something in it that cannot be sent."],
  ["ja-JP", "1 文字長すぎます。", "送れませんでした。送れない文字が入っています。"],
])
  test(`a text that is too long stays in the input field, and a message that cannot be sent is reported (${locale})`, async (t) => {
    const { nginx } = await startChat(t, 1);
    const browser = await startBrowser(t, locale);
    const watcher = await joined(t, nginx.url, "watcher");
    const page = await open(t, browser, nginx.origin);
    await enter(page, "alice");
    await page.fill("#text", "x".repeat(1601));
    assert.equal(await page.textContent("#counter"), "399");
    await say(page, "x".repeat(2001));
    assert.equal(await page.textContent("#too-long"), told);
    assert.deepEqual([await page.textContent("#counter"), await page.isDisabled("#send")], ["−1", true]);
    assert.equal((await page.inputValue("#text")).length, 2001);
    await page.press("#text", "Backspace");
    assert.equal(await page.textContent("#too-long"), "");
    await page.press("#text", "Enter");
    await watcher.waitFor({ type: "message", text: "x".repeat(2000) });
    const half = "half an emoji \ud83d";
    await page.evaluate((text) => {
      document.querySelector("#text").value = text;
      document.querySelector("#say-form").requestSubmit();
    }, half);
    await page.waitForSelector("#lines .failed");
    assert.ok((await page.textContent("#lines .failed")).includes(never), await page.textContent("#lines .failed"));
    await page.click("#lines .failed .why button >> nth=1");
    assert.equal(await page.evaluate(() => document.querySelector("#text").value), half, "it is in the box again");
    assert.equal(await page.$("#lines .failed"), null);
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
  await page.waitForFunction(() => document.querySelectorAll("#lines .message:not(.pending)").length === 3);
  const looks = () => page.evaluate(() => {
    const name = document.querySelector("#room-name");
    const [log, last] = ["#log", "#lines > li:last-child"].map((one) => document.querySelector(one).getBoundingClientRect());
    const fits = document.documentElement.scrollWidth === innerWidth && document.documentElement.scrollHeight === innerHeight;
    return { fits, name: name.scrollWidth <= name.clientWidth + 1, end: last.bottom <= log.bottom + 1 };
  });
  const well = async (what) => until(what, async () => Object.values(await looks()).every(Boolean));
  await well("all is seen");
  await page.evaluate(() => {
    document.querySelector("#text").value = "half an emoji \ud83d";
    document.querySelector("#say-form").requestSubmit();
  });
  await page.waitForSelector("#lines .failed .why");
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
  await page.waitForFunction(() => document.querySelector("#band-text").textContent.startsWith("Too much was sent too fast."));
  await well("the wait is seen");
});
