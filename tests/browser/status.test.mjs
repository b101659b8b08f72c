// The page for operators: the figures of all gateways appear, and change.
import assert from "node:assert/strict";
import path from "node:path";
import test from "node:test";
import { joined, until } from "../lib/harness.mjs";
import { open, phone, shots, startBrowser, startChat } from "../lib/page.mjs";

test("/status shows the figures of each gateway behind a balancer, in both languages, and fits a phone", async (t) => {
  const { gateways, nginx } = await startChat(t, 2);
  const [alice, bob] = [await joined(t, gateways[0].url, "alice"), await joined(t, gateways[1].url, "bob")];
  const browser = await startBrowser(t, "en-US", null, phone);
  const page = await open(t, browser, `${nginx.origin}/status`);
  const requests = [];
  page.on("request", (request) => requests.push(new URL(request.url()).origin));
  const rows = (id) => page.$$eval(`#${id} tr`, (list) => list.map((row) => [...row.cells].map((cell) => cell.textContent)));
  await until("both gateways have answered", async () => (await rows("gateways")).filter(([, , connections]) => connections === "1").length === 2);
  assert.deepEqual((await rows("gateways")).map(([name]) => name), ["g0", "g1"]);
  for (const [, age] of await rows("gateways")) assert.match(age, /^[\d.,]+ m?s$/);
  assert.deepEqual(await rows("rooms"), [["lobby", "2"]]);
  assert.deepEqual((await rows("redis"))[0], ["connected", "yes"]);
  assert.match(await page.textContent("#state"), /2 gateways answer/);
  const figure = (name) => page.textContent(`[data-chart=${name}] b`);
  assert.equal(await figure("connections"), "2");
  assert.match(await figure("lag"), /^[\d.,]+ m?s$/);
  assert.equal(await page.locator("[data-chart=connections] polyline").count(), 2, "a line for each gateway");
  alice.send({ type: "say", text: "hello", nonce: "1" });
  await bob.waitFor({ type: "message" });
  const messages = () => page.$$eval("[data-chart=messages] polyline", (lines) => lines.map((line) => line.getAttribute("points")).join(" "));
  await until("messages a second are seen", async () => /,(?!98\.0)/.test(await messages())); // 98 is the ground
  bob.socket.close(1000);
  await until("the closed connection is counted", async () => (await rows("closes")).some(([code]) => code === "1000"));
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "nothing sticks out");
  await page.screenshot({ path: path.join(shots, "status-phone.png"), fullPage: true });
  assert.deepEqual([...new Set(requests)], [nginx.origin], "nothing is asked of another host");
  const japanese = await open(t, browser, `${nginx.origin}/status?lang=ja`);
  await japanese.waitForFunction(() => document.querySelector("#redis td")?.textContent === "接続している");
  assert.equal(await japanese.textContent("h1"), "稼働状況");
});

test("/status leaves out gateways that are older than it, and says so if no other answers", async (t) => {
  const { nginx } = await startChat(t, 1);
  const browser = await startBrowser(t, "en-US");
  const page = await browser.newPage();
  const names = [undefined, "caf%C3%A9", undefined]; // what each answer says that it is from
  let asked = 0;
  await page.route("**/api/stats", async (route) => {
    const response = await route.fetch();
    const { "yukizuri-gateway": _, ...headers } = response.headers();
    const { gateways, ...stats } = await response.json();
    const name = names[Math.min(asked++, names.length - 1)];
    await route.fulfill({ status: 200, headers: name ? { ...headers, "Yukizuri-Gateway": name } : headers, json: name ? { ...stats, gateways: { [decodeURIComponent(name)]: 0 } } : stats });
  });
  await page.goto(`${nginx.origin}/status`);
  await page.waitForFunction(() => document.getElementById("state").textContent.includes("cannot be read"));
  await page.waitForFunction(() => document.getElementById("state").textContent.includes("One gateway answers"));
  await until("an old one has answered again", () => asked >= 4);
  assert.match(await page.textContent("#state"), /One gateway answers/);
  assert.deepEqual(await page.$$eval("#gateways tr", (rows) => rows.map((row) => row.cells[0].textContent)), ["café"]);
});
