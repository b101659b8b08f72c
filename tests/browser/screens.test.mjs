// Every screen, on a phone and a desktop, light and dark, in both languages: nothing is wider than the window, and a picture of each is
// in tests/browser/shots/.
import assert from "node:assert/strict";
import path from "node:path";
import test from "node:test";
import { joined, joinedFrom, until } from "../lib/harness.mjs";
import { enter, open, phone, say, sees, shots, startBrowser, startChat } from "../lib/page.mjs";

const desktop = { viewport: { width: 1280, height: 800 } };
const rooms = { lobby: "/", empty: "/r/harbour", crowd: "/r/festival", words: "/r/words" };

/** Who talks: name, address, and what they say, in turn. */
const talk = [
  ["さくら", "203.0.113.7", "こんばんは。雨、すごいですね"],
  ["Chloé", "198.51.100.23", "Bonsoir! I'm on the last train, so hello from somewhere near Nagano."],
  ["さくら", "203.0.113.7", "長野！ 遠いところから。"],
  ["さくら", "203.0.113.7", "駅の軒先で雨宿り中です ☔"],
  ["مها", "192.0.2.44", "مساء الخير من محطة طوكيو، المطر هنا أيضًا"],
  ["旅人", "203.0.113.99", "https://ja.wikipedia.org/wiki/ゆきずり_(小説) って読んだことありますか"],
  ["Chloé", "198.51.100.23", "🎉🚃🌧️"],
];

const words = [
  ["Ulf", "2001:db8::17", "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft".repeat(3)],
  ["じゅげむじゅげむごこうのすりきれか", "192.0.2.1", "寿限無寿限無五劫の擦り切れ海砂利水魚の水行末雲来末風来末食う寝る処に住む処".repeat(4)],
  ["Ulf", "2001:db8::17", Array.from({ length: 40 }, (_, i) => `row ${i}`).join("\n")],
  ["שרה", "192.0.2.9", "שלום לכולם! abc (def) 123"],
  ["👻", "192.0.2.10", "👩‍👩‍👧 👍🏽 🏴‍☠️"],
  ["Ulf", "2001:db8::17", "@alice @アリス do you see this?"],
];

async function people(t, url, lines) {
  const found = new Map();
  for (const [i, [name, address, text]] of lines.entries()) {
    if (!found.has(name)) found.set(name, await joinedFrom(t, url, name.slice(0, 16), address));
    await found.get(name).say(text, `${i}`);
  }
  return found;
}

