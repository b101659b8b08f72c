// What the README says of words that programs and operators rely on is what the gateway says.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import test from "node:test";
import { binary, filesBelow, get, startGateway, startRedis, top } from "../lib/harness.mjs";

const readme = fs.readFileSync(path.join(top, "README.md"), "utf8");
const source = (name) => fs.readFileSync(path.join(top, name), "utf8");
const sources = ["common", "gateway"].flatMap((directory) => filesBelow(path.join(top, directory))).filter((file) => file.endsWith(".c")).map((file) => fs.readFileSync(file, "utf8")).join("\n");
const section = (title) => readme.slice(readme.indexOf(`\n## ${title}\n`)).slice(1).split("\n## ")[0];

/** The words of the first column of the table that begins with this heading. */
function firstColumn(heading) {
  const rows = readme.slice(readme.indexOf(`\n| ${heading} |`) + 1).split("\n\n")[0].split("\n").slice(2);
  return rows.flatMap((row) => row.split("|")[1].match(/`[^`]+`|\d{4}/g).map((word) => word.replaceAll("`", "")));
}

const wordsOf = (text, ...patterns) => [...new Set(patterns.flatMap((pattern) => [...text.matchAll(pattern)].map(([, word]) => word)))].sort();

test("each kind of a log line is in the README, once", () => {
  const said = wordsOf(sources, /\.kind = "([a-z-]+)"/g, /session_log\(session, "([a-z-]+)"/g, /bus_log_redis\(\w+, "([a-z-]+)"/g, /tell\(lease, LOG_LEVEL_\w+, "([a-z-]+)"/g);
  assert.ok(said.length > 30, said.join());
  for (const word of ["resume", "join"]) if (!said.includes(word)) said.push(word);
  assert.deepEqual(firstColumn("kind").sort(), said.sort());
});

test("each code of an error is in the README, once", () => {
  assert.deepEqual(firstColumn("error").sort(), wordsOf(sources, /code = "([a-z_]+)"/g, /session_refuse\(session, "([a-z_]+)"/g));
});

test("each close code is in the README, once", () => {
  const sent = wordsOf(source("gateway/session_lost.c").replaceAll("CONNECTION_TOO_SLOW", "4408"), /CONNECTION_CLOSED, ([1-9]\d{3})/g);
  assert.deepEqual(firstColumn("close code").filter((code) => code < "4500"), sent);
});

test("each why of an end, and each limit, is in the README", () => {
  const log = section("The log");
  for (const why of wordsOf(source("gateway/session_lost.c"), /"(?:client|network|gateway)", "([^"]+)"/g)) assert.ok(log.includes(`\`${why}\``), why);
  const settings = execFileSync(binary, ["--help"], { encoding: "utf8" });
  for (const limit of wordsOf(source("gateway/refusals.c"), /\[REFUSAL_\w+\] =\s*\{"([a-z-]+)"/g)) assert.ok(settings.includes(`--${limit} `) || log.includes(`\`${limit}\``), limit);
});

test("the figures that the README sends operators to are there", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  const { body } = await get(`${gateway.origin}/metrics`);
  const rows = section("What an operator asks").split("\n").filter((row) => row.startsWith("| ")).slice(1);
  const figures = wordsOf(rows.join("\n"), /`([a-z]+(?:_[a-z]+)+)`/g);
  assert.ok(figures.length > 10, figures.join());
  for (const name of figures) assert.ok(body.includes(`# TYPE yukizuri_${name} `), name);
});
