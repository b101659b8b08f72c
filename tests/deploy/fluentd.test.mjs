// The configuration of fluentd: its grammar and its parameters, and that real lines of a gateway and of nginx go through it into the tables that it names.
// fluentd itself is no Debian package.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import test from "node:test";
import ltsv from "ltsv";
import { Member, Process, atEnd, freePort, get, joined, joinedFrom, ofKind, rawExchange, startGateway, startRedis, temporaryDirectory, top, until, untilOpen } from "../lib/harness.mjs";
import { FLOODS } from "../lib/floods.mjs";
import { complaintsAbout, readFluentd, routeOf } from "./lib/fluentd-config.mjs";

const directory = path.join(top, "deploy/fluentd");
const read = (name) => readFluentd(path.join(directory, name));
const SAID = "what people say is not for a table";

/** A line, by the letter of ltsv.org: its values are bytes. */
const parsed = (line) => Object.fromEntries(Object.entries(ltsv.parseLineStrict(Buffer.from(line).toString("latin1"))).map(([label, value]) => [label, Buffer.from(value, "latin1").toString()]));

/** A source of bigquery.conf with everything that its lines go through, as fluentd's documents describe it. */
class Pipeline {
  constructor(tag) {
    const root = read("bigquery.conf");
    this.source = root.all("source").find((source) => source.get("tag") === tag);
    Object.assign(this, routeOf(root, this.source));
    this.parse = this.source.one("parse");
    this.types = new Map(this.parse.get("types").split(",").map((pair) => pair.split(":")));
    const schema = this.match.get("schema_path").replace("/usr/share/yukizuri/", `${top}/deploy/`);
    this.fields = new Map(JSON.parse(fs.readFileSync(schema, "utf8")).map(({ name, type, mode }) => [name, { type, mode }]));
  }

  /** The record of a line, or null if a filter drops it. */
  record(line) {
    const { time, ...record } = parsed(line);
    assert.match(time, this.#timeFormat(), `time_format fits ${time}`);
    const missing = this.parse.get("null_value_pattern") && new RegExp(this.parse.get("null_value_pattern"));
    for (const [name, value] of Object.entries(record)) {
      if (missing?.test(value) || (value === "" && this.parse.get("null_empty_string") === "true")) record[name] = null;
      else if (this.types.has(name)) record[name] = this.types.get(name) === "integer" ? parseInt(value, 10) : parseFloat(value);
    }
    return this.filters.some((filter) => this.#drops(filter, record)) ? null : { ...record, time };
  }

  #timeFormat() {
    const parts = { Y: "\\d{4}", m: "\\d\\d", d: "\\d\\d", H: "\\d\\d", M: "\\d\\d", S: "\\d\\d", N: "\\d+", z: "[+-]\\d\\d:?\\d\\d" };
    return new RegExp(`^${this.parse.get("time_format").replaceAll(".", "\\.").replace(/%(\w)/g, (_, letter) => parts[letter])}$`);
  }

  #drops(filter, record) {
    return filter.all("exclude").some((rule) => new RegExp(rule.get("pattern").slice(1, -1)).test(record[rule.get("key")] ?? ""));
  }

  /** Fails unless BigQuery takes the record: it refuses a field that it does not know. */
  assertFits(record) {
    for (const [name, value] of Object.entries(record)) {
      assert.ok(this.fields.has(name), `the table has ${name}`);
      if (value === null) assert.equal(this.fields.get(name).mode, "NULLABLE", `${name} may be missing`);
      else assert.ok({ STRING: typeof value === "string", TIMESTAMP: typeof value === "string", INTEGER: Number.isInteger(value), FLOAT: Number.isFinite(value) }[this.fields.get(name).type], `${name} can be ${JSON.stringify(value)}`);
    }
    for (const [name, { mode }] of this.fields) if (mode === "REQUIRED") assert.ok(record[name] !== undefined, `${name} is there`);
  }
}

/** The text of which a gateway wrote the escaped form. */
const unescaped = (value) => Buffer.from(value.replace(/\\(x[0-9a-f]{2}|.)/g, (_, code) => ({ t: "\t", n: "\n", r: "\r", "\\": "\\" })[code] ?? `\u{f0000}${code.slice(1)}`)).toString();

