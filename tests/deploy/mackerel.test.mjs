// The configuration of mackerel-agent: its TOML, the plugins and options that it names, and that the figures, addresses and processes are there.
// The agent and its plugins are no Debian packages.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import test from "node:test";
import { parse } from "smol-toml";
import { Process, binary, get, joined, parseLog, processes, shortDirectory, startGateway, startNginx, startRedis, temporaryDirectory, top, until } from "../lib/harness.mjs";
import { readFluentd } from "./lib/fluentd-config.mjs";

const place = path.join(top, "deploy/mackerel");
const read = (file) => parse(fs.readFileSync(path.join(place, file), "utf8"));
const configuration = read("mackerel-agent.conf");
const parts = fs.readdirSync(path.join(place, "conf.d")).map((file) => read(`conf.d/${file}`));

// The options of each plugin, from its README and its flags: https://github.com/mackerelio/mackerel-agent-plugins (the directory of each plugin),
// https://github.com/mackerelio/mackerel-plugin-json, https://github.com/mackerelio/go-check-plugins. Plugins for figures have Go's flags (-name=value),
// checks have long options (--name=value).
const metricPlugins = {
  "mackerel-plugin-json": ["url", "prefix", "insecure", "include", "exclude"],
  "mackerel-plugin-nginx": ["uri", "scheme", "host", "port", "path", "tempfile", "header"],
  "mackerel-plugin-accesslog": ["metric-key-prefix", "format", "posfile", "no-posfile"],
  "mackerel-plugin-fluentd": ["host", "port", "plugin-type", "plugin-id-pattern", "tempfile"],
  "mackerel-plugin-linux": ["type", "tempfile"],
  "mackerel-plugin-inode": ["tempfile"],
  "mackerel-plugin-conntrack": ["tempfile"],
};
const checkPlugins = {
  "check-procs": ["warning-over", "critical-over", "warning-under", "critical-under", "pattern", "exclude-pattern", "user", "user-not", "state"],
  "check-http": ["url", "status", "no-check-certificate", "source-ip", "pattern", "max-redirects"],
  "check-log": ["file", "pattern", "suppress-pattern", "exclude", "warning-over", "critical-over", "return", "icase", "state-dir", "encoding", "missing"],
  "check-redis": ["host", "port", "socket", "timeout"],
  "check-uptime": ["warning-under", "critical-under", "warning-over", "critical-over"],
  "check-ntpoffset": ["critical", "warning", "ntp-servers", "ntp-timeout"],
};
const checkSettings = ["command", "user", "notification_interval", "check_interval", "max_check_attempts", "timeout_seconds", "prevent_alert_auto_close", "custom_identifier", "memo", "env", "action"];
const metricSettings = ["command", "user", "timeout_seconds", "custom_identifier", "include_pattern", "exclude_pattern", "env"];

/** A command in parts: its name, its options as an object, and the other words. */
function inParts([name, ...words]) {
  const options = {};
  const rest = [];
  for (const word of words) {
    const [, option, value] = /^--?([\w-]+)(?:=(.*))?$/s.exec(word) ?? [];
    if (option) options[option] = value;
    else rest.push(word);
  }
  return { name, options, rest };
}

/** A command is a list of words or a line for sh, which may set variables from files before it. */
const wordsOf = (command) => (Array.isArray(command) ? command : command.replace(/^(?:\w+=\$\(cat [^)]*\) )*exec /, "").split(" "));
const sections = (kind) => [configuration, ...parts].flatMap(({ plugin }) => Object.entries(plugin[kind] ?? {}));
const metrics = sections("metrics").map(([name, settings]) => ({ name, settings, command: inParts(wordsOf(settings.command)) }));
const checks = sections("checks").map(([name, settings]) => ({ name, settings, command: inParts(wordsOf(settings.command)) }));
const commandsOf = (list, plugin) => list.map(({ command }) => command).filter(({ name }) => name === plugin);

test("the configuration names only plugins, options and settings that exist", () => {
  assert.deepEqual(Object.keys(configuration).sort(), ["include", "plugin", "roles"]);
  for (const part of parts) assert.deepEqual(Object.keys(part), ["plugin"]);
  for (const { plugin } of [configuration, ...parts]) assert.deepEqual(Object.keys(plugin).filter((kind) => !["checks", "metrics"].includes(kind)), []);
  for (const [list, plugins, settings, dashes] of [
    [metrics, metricPlugins, metricSettings, /^-[a-z]/],
    [checks, checkPlugins, checkSettings, /^--[a-z]/],
  ]) {
    for (const { name, command, settings: given } of list) {
      assert.match(name, /^[\w-]+$/);
      assert.deepEqual(Object.keys(given).filter((key) => !settings.includes(key)), [], name);
      assert.ok(Object.hasOwn(plugins, command.name), `${command.name} is a plugin`);
      assert.deepEqual(Object.keys(command.options).filter((option) => !plugins[command.name].includes(option)), [], command.name);
      for (const word of wordsOf(given.command).slice(1).filter((each) => each.startsWith("-"))) assert.match(word, dashes);
    }
  }
});

