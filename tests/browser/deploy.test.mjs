// The page during a deploy.
import assert from "node:assert/strict";
import test from "node:test";
import { atEnd, joined, startGateway, startNginx, startRedis, until } from "../lib/harness.mjs";
import { enter, open, say, sees, startBrowser } from "../lib/page.mjs";

test("during a deploy the page reconnects by itself: no reload, no missed message, and no leave is shown", async (t) => {
  const redis = await startRedis(t);
  const args = ["--drain", "2", "--trusted-proxy", "127.0.0.1"];
  const old = await startGateway(t, { redis, args });
  const nginx = await startNginx(t, [`127.0.0.1:${old.port}`]);
  const elsewhere = await startGateway(t, { redis });
  const browser = await startBrowser(t);
  const page = await open(t, browser, nginx.origin);
  await enter(page, "alice");
  await page.evaluate(() => (window.neverReloaded = true));
  const watcher = await joined(t, elsewhere.url, "watcher");
  const fresh = await startGateway(t, { redis, port: old.port, args }); // beside the old one, on its port
  let said = 0;
  const talk = setInterval(() => watcher.send({ type: "say", text: `line ${said}`, nonce: `${said++}` }), 100);
  atEnd(t, () => clearInterval(talk));
  await until("the talk has begun", () => said > 2);
  old.signal("SIGTERM");
  await say(page, "said in the middle of it");
  assert.deepEqual(await old.ended, { code: 0, signal: null });
  await until("she is on the new one", async () => (await fresh.stats()).resumes === 1 && said > 9);
  clearInterval(talk);
  await sees(page, `line ${said - 1}`);
  await watcher.waitFor({ type: "message", text: "said in the middle of it" });
  const texts = await page.$$eval("#log li.message:not(.mine) .text", (nodes) => nodes.map((node) => node.textContent));
  assert.deepEqual(texts, Array.from({ length: said }, (_, i) => `line ${i}`), "every line once, in order");
  assert.ok(!watcher.saw("left", "alice") && !watcher.saw("joined", "alice"), "nobody saw her go or come");
  assert.equal(await page.evaluate(() => window.neverReloaded), true);
  assert.equal(await page.$$eval("#log li.gap, #log li.failed, #log li.pending", (nodes) => nodes.length), 0);
});