for (const name of ["bigquery.conf", "files.conf"]) {
  test(`${name} is of fluentd's grammar, and its plugins have its parameters`, () => {
    const root = read(name);
    assert.deepEqual(complaintsAbout(root), []);
    const tails = root.all("source").filter(({ type }) => type === "tail");
    assert.deepEqual(tails.map((source) => source.get("tag")), ["yukizuri.gateway", "yukizuri.access"]);
    for (const source of tails) {
      const { match } = routeOf(root, source);
      assert.equal(match.one("inject").get("time_key"), "time", "the parser takes the time out of the record, and this puts it back");
      assert.equal(match.one("buffer").get("@type"), "file", "what waits outlives fluentd");
      assert.ok(source.get("encoding") === "UTF-8" || source.get("tag") === "yukizuri.access", "names in every script are text");
    }
  });
}

test("what does not reach BigQuery is kept in a file, and no secret is in the configuration", () => {
  const matches = read("bigquery.conf").all("label").flatMap(({ children }) => children).filter(({ type }) => type === "bigquery_insert");
  assert.equal(matches.length, 2);
  for (const match of matches) {
    assert.equal(match.one("secondary").type, "secondary_file");
    assert.match(match.get("table"), /_%Y%m%d$/, "a table a day");
    assert.equal(match.get("json_key"), "/etc/fluent/bigquery-key.json");
    for (const name of ["project", "dataset"]) assert.match(match.get(name), /^"#\{ENV\['YUKIZURI_BIGQUERY_\w+'\]\}"$/);
  }
});

test("the check refuses what fluentd would ignore or refuse", (t) => {
  const file = path.join(temporaryDirectory(t), "wrong.conf");
  const complaints = (text) => {
    fs.writeFileSync(file, text);
    return complaintsAbout(readFluentd(file)).join("\n");
  };
  assert.match(complaints("<match a>\n@type bigquery\nmethod insert\n</match>"), /unknown @type bigquery/);
  assert.match(complaints("<match a>\n@type relabel\n@label @NOWHERE\n</match>"), /no label @NOWHERE/);
  assert.match(complaints("<match a>\n@type file\npath /a.%Y%m%d\n<buffer>\ntimekey 1d\n</buffer>\n</match>"), /needs <buffer time>/);
  assert.match(complaints("<match a>\n@type file\npath /a\n<buffer>\nbuffer_queue_limit 10\n</buffer>\n</match>"), /no parameter buffer_queue_limit/);
  assert.match(complaints("<source>\n@type tail\ntag a\npath /a\npos_file /b\nformat ltsv\n</source>"), /no parameter format/);
  assert.throws(() => complaints("<source>\n@type tail\n"), /does not end/);
  assert.throws(() => complaints("<source>\n</match>"), /ends nothing/);
});

const HOSTILE = ["tab\there", "line\nkind:start", "back\\slash\\t", "bell\u0007", "c1\u0085", "a:b:c", "葛城ミサト", "🐈‍⬛👩🏽‍🚀", "ابن بطوطة", "e\u0301\u0323", "-", "null", '"quoted"', "=1+1"];

