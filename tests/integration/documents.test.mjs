// The names in the documents that programs and operators rely on are those of the gateway, and vice versa.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import test from "node:test";
import { summary, tables } from "../bench/report.mjs";
import { binary, filesBelow, get, startGateway, startRedis, top } from "../lib/harness.mjs";

const read = (name) => fs.readFileSync(path.join(top, name), "utf8");
const sources = ["common", "gateway"].flatMap((directory) => filesBelow(path.join(top, directory))).filter((file) => file.endsWith(".c")).map((file) => fs.readFileSync(file, "utf8")).join("\n");
const protocol = read("docs/protocol.md");
const operations = read("docs/operations.md");
const redisKeys = read("docs/redis.md");
const documents = [...fs.readdirSync(top), ...["docs", "deploy", "compose"].flatMap((folder) => filesBelow(path.join(top, folder)).map((file) => path.relative(top, file)))].filter((name) => name.endsWith(".md"));

/** The text below a heading, up to the next heading of its level or above. */
function section(document, title) {
  const lines = document.split("\n");
  const start = lines.findIndex((line) => /^#+ /.test(line) && line.replace(/^#+ /, "") === title);
  assert.ok(start >= 0, `there is a section ${title}`);
  const depth = lines[start].match(/^#+/)[0].length;
  const end = lines.findIndex((line, i) => i > start && /^#+ /.test(line) && line.match(/^#+/)[0].length <= depth);
  return lines.slice(start + 1, end < 0 ? undefined : end).join("\n");
}

/** The rows of the table that begins with this heading, each a list of cells. */
function rowsOf(document, heading) {
  const start = document.indexOf(`\n| ${heading} |`) + 1;
  assert.ok(start > 0, `there is a table of ${heading}`);
  return document.slice(start).split("\n\n")[0].split("\n").slice(2).map((row) => row.split(/(?<!\\)\|/).slice(1, -1).map((cell) => cell.trim()));
}

/** The words in the first column of that table. */
const firstColumn = (document, heading) => rowsOf(document, heading).flatMap(([cell]) => cell.match(/`[^`]+`|\d{4}/g).map((word) => word.replaceAll("`", "")));
const wordsOf = (text, ...patterns) => [...new Set(patterns.flatMap((pattern) => [...text.matchAll(pattern)].map(([, word]) => word)))].sort();

// --- protocol.md ---

/** Every JSON example; a line of the conversation at the end begins with its direction. */
const examples = [...protocol.matchAll(/```(json)?\n([^]*?)```/g)].flatMap(([, json, body]) => (json ? [body] : body.split("\n").filter((line) => /^[<>] /.test(line)).map((line) => line.slice(2))));

test("every example in protocol.md is JSON with a type", () => {
  assert.ok(examples.length > 20, `${examples.length} examples`);
  for (const example of examples) assert.equal(typeof JSON.parse(example).type, "string", example);
});

/** The functions that write messages: name and body. */
const writers = [...sources.matchAll(/^void message_add_(\w+)\([^]*?\n\{\n([^]*?)^\}/gm)];

/** The titles of messages below a heading, each with the types of its examples. */
function messagesOf(title) {
  const parts = section(protocol, title).split(/\n### /).slice(1);
  return parts.map((part) => ({ name: part.split("\n")[0], types: [...part.matchAll(/```json\n([^]*?)```/g)].map(([, json]) => JSON.parse(json).type) }));
}

test("every type of message is in protocol.md, once, with an example", () => {
  const parsed = wordsOf(sources, /\{"([a-z]+)", MESSAGE_[A-Z]+\}/g);
  const written = wordsOf(writers.map(([, , body]) => body).join("\n"), /\\"type\\":\\"([a-z]+)\\"/g);
  const pong = wordsOf(sources, /pong\[\] = "\{\\"type\\":\\"([a-z]+)\\"/g);
  const passedOn = wordsOf(sources, /strcmp\(type, "([a-z]+)"\) == 0/g);
  const ofClients = messagesOf("What a client sends");
  const ofGateway = messagesOf("What a client receives");
  assert.deepEqual(ofClients.map(({ name }) => name).sort(), parsed);
  assert.deepEqual(ofGateway.map(({ name }) => name).sort(), [...new Set([...written, ...pong, ...passedOn])].sort());
  for (const { name, types } of [...ofClients, ...ofGateway]) assert.ok(types.length > 0 && types.every((type) => type === name), name);
});

test("every field of a message that the gateway writes is in its part of protocol.md", () => {
  for (const [, type, body] of writers) {
    if (["string", "say"].includes(type)) continue; // no messages of their own
    const part = section(protocol, "What a client receives").split(/\n### /).find((text) => text.startsWith(`${type}\n`));
    assert.ok(part, `protocol.md has a heading ${type}`);
    for (const field of wordsOf(body, /\\"([a-z_]+)\\":/g)) assert.ok(part.includes(`"${field}"`) || part.includes(`\`${field}\``), `${type}: ${field}`);
  }
});

test("every error code is in protocol.md, once", () => {
  assert.deepEqual(firstColumn(protocol, "error").sort(), wordsOf(sources, /code = "([a-z_]+)"/g, /session_refuse\(session, "([a-z_]+)"/g));
});

test("every close code is in protocol.md, once, and no other", () => {
  const sent = wordsOf(sources.replaceAll("CONNECTION_TOO_SLOW", "4408"), /\{CONNECTION_CLOSED, ([1-9]\d{3}),/g);
  assert.ok(sent.length > 8, sent.join());
  const ofClientsAndPaths = ["1000", "1001", "1005", "1006"];
  const kept = ["4500", "4599"];
  assert.deepEqual(firstColumn(protocol, "close code").sort(), [...sent, ...ofClientsAndPaths, ...kept].sort());
});

test("every status of a refused handshake is in protocol.md", () => {
  const refused = wordsOf(sources, /\{([45]\d\d), "/g);
  assert.ok(refused.length > 8, refused.join());
  const told = rowsOf(protocol, "status").flatMap(([cell]) => cell.match(/\d{3}/g));
  assert.deepEqual(told.sort(), refused);
});

// --- redis.md ---

test("the commands that redis.md allows are those of the shipped user", () => {
  const commands = (text) => text.match(/\+[a-z|]+/g).sort();
  const user = read("deploy/redis/yukizuri.conf").match(/^user yukizuri .*$/m)[0];
  assert.deepEqual(commands(section(redisKeys, "ACL")), commands(user));
  for (const pattern of user.match(/[~&]\S+/g)) assert.ok(redisKeys.includes(pattern), pattern);
});

test("every script is in redis.md, once", () => {
  const scripts = filesBelow(path.join(top, "gateway/scripts")).map((file) => path.basename(file, ".lua"));
  assert.deepEqual(firstColumn(redisKeys, "script").sort(), scripts.filter((name) => name !== "prelude").sort());
});

test("every field of a room's head and of a member is in redis.md", () => {
  const scripts = filesBelow(path.join(top, "gateway/scripts")).map((file) => fs.readFileSync(file, "utf8")).join("\n");
  const fieldsOf = (pattern) => wordsOf(scripts.match(pattern)[1], /'([a-z_]+)',/g);
  const head = fieldsOf(/'HSET', head, ('epoch'[^]*?'')\)/);
  const member = fieldsOf(/'HSET', person\.key, ('id', person\.id, 'name'[^]*?'floor_epoch', epoch)/);
  assert.ok(head.length >= 5 && member.length >= 10, `${head} ${member}`);
  assert.deepEqual(firstColumn(redisKeys, "field of `head`").sort(), head);
  assert.deepEqual(firstColumn(redisKeys, "field of `member:NAME`").sort(), member);
});

// --- operations.md ---

test("every kind of a log line is in operations.md, once", () => {
  const said = wordsOf(sources, /\.kind = "([a-z-]+)"/g, /session_log\(session, "([a-z-]+)"/g, /log_(?:lease|once)\(\s*lease,[^"]*"([a-z-]+)"/g);
  assert.ok(said.length > 30, said.join());
  for (const word of ["resume", "join"]) if (!said.includes(word)) said.push(word);
  assert.deepEqual(firstColumn(operations, "kind").sort(), said.sort());
});

test("every reason in the log, and every limit, is in operations.md", () => {
  const log = section(operations, "The log");
  const whys = wordsOf(sources, /\{CONNECTION_\w+, \w+, "(?:client|network|gateway)", "([^"]+)"\}/g);
  const limits = wordsOf(sources, /\[REFUSAL_\w+\] =\s*\{"([a-z-]+)"/g);
  assert.ok(whys.length > 10 && limits.length > 10, `${whys}; ${limits}`);
  for (const why of whys) assert.ok(log.includes(`\`${why}\``), why);
  const settings = execFileSync(binary, ["--help"], { encoding: "utf8" });
  for (const limit of limits) assert.ok(settings.includes(`--${limit} `) || log.includes(`\`${limit}\``), limit);
});

test("the table of metrics is the one of /metrics, and the operator's questions name existing metrics", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  const { body } = await get(`${gateway.origin}/metrics`);
  const help = new Map([...body.matchAll(/^# HELP (?:yukizuri_)?(\S+) (.*)$/gm)].map(([, name, text]) => [name, text]));
  const told = [...body.matchAll(/^# TYPE (?:yukizuri_)?(\S+) (\S+)$/gm)].map(([, name, type]) => `| \`${name}\` | ${type} | ${help.get(name)} |`);
  assert.deepEqual(rowsOf(operations, "metric").map((cells) => `| ${cells.join(" | ")} |`).sort(), told.sort());
  const figures = wordsOf(rowsOf(operations, "question").flat().join("\n"), /`([a-z]+(?:_[a-z]+)+)`/g);
  assert.ok(figures.length > 10, figures.join());
  for (const name of figures) assert.ok(help.has(name), name);
});

// --- Generated texts ---

test("configuration.md is what yukizuri --help=markdown prints", () => {
  assert.equal(read("docs/configuration.md"), execFileSync(binary, ["--help=markdown"], { encoding: "utf8" }), "yukizuri --help=markdown > docs/configuration.md");
});

test("the settings in the README exist and have these defaults", () => {
  const all = new Map(rowsOf(read("docs/configuration.md"), "setting").map(([option, , value]) => [option.match(/--[a-z-]+/)[0], value]));
  const rows = rowsOf(read("README.md"), "option");
  assert.equal(rows.length, 8);
  for (const [option, value] of rows) {
    const name = option.replaceAll("`", "");
    assert.ok(all.has(name), name);
    const plain = value.replaceAll("`", "").replace(/ s$/, "");
    if (all.get(name) !== "") assert.equal(plain, all.get(name).replaceAll("`", ""), name);
  }
});

test("the tables of measurements are generated from the results", () => {
  const directory = path.join(top, "docs/bench");
  assert.ok(read("docs/benchmarks.md").includes(`\n${tables(directory)}\n`), "node tests/bench/report.mjs docs/bench");
  assert.ok(read("README.md").includes(`\n${summary(directory)}\n`), "node tests/bench/report.mjs docs/bench");
});

// --- All documents ---

/** The anchors of a document's headings, as GitHub makes them. */
const anchorsOf = (text) => text.split("\n").filter((line) => /^#+ /.test(line)).map((line) => line.replace(/^#+ /, "").toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, "").replace(/ /g, "-"));

test("every link from a document leads to a file, and to a heading in it", () => {
  let count = 0;
  for (const document of documents) {
    for (const [, target] of read(document).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      const [file, anchor] = target.split("#");
      const where = file === "" ? document : path.join(path.dirname(document), file);
      assert.ok(fs.existsSync(path.join(top, where)), `${document}: ${target}`);
      if (anchor) assert.ok(anchorsOf(read(where)).includes(anchor), `${document}: ${target}`);
      count++;
    }
  }
  assert.ok(count > 40, `${count} links`);
});

test("every document can be reached from the README", () => {
  const reached = new Set(["README.md"]);
  for (const document of reached)
    for (const [, file] of read(document).matchAll(/\]\(([^)#\s]+\.md)[^)]*\)/g)) {
      const where = path.normalize(path.join(path.dirname(document), file));
      if (!/^[a-z]+:/.test(file)) reached.add(where);
    }
  assert.deepEqual(documents.filter((document) => !reached.has(document)), []);
});

test("every file that a document names in backquotes with its folder exists", () => {
  for (const document of documents.filter((name) => name !== "CHANGELOG.md"))
    for (const [, name] of read(document).matchAll(/`((?:common|gateway|tests|deploy|compose|docs|templates|cmake)\/[\w./-]+)[^`]*`/g)) {
      const files = [name, `${name}.c`, `${name}.h`, `${name}.mjs`].map((file) => path.join(top, file));
      assert.ok(files.some((file) => fs.existsSync(file)), `${document}: ${name}`);
    }
});

/** The two data paths in ARCHITECTURE: lists of {file, functions, next}. */
const ways = () => read("ARCHITECTURE.md").split(/^## /m).filter((part) => /^(In|Out): /.test(part)).map((part) =>
  [...part.matchAll(/^\| `([\w/]+\.c)` \|([^|]*)\|([^|]*)\|/gm)].map(([, file, functions, next]) =>
    ({ file, functions: functions.match(/\w+/g), next: next.match(/\w+/)?.[0] })));

test("each step of the two data paths in ARCHITECTURE is a function of the named file, and calls the next one", () => {
  assert.deepEqual(ways().map((way) => way.length), [9, 8]);
  for (const way of ways()) for (const [i, { file, functions, next }] of way.entries()) {
    const code = read(`gateway/${file}`);
    for (const name of functions) assert.match(code, new RegExp(`^\\w[^;]*\\b${name}\\(`, "m"), `${file}: ${name}`);
    if (i === way.length - 1) { assert.equal(next, undefined, file); continue; }
    for (const side of [file, way[i + 1].file]) assert.match(read(`gateway/${side}`), new RegExp(`\\b${next}\\b`), `${side}: ${next}`);
  }
});

test("the order of an iteration in ARCHITECTURE and loop.h is the one in loop.c", () => {
  const does = { deliver: "fanout_flush", read: "poller_read", serve: "poller_read", end: "http_server_enforce", send: "broker_flush", write: "connections_flush" };
  const code = read("gateway/loop.c");
  const made = [...code.match(/^static void iterate\([^]*?^}/m)[0].matchAll(/(\w+)\(server->/g)].map(([, name]) => name);
  const steps = (text, pattern) => [...text.matchAll(pattern)].map(([, word]) => word);
  const told = steps(read("ARCHITECTURE.md").match(/^## One iteration\n([^]*?)^## /m)[1].split("Nothing but")[0], /\*(\w+)\*/g);
  const header = steps(read("gateway/loop.h"), /^ \*     (\w+)  /gm);
  for (const order of [told, header]) {
    assert.equal(order[0], "wait");
    assert.deepEqual(order.slice(1).map((word) => does[word]), made.slice(0, 7));
  }
  assert.ok(code.search(/while \(wait_for_events/) < code.search(/iterate\(server\);/), "it waits first");
});

test("no data path in ARCHITECTURE visits a file twice", () => {
  for (const way of ways()) assert.equal(new Set(way.map(({ file }) => file)).size, way.length);
});

test("README and ARCHITECTURE have 150 lines at most", () => {
  for (const document of ["README.md", "ARCHITECTURE.md"]) assert.ok(read(document).split("\n").length <= 151, document);
});

test("templates/lean-qr.js is the file of the package, whose licence stands in LICENSE", () => {
  const directory = path.join(top, "tests/node_modules/lean-qr");
  assert.equal(read("templates/lean-qr.js"), fs.readFileSync(path.join(directory, "nano.mjs"), "utf8"));
  assert.ok(read("LICENSE").includes(fs.readFileSync(path.join(directory, "LICENSE"), "utf8").trim()));
  assert.ok(read("LICENSE").includes(`lean-qr ${JSON.parse(fs.readFileSync(path.join(directory, "package.json"), "utf8")).version} `));
});