test("what the service consists of is watched", () => {
  const watched = ["nginx-procs", "redis-procs", "fluentd-procs", "systemd-procs", "yukizuri-procs", "yukizuri-1-ready", "yukizuri-2-ready", "yukizuri-log", "redis", "uptime", "ntpoffset"];
  assert.deepEqual(checks.map(({ name }) => name).sort(), watched.sort());
  assert.deepEqual(metrics.map(({ name }) => name).sort(), ["accesslog", "conntrack", "fluentd", "inode", "linux", "nginx", "yukizuri-1", "yukizuri-2"]);
});

test("there is no secret in the configuration, and none on a command line", () => {
  assert.equal(configuration.apikey, undefined);
  assert.equal(configuration.include, "/etc/mackerel-agent/conf.d/*.conf");
  for (const { command } of [...metrics, ...checks]) assert.ok(!("password" in command.options), command.name);
});

/** The numbers of a JSON object by their names, as mackerel-plugin-json finds them. */
function numbersIn(object, name) {
  return Object.entries(object).flatMap(([key, value]) => (typeof value === "number" ? [[`${name}.${key}`, value]] : numbersIn(Object(value), `${name}.${key}`)));
}

test("every figure that the configuration names is one of a running gateway, under a name that Mackerel takes", { timeout: 120000 }, async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  const alice = await joined(t, `${gateway.url}/${encodeURIComponent("葛城")}`, "alice");
  await alice.say("hello");
  const plugins = commandsOf(metrics, "mackerel-plugin-json");
  assert.equal(plugins.length, 2);
  for (const [i, { options }] of plugins.entries()) {
    const url = new URL(options.url);
    assert.equal(url.host, `127.0.0.1:808${i + 1}`);
    const { status, body } = await get(gateway.origin + url.pathname);
    assert.equal(status, 200);
    const include = new RegExp(options.include);
    const sent = numbersIn(JSON.parse(body), options.prefix).map(([name]) => name).filter((name) => include.test(name));
    for (const name of sent) assert.match(name, /^[-\w.]+$/);
    const wanted = alternativesOf(options.include.replace(/^\^yukizuri\\\.\d\\\./, "").replace(/\$$/, "")).map((name) => `${options.prefix}.${name}`);
    assert.ok(wanted.length > 15);
    assert.deepEqual(wanted.sort(), sent.sort());
  }
});

/** Every text that an expression of words, \\., | and ( ) stands for. */
function alternativesOf(expression) {
  const inner = /\(([^()]*)\)/.exec(expression);
  if (!inner) return [expression.replaceAll("\\.", ".")];
  return [...new Set(inner[1].split("|").flatMap((word) => alternativesOf(expression.replace(inner[0], word))))];
}

test("the checks ask the gateways whether people can join and talk", { timeout: 120000 }, async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  const urls = commandsOf(checks, "check-http").map(({ options }) => new URL(options.url));
  assert.deepEqual(urls.map(({ host }) => host), ["127.0.0.1:8081", "127.0.0.1:8082"]);
  for (const { pathname } of urls) {
    assert.equal(pathname, "/readyz");
    assert.equal((await get(gateway.origin + pathname)).status, 200);
  }
});

test("the check of the log finds the lines of level error, and no others", { timeout: 120000 }, async (t) => {
  const [{ options }] = commandsOf(checks, "check-log");
  const pattern = new RegExp(options.pattern);
  const log = path.join(temporaryDirectory(t), "log");
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--log-file", log, "--log-text"] });
  const eve = await joined(t, gateway.url, "level:error");
  await eve.say("\tlevel:error\t");
  fs.rmSync(log);
  fs.mkdirSync(log); // the log cannot be opened again
  gateway.signal("SIGHUP");
  const open = fs.readdirSync(`/proc/${gateway.pid}/fd`).map((fd) => `/proc/${gateway.pid}/fd/${fd}`);
  const old = open.find((fd) => fs.readlinkSync(fd) === `${log} (deleted)`);
  const held = () => fs.readFileSync(old, "utf8");
  await until("a line of level error", () => parseLog(held()).some(({ level }) => level === "error"));
  const lines = held().split("\n").slice(0, -1);
  for (const line of lines) assert.equal(pattern.test(line), parseLog(line)[0].level === "error", line);
});

