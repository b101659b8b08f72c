// What the page shows of an operator's commands, in both languages. Each is also a picture in tests/browser/shots.
import assert from "node:assert/strict";
import path from "node:path";
import test from "node:test";
import { joined, startGateway, startRedis, until } from "../lib/harness.mjs";
import { enter, open, say, sees, shots, startBrowser } from "../lib/page.mjs";

const ignored = /WebSocket connection|status of (403|50\d)/;

async function start(t, locale, args = []) {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args });
  const browser = await startBrowser(t, locale);
  const order = (command) => redis.run("PUBLISH", "yukizuri:control", JSON.stringify({ room: "lobby", ...command }));
  const page = () => open(t, browser, gateway.origin, ignored);
  const shot = (one, name) => one.screenshot({ path: path.join(shots, `moderation-${name}-${locale.slice(0, 2)}.png`) });
  return { redis, gateway, order, page, shot };
}

/** Tries to come in, and returns what the entry says. */
async function refusedAt(page, name) {
  await page.fill("#name", name);
  await page.click("#enter");
  await page.waitForFunction(() => document.querySelector("#entry-error").textContent !== "");
  return page.textContent("#entry-error");
}

/** The end as a time of day, in the words of the language. */
const until2 = { "en-GB": /\(until .*\d\d:\d\d\)/, "ja-JP": /（.*\d{1,2}:\d\d まで）/ };
const words = {
  "en-GB": {
    banned: "You cannot come in here.", locked: "Nobody new can come in at the moment.", muted: "Not sent: You cannot speak here at the moment.", held: /^Slowly: the next line goes in \d+ s\.$/,
    cleared: "An operator has cleared this conversation.", ended: "The operator has closed this connection.", working: "Many people want to come in.",
  },
  "ja-JP": {
    banned: "ここには入れません。", locked: "いまは新しく入れません。", muted: "送れませんでした。いまは話せません。", held: /^ゆっくりどうぞ。次は \d+ 秒後に送ります。$/,
    cleared: "運営者がこの会話を消しました。", ended: "運営者がこの接続を閉じました。", working: "入りたい人が大勢います。",
  },
};

