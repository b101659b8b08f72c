// A real Chromium on a real chat behind a real nginx.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { chromium } from "playwright-core";
import { atEnd, startGateway, startNginx, startRedis, temporaryDirectory, top } from "./harness.mjs";

const executablePath = process.env.CHROMIUM ?? ["/usr/bin/chromium", "/usr/bin/chromium-browser"].find((file) => fs.existsSync(file));
export const shots = path.join(top, "tests/browser/shots");
fs.mkdirSync(shots, { recursive: true });

export const phone = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true };

/** `preferences` are settings of the browser's profile, `device` are options of playwright's context. */
export async function startBrowser(t, locale = "ja-JP", preferences = null, device = {}) {
  const profile = temporaryDirectory(t);
  if (preferences) {
    fs.mkdirSync(path.join(profile, "Default"));
    fs.writeFileSync(path.join(profile, "Default/Preferences"), JSON.stringify(preferences));
  }
  const browser = await chromium.launchPersistentContext(profile, {
    executablePath,
    headless: true,
    locale,
    ...device,
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
  atEnd(t, () => browser.close());
  return browser;
}

export async function startChat(t, count = 2, args = []) {
  const redis = await startRedis(t);
  const gateways = [];
  for (let i = 0; i < count; i++) gateways.push(await startGateway(t, { redis, args: ["--trusted-proxy", "127.0.0.1", "--gateway-id", `g${i}`, ...args] }));
  const nginx = await startNginx(t, gateways.map((gateway) => `127.0.0.1:${gateway.port}`));
  return { redis, gateways, nginx };
}

/** A page whose errors fail the test. */
export async function open(t, browser, url, ignore = /WebSocket connection|ERR_CONNECTION_REFUSED|status of 50\d/) {
  const page = await browser.newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("console", (message) => message.type() === "error" && !ignore.test(message.text()) && errors.push(message.text()));
  atEnd(t, () => assert.deepEqual(errors, []));
  await page.goto(url);
  return page;
}

export async function enter(page, name) {
  await page.fill("#name", name);
  await page.click("#enter");
  await page.waitForSelector("#chat:not([hidden])");
}

export async function say(page, text) {
  await page.fill("#text", text);
  if (await page.evaluate(() => matchMedia("(pointer: coarse)").matches)) await page.tap("#send");
  else await page.press("#text", "Enter");
}

export const sees = (page, text) => page.waitForFunction((wanted) => document.querySelector("#log").innerText.replace(/[\u2068\u2069]/g, "").includes(wanted), text);

/** How far the end of the conversation is below what is seen, in pixels. */
export const belowTheEnd = (page) => page.$eval("#log", (log) => Math.round(log.scrollHeight - log.scrollTop - log.clientHeight));

/** The texts of the lines, as they stand. */
export const texts = (page) => page.$$eval("#lines .message:not([hidden]) .text", (nodes) => nodes.map((node) => node.textContent));

/** Leaves by the room's menu. */
export async function leave(page) {
  await page.click("#room-button");
  await page.click("#leave");
  await page.waitForSelector("#entry:not([hidden])");
}

export const names = (page) => page.$$eval("#members bdi", (nodes) => nodes.map((node) => node.textContent).sort());