test("the checks of processes find the processes that they name", { timeout: 120000 }, async (t) => {
  const ofProcesses = checks.filter(({ command }) => command.name === "check-procs");
  const patterns = Object.fromEntries(ofProcesses.map(({ name, command }) => [name, new RegExp(command.options.pattern)]));
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  await startNginx(t, [`127.0.0.1:${gateway.port}`]);
  const home = path.join(shortDirectory(t), "redis-yukizuri");
  fs.mkdirSync(home);
  new Process(t, "redis-server", ["--port", "0", "--unixsocket", path.join(home, "redis.sock"), "--save", "", "--dir", home]);
  const commands = () => processes().map(({ command }) => command.split("\0").join(" ").trim().replace(binary, "/usr/bin/yukizuri"));
  for (const name of ["yukizuri-procs", "nginx-procs", "redis-procs"]) await until(`${name} finds a process`, () => commands().some((command) => patterns[name].test(command)));
  // As the packages of fluentd and of systemd start them.
  assert.match("/opt/fluent/bin/ruby /opt/fluent/bin/fluentd --config /etc/fluent/fluentd.conf --log /var/log/fluent/fluentd.log --under-supervisor", patterns["fluentd-procs"]);
  for (const command of ["/lib/systemd/systemd", "/sbin/init", "/lib/systemd/systemd --system --deserialize 20"]) assert.match(command, patterns["systemd-procs"]);
  assert.doesNotMatch("/lib/systemd/systemd-journald", patterns["systemd-procs"]);
  assert.doesNotMatch("/usr/bin/yukizuri-other", patterns["yukizuri-procs"]);
});

test("the check of Redis gives the password in the environment and not on a command line, and gets an answer", { timeout: 120000 }, async (t) => {
  const home = shortDirectory(t);
  const socket = path.join(home, "redis.sock");
  const password = path.join(home, "password");
  fs.writeFileSync(password, "a password\n");
  fs.writeFileSync(path.join(home, "redis.conf"), execFileSync(path.join(top, "deploy/redis/render.sh"), ["--password-file", password, "--admin-password-file", password, "--socket", socket]));
  const server = new Process(t, "redis-server", [path.join(home, "redis.conf"), "--dir", home]);
  await until(() => server.output, () => server.output.includes("eady to accept connections"));
  const { settings } = checks.find(({ name }) => name === "redis");
  assert.equal(typeof settings.command, "string");
  // check-redis reads REDIS_PASSWORD, and asks for INFO.
  fs.writeFileSync(path.join(home, "check-redis"), '#!/bin/sh\necho "$@" >&2\nREDISCLI_AUTH=$REDIS_PASSWORD exec redis-cli --no-auth-warning -s "${2#--socket=}" INFO server\n', { mode: 0o755 });
  const line = settings.command.replace("/etc/yukizuri/redis-admin-password", password).replace("/run/redis-yukizuri/redis.sock", socket);
  const { stdout, stderr } = spawnSync("sh", ["-c", line], { encoding: "utf8", env: { PATH: `${home}:${process.env.PATH}` } });
  assert.match(stdout, /^redis_version:/m, stderr);
  assert.equal(stderr, `reachable --socket=${socket}\n`);
  assert.match(execFileSync("redis-cli", ["-s", socket, "INFO"], { encoding: "utf8" }), /NOAUTH/, "nobody is let in without it");
});

test("the addresses are those of the other shipped files", () => {
  const monitor = readFluentd(path.join(top, "deploy/fluentd/sources.conf")).all("source").find(({ type }) => type === "monitor_agent");
  const [fluentd] = commandsOf(metrics, "mackerel-plugin-fluentd");
  assert.deepEqual([fluentd.options.host, fluentd.options.port], [monitor.get("bind"), monitor.get("port")]);
  const [nginx] = commandsOf(metrics, "mackerel-plugin-nginx");
  const site = fs.readFileSync(path.join(top, "deploy/ansible/roles/nginx/tasks/site.yml"), "utf8");
  assert.ok(site.includes(`'--status', '${nginx.options.host}:${nginx.options.port}'`));
  const [log] = commandsOf(checks, "check-log");
  assert.ok(fs.readFileSync(path.join(top, "deploy/logrotate/yukizuri"), "utf8").includes(`${log.options.file} {`));
  const access = readFluentd(path.join(top, "deploy/fluentd/sources.conf")).all("source").find((source) => source.get("tag") === "yukizuri.access");
  assert.deepEqual(commandsOf(metrics, "mackerel-plugin-accesslog")[0].rest, [access.get("path")]);
});
