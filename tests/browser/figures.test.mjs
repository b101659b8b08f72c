// What the page costs: bytes, requests, nodes, layouts, memory. Each figure is printed.
import assert from "node:assert/strict";
import test from "node:test";
import zlib from "node:zlib";
import { joined, until } from "../lib/harness.mjs";
import { enter, open, sees, startBrowser, startChat } from "../lib/page.mjs";

const FIRST_LOAD_BYTES = 28 * 1024;
const FIRST_LOAD_REQUESTS = 9;
const SECOND_LOAD_BYTES = 1500;
const SCRIPT_BYTES = 20000;
const NODES = 9000;
const LAYOUTS_A_MESSAGE = 0.4;
const HEAP_BYTES = 1.5e6;

test("the first load is small, comes from this host alone, and opens the form", async (t) => {
  const { nginx } = await startChat(t, 1);
  const browser = await startBrowser(t, "en-GB");
  const page = await browser.newPage();
  const network = await browser.newCDPSession(page);
  const requests = new Map();
  network.on("Network.requestWillBeSent", ({ requestId, request }) => requests.set(requestId, { url: request.url, bytes: 0 }));
  network.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => (requests.get(requestId).bytes = encodedDataLength));
  await network.send("Network.enable");
  await page.goto(nginx.origin, { waitUntil: "networkidle" });
  await page.waitForFunction(() => !document.querySelector("#broken"));
  const all = [...requests.values()].filter(({ bytes }) => bytes > 0); // not what came from the cache
  const bytes = all.reduce((sum, one) => sum + one.bytes, 0);
  t.diagnostic(`first load: ${bytes} bytes over the wire in ${all.length} requests`);
  for (const { url } of all) assert.equal(new URL(url).origin, nginx.origin);
  assert.ok(bytes <= FIRST_LOAD_BYTES, `${bytes} bytes: ${JSON.stringify(all)}`);
  assert.ok(all.length <= FIRST_LOAD_REQUESTS, JSON.stringify(all));
  let script = 0;
  for (const { url } of all.filter(({ url }) => url.endsWith(".js"))) script += zlib.gzipSync(await (await fetch(url)).text(), { level: 9 }).length;
  t.diagnostic(`scripts: ${script} bytes gzipped`);
  assert.ok(script <= SCRIPT_BYTES, `${script}`);
  requests.clear();
  await page.reload({ waitUntil: "networkidle" });
  const bytesAgain = [...requests.values()].reduce((sum, one) => sum + one.bytes, 0);
  t.diagnostic(`second load: ${bytesAgain} bytes over the wire`);
  assert.ok(bytesAgain <= SECOND_LOAD_BYTES, JSON.stringify([...requests.values()]));
});

test("a thousand lines and two hundred people are few nodes", { timeout: 180000 }, async (t) => {
  const { nginx } = await startChat(t, 1, ["--rate", "1000:3000"]);
  const browser = await startBrowser(t, "en-GB");
  const people = await Promise.all(Array.from({ length: 199 }, (_, i) => joined(t, nginx.url, `person ${i}`)));
  const page = await open(t, browser, nginx.origin);
  await enter(page, "alice");
  for (let i = 0; i < 1000; i++) people[(i * 7) % people.length].send({ type: "say", text: `line ${i} of what is said here`, nonce: `${i}` });
  await page.waitForFunction(() => document.querySelectorAll("#lines .message").length === 1000, null, { timeout: 60000 });
  await page.waitForFunction(() => document.querySelectorAll("#members li").length === 200);
  const nodes = await page.evaluate(() => document.querySelectorAll("*").length);
  t.diagnostic(`${nodes} elements with 1,000 lines and 200 people`);
  assert.ok(nodes <= NODES, `${nodes}`);
});

test("at two hundred messages a second the page keeps up, with few layouts, and in the end holds no more memory", { timeout: 240000 }, async (t) => {
  const { nginx } = await startChat(t, 1, ["--rate", "10000:30000"]);
  const browser = await startBrowser(t, "en-GB");
  const bob = await joined(t, nginx.url, "bob");
  const page = await open(t, browser, nginx.origin);
  await enter(page, "alice");
  const devtools = await browser.newCDPSession(page);
  await devtools.send("Performance.enable");
  const figure = async (name) => (await devtools.send("Performance.getMetrics")).metrics.find((metric) => metric.name === name).value;
  const heap = async () => {
    await devtools.send("HeapProfiler.collectGarbage");
    return figure("JSHeapUsedSize");
  };
  let said = 0;
  const flood = async (count, each) => {
    const end = said + count;
    while (said < end) {
      for (let i = 0; i < each; i++) bob.send({ type: "say", text: `line ${said}`, nonce: `${said++}` });
      await page.waitForFunction((last) => document.querySelector("#lines > li:last-child .text")?.textContent === last, `line ${said - 1}`, { polling: 16 });
    }
  };
  await page.evaluate(() => {
    window.ticks = [];
    for (let i = 0; i < 200; i++) setInterval(() => (window.ticks[i] = (window.ticks[i] ?? 0) + 1), 50);
  });
  await flood(2000, 20);
  await page.evaluate(() => (window.ticks = []));
  await page.waitForFunction(() => window.ticks.filter(Boolean).length === 200); // drawing stops nobody's timer
  const layouts = await figure("LayoutCount");
  const before = said;
  await page.evaluate(() => {
    window.frames = [];
    requestAnimationFrame(function note(at) {
      window.frames.push(at);
      requestAnimationFrame(note);
    });
  });
  await new Promise((resolve) => {
    const timer = setInterval(() => {
      bob.send({ type: "say", text: `line ${said}`, nonce: `${said++}` });
      if (said === before + 1000) resolve(clearInterval(timer));
    }, 5);
  });
  const shown = await page.$eval("#lines > li:last-child .text", (node) => Number(node.textContent.split(" ")[1]));
  t.diagnostic(`${Math.round(await page.evaluate(() => (window.frames.length * 1000) / (window.frames.at(-1) - window.frames[0])))} frames a second meanwhile`);
  t.diagnostic(`${said - 1 - shown} lines behind when the last was said`);
  assert.ok(said - 1 - shown <= 200, "no more than a second's lines");
  await sees(page, `line ${said - 1}`);
  const each = ((await figure("LayoutCount")) - layouts) / 1000;
  t.diagnostic(`${each.toFixed(2)} layouts a message at 200 messages a second`);
  assert.ok(each <= LAYOUTS_A_MESSAGE, `${each}`);
  const first = await heap();
  await flood(20000, 250);
  const last = await heap();
  t.diagnostic(`heap: ${(first / 1e6).toFixed(2)} MB, after 20,000 messages ${(last / 1e6).toFixed(2)} MB`);
  assert.ok(last - first < HEAP_BYTES, `${first} → ${last}`);
  await until("the list is pruned", async () => (await page.$$("#lines > li")).length <= 1000);
});