test("every line of a gateway's log has its place in the table, whatever the names are, and what people say has none", { timeout: 120000 }, async (t) => {
  const redis = await startRedis(t, { shipped: false }); // its user may be refused something
  redis.run("ACL", "SETUSER", "tester", "on", ">secret", "~*", "&*", "+@all");
  const args = ["--log-text", "--rate", "1:3", "--max-members", "30", "--max-connections-per-address", "1", "--trusted-proxy", "127.0.0.1"];
  const gateway = await startGateway(t, { redis: `redis://tester:secret@127.0.0.1:${redis.port}`, args });
  for (const [i, name] of HOSTILE.entries()) {
    const member = await new Member(t, `${gateway.url}/${encodeURIComponent("葛城")}`, { headers: { "X-Forwarded-For": `192.0.2.${i + 1}` } }).opened();
    await member.askToJoin(name);
  }
  const alice = await joinedFrom(t, gateway.url, "alice", "198.51.100.1");
  await alice.say(SAID);
  for (let i = 0; i < 10; i++) FLOODS.lines(alice);
  redis.run("PUBLISH", "yukizuri:{lobby}", '{"type":"nothing of ours"}');
  await get(`${gateway.origin}/`, { headers: { "X-Forwarded-For": "198.51.100.1" } });
  const second = new Member(t, gateway.url, { headers: { "X-Forwarded-For": "198.51.100.1" } });
  await until("a limit refuses the second connection of an address", () => second.socket.readyState > 1);
  await until("that is logged", () => ["limit", "flood", "dropped-event"].every((kind) => ofKind(gateway, kind).length > 0));
  redis.run("ACL", "SETUSER", "tester", "resetchannels", "&yukizuri:gateway:*");
  const bob = await new Member(t, `${gateway.url}/den`, { headers: { "X-Forwarded-For": "198.51.100.2" } }).opened();
  bob.send({ type: "join", name: "bob" });
  await until("a channel is refused", () => ofKind(gateway, "subscribe-refused").length > 0);
  alice.socket.terminate();
  await until("that is logged", () => ofKind(gateway, "lost").length > 0);
  const lines = gateway.output.split("\n").slice(0, -1);
  const pipeline = new Pipeline("yukizuri.gateway");
  const records = lines.map((line) => pipeline.record(line));
  assert.ok(gateway.output.includes(SAID), "it is in the log, because log-text says so");
  assert.ok(!JSON.stringify(records).includes(SAID));
  const kept = records.filter((record) => record !== null);
  for (const record of kept) pipeline.assertFits(record);
  const seen = new Set(kept.flatMap(Object.keys));
  assert.deepEqual([...pipeline.fields.keys()].filter((name) => !seen.has(name)), [], "the table has no field that the log lacks");
  const names = kept.filter(({ kind }) => kind === "join").map(({ username }) => unescaped(username));
  for (const name of HOSTILE) {
    const taken = names.includes(name.normalize("NFC"));
    const refused = kept.some(({ kind, message }) => kind === "join-refused" && message.length > 0);
    assert.ok(taken || refused, `${JSON.stringify(name)} is in one field`);
  }
  for (const name of ["葛城ミサト", "ابن بطوطة", "back\\slash\\t", "a:b:c", "-", "null"]) assert.ok(names.includes(name), `${name} comes through unchanged`);
  assert.equal(kept.filter(({ kind }) => kind === "start").length, 1, "nobody forged a line");
});

/** nginx with the shipped configuration and an access log. */
async function startNginx(t, upstream) {
  const home = temporaryDirectory(t);
  const port = await freePort();
  const log = path.join(home, "access.log");
  const render = path.join(top, "deploy/nginx/render.sh");
  const args = ["--listen", `127.0.0.1:${port}`, "--upstream", upstream, "--access-log", log, "--whole", home, "--user", os.userInfo().username];
  fs.writeFileSync(path.join(home, "nginx.conf"), execFileSync(render, args));
  const nginx = new Process(t, "/usr/sbin/nginx", ["-e", path.join(home, "error.log"), "-p", home, "-c", path.join(home, "nginx.conf"), "-g", "daemon off;"]);
  atEnd(t, () => nginx.stop("SIGTERM"));
  await untilOpen({ port, host: "127.0.0.1" });
  return { port, origin: `http://127.0.0.1:${port}`, url: `ws://127.0.0.1:${port}/room`, lines: () => fs.readFileSync(log, "utf8").split("\n").slice(0, -1) };
}

test("every line of nginx' access log has its place in the table, whatever clients send", { timeout: 120000 }, async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  const nginx = await startNginx(t, `127.0.0.1:${gateway.port}`);
  const agents = ["Mozilla/5.0 (X11; Linux x86-64)", "tab\there", 'quote " and \\x09 back\\slash', "-", ""];
  for (const agent of agents) await get(`${nginx.origin}/`, { headers: { "User-Agent": agent, Referer: `https://chat.example.org/r/a-b-${agents.indexOf(agent)}?q=1` } });
  await rawExchange(nginx.port, Buffer.from("GET /r/\xe8\x91\x9b?a=\tb HTTP/1.0\r\nUser-Agent: \xe8\x91\x9b\r\n\r\n", "latin1"));
  await rawExchange(nginx.port, "nonsense\r\n\r\n");
  const member = await joined(t, nginx.url, "alice");
  member.socket.terminate();
  await until("all requests are logged, by one process or another", () => nginx.lines().length === agents.length + 3 && nginx.lines().some((line) => line.includes("\tstatus:101\t")));
  const pipeline = new Pipeline("yukizuri.access");
  const records = nginx.lines().map((line) => pipeline.record(line));
  for (const record of records) {
    pipeline.assertFits(record);
    assert.deepEqual(Object.keys(record).sort(), [...pipeline.fields.keys()].sort());
  }
  const [first, , , , last] = agents.map((_, i) => records.find(({ referer }) => referer?.includes(`/r/a-b-${i}`)));
  assert.equal(first.ua, agents[0], "a - in a value is no missing value");
  assert.equal(last.ua, null);
  assert.equal(first.status, 200);
  assert.ok(records.every(({ reqtime, size }) => reqtime >= 0 && size >= 0));
});