for (const [locale, colorScheme, device, name] of [["ja-JP", "light", phone, "phone"], ["en-GB", "dark", phone, "phone"], ["en-GB", "light", desktop, "desktop"], ["ja-JP", "dark", desktop, "desktop"]])
  test(`every screen fits: ${name}, ${colorScheme}, ${locale}`, { timeout: 300000 }, async (t) => {
    const { nginx, redis, gateways } = await startChat(t, 1, ["--rate", "1000:3000"]);
    const browser = await startBrowser(t, locale, null, { ...device, colorScheme, reducedMotion: "reduce" });
    const language = locale.slice(0, 2);
    const me = language === "ja" ? "アリス" : "alice";
    const shoot = async (page, what) => {
      await page.evaluate(() => document.fonts.ready);
      await page.screenshot({ path: path.join(shots, `${what}-${name}-${colorScheme}-${language}.png`) });
      const [width, wanted] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
      assert.ok(width <= wanted, `${what} is ${width - wanted} px too wide`);
    };
    const at = (room) => nginx.url + rooms[room].replace("/r", "").replace(/^\/$/, "");
    const direct = (room) => `ws://127.0.0.1:${gateways[0].port}/room/${room}`; // nginx tells its own client's address
    let page = await open(t, browser, nginx.origin, /WebSocket|ERR_|status of/);
    await shoot(page, "entry");
    await joined(t, at("lobby"), me);
    await page.fill("#name", me);
    await page.click("#enter");
    await page.waitForSelector("#suggestion:not([hidden])");
    await shoot(page, "entry-taken");

    await page.goto(nginx.origin + rooms.empty);
    await enter(page, me);
    await page.waitForSelector("#empty:not([hidden])");
    await shoot(page, "empty");
    await page.close();

    // alone with others: two people, then many more
    page = await open(t, browser, nginx.origin + "/r/porch", /WebSocket|ERR_|status of/);
    await enter(page, me);
    const porch = await people(t, direct("porch"), talk);
    await say(page, language === "ja" ? "こんばんは！ ここは暖かいですね" : "Evening! It is warm in here.");
    await until("it is delivered", async () => !(await page.$("#lines .pending")));
    porch.get("さくら").send({ type: "typing" });
    await page.waitForFunction(() => document.querySelector("#writing").textContent);
    await page.waitForFunction(() => document.querySelectorAll("#members .person").length === 5);
    await shoot(page, "talk");
    for (const which of name === "phone" ? ["menu", "share"] : ["menu", "share", "keys"]) {
      await page.click("#room-button");
      await page.waitForSelector("#menu[open]");
      if (which !== "menu") await page.click(`#menu [data-open=${which}]`);
      await page.waitForSelector(`#${which}[open]`);
      if (which === "share") await page.waitForFunction(() => document.querySelector("#qr").width > 20 && document.querySelector("#qr").width < 300);
      await shoot(page, which);
      await page.keyboard.press("Escape");
    }
    await page.click("#lines .who");
    await page.waitForSelector("#card[open]");
    await shoot(page, "card");
    await page.click("#card-ignore");
    await page.waitForSelector("#lines .hidden-run");
    await shoot(page, "ignored");
    await page.fill("#text", "@");
    await page.waitForSelector("#completions:not([hidden])");
    await shoot(page, "completion");
    await page.fill("#text", "x".repeat(2001));
    await page.waitForFunction(() => document.querySelector("#too-long").textContent);
    await shoot(page, "too-long");
    await page.fill("#text", "");
    await page.close();

    page = await open(t, browser, nginx.origin + rooms.words, /WebSocket|ERR_|status of/);
    await enter(page, me);
    const speakers = await people(t, direct("words"), words);
    await sees(page, "do you see this");
    await shoot(page, "words");
    await page.$eval("#log", (log) => (log.scrollTop = 0));
    await page.waitForFunction(() => !document.querySelector("#log").matches(".follows"));
    for (let i = 0; i < 3; i++) await speakers.get("Ulf").say(`more ${i}`, `more ${i}`);
    await page.waitForSelector("#pill:not([hidden])");
    await shoot(page, "pill");
    await page.evaluate(() => document.querySelectorAll("#lines .message").forEach((node, i) => node.classList.add(i % 2 ? "old1" : "old2")));
    await page.click("#pill");
    await shoot(page, "faded");
    await page.evaluate(() => {
      document.querySelector("#text").value = "half \ud83d";
      document.querySelector("#say-form").requestSubmit();
    });
    await page.waitForSelector("#lines .failed");
    await shoot(page, "failed");
    await page.close();

    page = await open(t, browser, nginx.origin + rooms.crowd, /WebSocket|ERR_|status of/);
    await enter(page, me);
    for (const [count, what] of [[29, "thirty"], [1000, "thousand"]]) {
      const here = Number((await page.textContent("#people-button .count")).replace(/\D/g, ""));
      await Promise.all(Array.from({ length: count - here + (count === 29 ? 1 : 0) }, (_, i) => joined(t, at("crowd"), `${i % 2 ? "guest" : "客"} ${here + i}`)));
      await page.waitForFunction((wanted) => Number(document.querySelector("#people-button .count").textContent.replace(/\D/g, "")) === wanted, count === 29 ? 30 : 1000);
      await shoot(page, what);
      if (name === "phone") {
        await page.click("#people-button");
        await page.waitForSelector("#people-sheet[open]");
        await shoot(page, `${what}-people`);
        await page.keyboard.press("Escape");
      }
    }
    await page.close();

    for (const where of ["about", "status", "offline", "nothing"]) {
      const read = await open(t, browser, `${nginx.origin}/${where}`, /WebSocket|ERR_|status of/);
      await read.waitForLoadState("networkidle");
      await shoot(read, where);
      await read.close();
    }

    // what the band says: closings that an operator or another tab causes are made here, the rest is real
    page = await browser.newPage();
    let socket = null;
    await page.routeWebSocket(/\/room/, (route) => {
      socket = route;
      route.connectToServer();
    });
    await page.goto(nginx.origin + "/r/porch");
    await enter(page, `${me} 2`);
    const band = (shown) => page.waitForFunction((wanted) => document.querySelector("#band").matches(".shown") === wanted, shown);
    for (const [code, what] of [[4409, "elsewhere"], [4500, "ended"], [4429, "penalty"]]) {
      await socket.close({ code });
      await band(true);
      await shoot(page, `band-${what}`);
      if (what === "penalty") continue;
      await page.click("#band-button");
      await band(false);
    }
    await page.close();
    page = await open(t, browser, nginx.origin + "/r/porch", /WebSocket|ERR_|status of/);
    await enter(page, `${me} 3`);
    await browser.setOffline(true);
    await band(true);
    await shoot(page, "band-offline");
    await browser.setOffline(false);
    await band(false);
    redis.freeze(t);
    await say(page, language === "ja" ? "聞こえますか" : "Can you hear me?");
    await band(true);
    await shoot(page, "band-slow");
    redis.thaw();
    await band(false);
    await gateways[0].stop("SIGKILL");
    await band(true);
    await shoot(page, "band-lost");
  });