for (const [locale, told] of Object.entries(words)) {
  test(`who is banned is told at the entry why and until when (${locale})`, async (t) => {
    const { redis, page, shot } = await start(t, locale);
    redis.run("SET", "yukizuri:ban:127.0.0.1", "spam & more", "EX", "3600");
    const one = await page();
    const text = await refusedAt(one, "mallory");
    await shot(one, "banned");
    assert.ok(text.startsWith(told.banned) && text.endsWith("spam & more"), text);
    assert.match(text, until2[locale]);
    redis.run("SET", "yukizuri:ban:127.0.0.1", "for good");
    const other = await page();
    await until("the reason is the other one", async () => (await refusedAt(other, "mallory")) === `${told.banned} for good`);
    redis.run("DEL", "yukizuri:ban:127.0.0.1");
    await enter(one, "mallory");
  });

  test(`who is kicked is told that the operator did it, and with a ban why and until when (${locale})`, async (t) => {
    const { gateway, redis, order, page, shot } = await start(t, locale);
    const one = await page();
    await enter(one, "mallory");
    await one.waitForSelector("#empty", { state: "visible" });
    order({ do: "kick", name: "mallory" });
    await one.waitForFunction((text) => document.querySelector("#band-text").textContent === text, told.ended);
    await shot(one, "kicked");
    assert.equal(await one.isVisible("#empty"), false, "who is out is not asked to bring others in");
    const two = await page();
    await enter(two, "oscar");
    order({ do: "kick", name: "oscar", for: 3600, reason: "enough" });
    await two.waitForFunction((text) => document.querySelector("#band-text").textContent.startsWith(text), told.banned);
    await shot(two, "kicked-banned");
    assert.match(await two.textContent("#band-text"), until2[locale]);
    assert.ok((await two.textContent("#band-text")).endsWith("enough"));
    assert.equal(redis.run("GET", "yukizuri:ban:127.0.0.1"), "enough");
    await until("nobody is in", async () => (await gateway.stats()).members === 0);
  });

  test(`who is muted is told at the line why and until when (${locale})`, async (t) => {
    const { order, page, shot } = await start(t, locale);
    const one = await page();
    await enter(one, "mallory");
    await say(one, "before");
    await sees(one, "before");
    order({ do: "mute", name: "mallory", for: 600, reason: "calm down" });
    await say(one, "muted");
    await one.waitForSelector("#lines .failed .why");
    await shot(one, "muted");
    const why = await one.textContent("#lines .failed .why");
    assert.ok(why.startsWith(told.muted) && why.includes("calm down"), why);
    assert.match(why, until2[locale]);
  });

  test(`who is new at a locked room is told so (${locale})`, async (t) => {
    const { order, gateway, page, shot } = await start(t, locale);
    await joined(t, gateway.url, "alice");
    order({ do: "lock", for: 600 });
    const one = await page();
    const text = await refusedAt(one, "bob");
    await shot(one, "locked");
    assert.ok(text.startsWith(told.locked), text);
    assert.match(text, until2[locale]);
    order({ do: "unlock" });
    await until("it is open", async () => {
      await one.evaluate(() => document.querySelector("#enter").offsetParent && document.querySelector("#enter").click());
      return one.isVisible("#chat");
    });
  });

  test(`in slow mode a line waits, and the page says how long; it is sent then (${locale})`, async (t) => {
    const { order, redis, gateway, page, shot } = await start(t, locale);
    const watcher = await joined(t, gateway.url, "watcher");
    const one = await page();
    await enter(one, "alice");
    order({ do: "slow", every: 4, for: 600 });
    await until("it is slow", () => redis.run("EXISTS", "yukizuri:{lobby}:slow") === "1");
    for (const text of ["one", "two", "three"]) await say(one, text);
    await one.waitForFunction(() => document.querySelector("#held").textContent !== "");
    await shot(one, "slow");
    assert.match(await one.textContent("#held"), told.held);
    await watcher.waitFor({ type: "message", text: "three" });
    assert.deepEqual(watcher.texts(), ["one", "two", "three"]);
    assert.equal(await one.$("#lines .failed"), null);
  });

  test(`clear empties the view and says so (${locale})`, async (t) => {
    const { order, gateway, page, shot } = await start(t, locale);
    const bob = await joined(t, gateway.url, "bob");
    const one = await page();
    await enter(one, "alice");
    await bob.say("something bad");
    await sees(one, "something bad");
    order({ do: "clear" });
    await sees(one, told.cleared);
    await shot(one, "clear");
    assert.ok(!(await one.textContent("#log")).includes("something bad"));
    order({ do: "clear", reason: "in the operator's words" });
    await sees(one, "in the operator's words");
    assert.ok(!(await one.textContent("#log")).includes(told.cleared));
    await bob.say("something good");
    await sees(one, "something good");
  });

  test(`under pressure a newcomer's browser works, says so, and comes in; a reload does not work again (${locale})`, async (t) => {
    const { redis, gateway, page, shot } = await start(t, locale, ["--pressure", "2"]);
    const one = await page();
    const workers = [];
    one.on("worker", (worker) => workers.push(worker.url()));
    const work = /\/assets\/work\.\w+\.js$/;
    let goOn;
    const looked = new Promise((resolve) => (goOn = resolve));
    await one.route(work, (route) => looked.then(() => route.continue()));
    const entered = enter(one, "alice");
    await one.waitForFunction((text) => document.querySelector("#entry-state").textContent.startsWith(text), told.working);
    await shot(one, "work");
    goOn();
    await entered;
    assert.equal(workers.length, 1);
    assert.match(workers[0], work, "it is a worker that works");
    const asked = async () => (await gateway.stats()).errors.work_needed;
    assert.equal(await asked(), 1);
    await one.reload();
    await one.waitForSelector("#chat:not([hidden])");
    await say(one, "still here");
    await sees(one, "still here");
    assert.equal(await asked(), 1);
    redis.run("SET", "yukizuri:pressure", "3", "EX", "60");
    await until("the door is closed", async () => (await gateway.stats()).pressure === 3);
    const text = await refusedAt(await page(), "bob");
    assert.ok(text.startsWith(told.locked), text);
  });
}
