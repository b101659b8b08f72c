// Debian's Prometheus with the shipped configuration reads real gateways; the alerts, the runbook and Grafana's dashboard fit to them.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import test from "node:test";
import { startCluster } from "../lib/cluster.mjs";
import { Process, atEnd, freePort, get, joined, startGateway, startRedis, startReplica, temporaryDirectory, top, until } from "../lib/harness.mjs";
import { startSentinels } from "../lib/sentinel.mjs";

const shipped = path.join(top, "deploy/prometheus");
const read = (name) => fs.readFileSync(path.join(top, name), "utf8");
const parsed = (name) => JSON.parse(execFileSync("python3", ["-c", "import json, sys, yaml; print(json.dumps(yaml.safe_load(sys.stdin)))"], { input: read(name), encoding: "utf8" }));
const rules = parsed("deploy/prometheus/yukizuri.rules.yml").groups.flatMap((group) => group.rules);
const alerts = rules.filter((rule) => rule.alert);
const dashboard = JSON.parse(read("deploy/grafana/dashboard.json"));
const panels = dashboard.panels.filter(({ type }) => type !== "row");
const datasource = parsed("deploy/grafana/provisioning/datasources/yukizuri.yml").datasources[0];

/** Metrics of a gateway that are in no panel and no alert, each with the reason. */
const leftOut = {
  yukizuri_open_descriptors: "process_open_fds is the same",
  yukizuri_max_descriptors: "process_max_fds is the same",
  yukizuri_cpu_seconds_total: "process_cpu_seconds_total is the same",
  yukizuri_resident_memory_bytes: "process_resident_memory_bytes is the same",
  process_start_time_seconds: "yukizuri_start_time_seconds is the same",
};

/** The metrics that an expression names. */
const namesIn = (expression) => expression.replace(/"[^"]*"/g, "").replace(/\{[^}]*\}/g, "").match(/[a-z_:][\w:]*/gi).filter((word) => /^up$|^process_|yukizuri_/.test(word));

function promtool(args, options) {
  const { status, stdout, stderr } = spawnSync("promtool", args, { encoding: "utf8", ...options });
  assert.equal(stderr, "", `promtool ${args.join(" ")}`);
  assert.equal(status, 0, `promtool ${args.join(" ")}: ${stdout}`);
  return stdout;
}

// --- Real programs ---

const api = async (server, what) => {
  const { status, body } = await get(`${server.origin}${what}`);
  assert.equal(status, 200, `${what}: ${body}`);
  return JSON.parse(body);
};
const query = async (prometheus, expression) => (await api(prometheus, `/api/v1/query?query=${encodeURIComponent(expression)}`)).data.result;

async function startServer(t, command, args) {
  const port = await freePort();
  const server = Object.assign(new Process(t, command, [...args, `--web.listen-address=127.0.0.1:${port}`, "--log.level=warn"]), { origin: `http://127.0.0.1:${port}`, address: `127.0.0.1:${port}` });
  await until(() => `${command} is ready: ${server.errors}`, async () => {
    assert.ok(server.running, server.errors);
    return (await get(`${server.origin}/-/ready`).catch(() => null))?.status === 200;
  });
  return server;
}

function startAlertmanager(t) {
  const home = temporaryDirectory(t);
  fs.writeFileSync(path.join(home, "alertmanager.yml"), "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n");
  return startServer(t, "prometheus-alertmanager", [`--config.file=${home}/alertmanager.yml`, `--storage.path=${home}/data`, "--cluster.listen-address="]);
}

/** Copies the shipped files and changes only addresses and durations: `changes` are [file, from, to]. */
function configure(t, changes) {
  const home = temporaryDirectory(t);
  fs.cpSync(shipped, home, { recursive: true });
  for (const [name, from, to] of changes) {
    const text = fs.readFileSync(path.join(home, name), "utf8");
    assert.match(text, new RegExp(from, "m"), name);
    fs.writeFileSync(path.join(home, name), text.replace(new RegExp(from, "gm"), to));
  }
  promtool(["check", "config", path.join(home, "prometheus.yml")]);
  return home;
}

/** A Prometheus that reads two gateways often, and whose alerts wait for nothing. */
async function watch(t, gateways, alertmanager) {
  const home = configure(t, [
    ["prometheus.yml", "interval: 15s", "interval: 500ms"],
    ["prometheus.yml", "127\\.0\\.0\\.1:9093", alertmanager],
    ["yukizuri.targets.yml", "^- targets: .*", `- targets: [${gateways.map(({ port }) => `"127.0.0.1:${port}"`)}]`],
    ["yukizuri.rules.yml", "^ +for: .*\n", ""],
  ]);
  const prometheus = await startServer(t, "prometheus", [`--config.file=${home}/prometheus.yml`, `--storage.tsdb.path=${home}/data`]);
  await until("both gateways are scraped", async () => (await query(prometheus, 'up{job="yukizuri"} == 1')).length === 2);
  return prometheus;
}

/** Two gateways with a Redis, and a Prometheus that watches them. */
async function startAll(t, { alertmanager = "127.0.0.1:9", prepare = () => {}, args = [] } = {}) {
  const redis = await startRedis(t);
  await prepare(redis);
  const gateways = [await startGateway(t, { redis, args }), await startGateway(t, { redis, args })];
  return { redis, gateways, prometheus: await watch(t, gateways, alertmanager) };
}

/** The alerts that have reached Alertmanager, each with its gateway. */
const firing = async (alertmanager) => (await api(alertmanager, "/api/v2/alerts")).map(({ labels }) => `${labels.alertname} ${labels.instance ?? ""}`.trim());

// --- The files by themselves ---

test("promtool accepts the configuration and the rules, and the cases of the rules pass", () => {
  assert.match(promtool(["check", "config", "prometheus.yml"], { cwd: shipped }), /SUCCESS: 1 rule files found/);
  assert.match(promtool(["check", "rules", "yukizuri.rules.yml"], { cwd: shipped }), new RegExp(`SUCCESS: ${rules.length} rules found`));
  assert.match(promtool(["test", "rules", "yukizuri.rules.test.yml"], { cwd: shipped }), /SUCCESS/);
});

test("the examples in the list of targets are lists of targets", (t) => {
  const examples = read("deploy/prometheus/yukizuri.targets.yml").match(/^# {5}- targets: .*$/gm);
  assert.equal(examples.length, 2);
  for (const example of examples) configure(t, [["yukizuri.targets.yml", "^- targets: .*", example.replace(/^# +/, "")]]);
});

test("every alert has a case in which it fires and one in which it does not", () => {
  const { tests } = parsed("deploy/prometheus/yukizuri.rules.test.yml");
  const cases = tests.flatMap((each) => each.alert_rule_test);
  for (const { alert } of alerts) {
    const own = cases.filter(({ alertname }) => alertname === alert);
    assert.ok(own.some(({ exp_alerts: expected }) => expected.length > 0), `${alert} fires`);
    assert.ok(own.some(({ exp_alerts: expected }) => expected.length === 0), `${alert} does not fire`);
  }
});

test("every alert has a severity, sentences, and an entry in the runbook, and every entry has its alert", () => {
  const runbook = read("docs/runbook.md");
  const entries = runbook.split(/^## /m).slice(1);
  assert.deepEqual(entries.map((entry) => entry.split("\n")[0]), alerts.map(({ alert }) => alert));
  assert.ok(alerts.length > 15);
  for (const entry of entries) for (const part of ["**For people in the chat:**", "**Look at:**", "**Do:**", "**Harmless:**", "```\n"]) assert.ok(entry.includes(part), `${part} in ${entry}`);
  for (const { alert, labels, annotations } of alerts) {
    assert.match(labels.severity, /^(critical|warning)$/, alert);
    assert.match(annotations.summary, /^[A-Z{].*\.$/, alert);
    assert.match(annotations.description, /\. [A-Z].*\.$/, `${alert}: what happened, and what to do`);
    assert.equal(annotations.runbook, `docs/runbook.md#${alert.toLowerCase()}`);
  }
});

test("the commands of the runbook are words that bash can read", () => {
  const blocks = [...read("docs/runbook.md").matchAll(/^```\n([^]*?)^```/gm)].map(([, block]) => block);
  assert.ok(blocks.length >= alerts.length);
  for (const block of blocks) execFileSync("bash", ["-n"], { input: block });
});

test("the dashboard has the form of Grafana's JSON model", () => {
  const known = { dashboard: "uid title description tags schemaVersion version editable graphTooltip fiscalYearStartMonth liveNow weekStart timezone refresh time timepicker annotations links templating panels",
    panel: "id type title description datasource gridPos fieldConfig options targets collapsed panels", target: "refId datasource expr legendFormat editorMode instant range" };
  const onlyKnown = (object, kind) => assert.deepEqual(Object.keys(object).filter((key) => !known[kind].split(" ").includes(key)), [], kind);
  onlyKnown(dashboard, "dashboard");
  assert.ok(Number.isInteger(dashboard.schemaVersion) && dashboard.schemaVersion >= 36);
  assert.match(dashboard.uid, /^[\w-]{1,40}$/);
  const ids = dashboard.panels.map(({ id }) => id);
  assert.equal(new Set(ids).size, ids.length);
  const taken = new Set();
  for (const panel of dashboard.panels) {
    onlyKnown(panel, "panel");
    assert.match(panel.type, /^(row|stat|timeseries)$/);
    assert.ok(panel.title);
    const { x, y, w, h } = panel.gridPos;
    assert.ok([x, y, w, h].every(Number.isInteger) && x >= 0 && w > 0 && h > 0 && x + w <= 24, panel.title);
    for (let column = x; column < x + w; column++) for (let line = y; line < y + h; line++) {
      assert.ok(!taken.has(`${column} ${line}`), `${panel.title} overlaps another panel`);
      taken.add(`${column} ${line}`);
    }
    if (panel.type === "row") continue;
    assert.ok(panel.description.endsWith("."), panel.title);
    assert.match(panel.fieldConfig.defaults.unit, /^(short|none|ops|Bps|bytes|s|percentunit)$/);
    assert.deepEqual(panel.targets.map(({ refId }) => refId), panel.targets.map((_, i) => String.fromCharCode(65 + i)));
    for (const target of panel.targets) {
      onlyKnown(target, "target");
      for (const { datasource: source } of [panel, target]) assert.deepEqual(source, { type: "prometheus", uid: "${datasource}" });
      const variables = [...target.expr.matchAll(/\$\{?(\w+)/g)].map(([, name]) => name).filter((name) => name !== "__rate_interval");
      for (const name of variables) assert.ok(dashboard.templating.list.some((variable) => variable.name === name), name);
    }
  }
});

test("Grafana finds Debian's Prometheus, and the dashboard", () => {
  const sources = parsed("deploy/grafana/provisioning/datasources/yukizuri.yml");
  const dashboards = parsed("deploy/grafana/provisioning/dashboards/yukizuri.yml");
  assert.deepEqual([sources.apiVersion, dashboards.apiVersion], [1, 1]);
  assert.deepEqual({ ...datasource, name: undefined }, { name: undefined, uid: "yukizuri-prometheus", type: "prometheus", access: "proxy", url: "http://127.0.0.1:9090", jsonData: { timeInterval: parsed("deploy/prometheus/prometheus.yml").global.scrape_interval } });
  const { stdout, stderr } = spawnSync("prometheus", ["--help"], { encoding: "utf8" });
  assert.match(stdout + stderr, /web\.listen-address="0\.0\.0\.0:9090"/);
  const [{ name, type, options, allowUiUpdates }] = dashboards.providers;
  assert.deepEqual([name, type, allowUiUpdates], ["yukizuri", "file", false]);
  assert.match(options.path, /^\/var\/lib\/grafana\//);
  assert.equal(dashboard.templating.list.find(({ type: kind }) => kind === "datasource").query, datasource.type);
});

// --- With gateways ---

test("promtool finds nothing to say about the metrics of a gateway", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  const alice = await joined(t, gateway.url, "alice");
  await alice.say("hello");
  assert.equal(promtool(["check", "metrics"], { input: (await get(`${gateway.origin}/metrics`)).body }), "");
});

/** What moves every counter that does not begin at 0: messages, a refused one, a leave, a foreign publication, an operator's command. */
async function talk(t, { redis, gateways }, round) {
  redis.run("PUBLISH", "yukizuri:control", '{"do":"unlock","room":"lobby"}');
  for (const [i, gateway] of gateways.entries()) {
    const member = await joined(t, gateway.url, `member ${round} ${i}`);
    await member.say(`hello ${round} ${i}`);
    await member.refused({ type: "say", text: "", nonce: `${round}` });
    redis.run("PUBLISH", "yukizuri:{lobby}", '{"type":"nothing of ours"}');
    member.send({ type: "leave" });
    member.socket.close(1000);
    await member.waitClosed();
  }
}

test("every query of the dashboard and of the alerts has an answer, and every metric of a gateway is used", { timeout: 240000 }, async (t) => {
  const all = await startAll(t, {
    prepare: (redis) => (redis.run("ACL", "SETUSER", "yukizuri", "-client|setname"), startReplica(t, redis)),
    args: ["--durability", "replica"],
  });
  atEnd(t, () => all.redis.run("ACL", "LOG", "RESET")); // its refusal is what counts as an error of Redis here
  const { gateways, prometheus } = all;
  for (const { url } of gateways) await joined(t, url, `host ${new URL(url).port}`);
  let rounds = 0;
  const instance = dashboard.templating.list.find(({ name }) => name === "instance");
  const [, metricOfInstance, label] = /^label_values\((\w+), (\w+)\)$/.exec(instance.query.query);
  const { data: choices } = await api(prometheus, `/api/v1/label/${label}/values?match[]=${metricOfInstance}`);
  assert.deepEqual(choices, gateways.map(({ port }) => `127.0.0.1:${port}`).sort());
  const resolve = (expression, value) => expression.replaceAll("$__rate_interval", "30s").replaceAll("$instance", value);
  for (const value of [instance.allValue, choices.join("|"), choices[0]])
    for (const panel of panels) for (const { expr } of panel.targets) {
      let result;
      await until(() => `${panel.title}: ${resolve(expr, value)} has an answer; got ${JSON.stringify(result)}`, async () => {
        result = await query(prometheus, resolve(expr, value));
        const is = result.some((series) => Number.isFinite(Number(series.value[1])));
        if (!is) await talk(t, all, rounds++);
        return is;
      });
    }
  const { data: { groups } } = await api(prometheus, "/api/v1/rules");
  const evaluated = groups.flatMap((group) => group.rules);
  assert.equal(evaluated.length, rules.length);
  assert.deepEqual(evaluated.filter(({ lastError }) => lastError).map(({ name, lastError }) => `${name}: ${lastError}`), []);
  const used = [...panels.flatMap(({ targets }) => targets.map(({ expr }) => resolve(expr, ""))), ...rules.map(({ expr }) => expr)].flatMap(namesIn);
  const { data: existing } = await api(prometheus, "/api/v1/label/__name__/values");
  assert.deepEqual([...new Set(used)].filter((name) => !existing.includes(name)), []);
  const offered = [...(await get(`${gateways[0].origin}/metrics`)).body.matchAll(/^# TYPE (\S+) /gm)].map(([, name]) => name);
  const isUsed = new Set(used.flatMap((name) => [name, name.replace(/_(bucket|sum|count)$/, "")]));
  assert.deepEqual(offered.filter((name) => !isUsed.has(name)).sort(), Object.keys(leftOut).sort());
});

test("a killed gateway and a frozen Redis cause their alerts, which reach Alertmanager", { timeout: 240000 }, async (t) => {
  const alertmanager = await startAlertmanager(t);
  const { redis, gateways: [first, second], prometheus } = await startAll(t, { alertmanager: alertmanager.address });
  const causes = /^Yukizuri(GatewayDown|AllGatewaysDown|NotReady|RedisLost|RedisRefuses|RedisWritesToDisk|RedisEvicts|VersionsMixed)/;
  await until("the rules are evaluated", async () => (await api(prometheus, "/api/v1/rules")).data.groups.every(({ lastEvaluation }) => !lastEvaluation.startsWith("0001")));
  assert.deepEqual((await firing(alertmanager)).filter((alert) => causes.test(alert)), []);
  await second.stop("SIGKILL");
  await until("the dead gateway causes an alert", async () => (await firing(alertmanager)).includes(`YukizuriGatewayDown 127.0.0.1:${second.port}`));
  assert.deepEqual((await firing(alertmanager)).filter((alert) => causes.test(alert)), [`YukizuriGatewayDown 127.0.0.1:${second.port}`]);
  redis.freeze(t);
  await until("the frozen Redis causes an alert", async () => (await firing(alertmanager)).includes(`YukizuriNotReady 127.0.0.1:${first.port}`));
  assert.ok(!(await firing(alertmanager)).includes("YukizuriAllGatewaysDown"));
  await first.stop("SIGKILL");
  await until("no gateway is left", async () => (await firing(alertmanager)).includes("YukizuriAllGatewaysDown"));
});

test("silent Sentinels and a dead part of a cluster cause their alerts", { timeout: 240000 }, async (t) => {
  const alertmanager = await startAlertmanager(t);
  const sentinels = await startSentinels(t, { replicas: 1 });
  const cluster = await startCluster(t, { replicas: 0, settings: ["cluster-require-full-coverage no"] });
  const gateways = [await startGateway(t, { redis: sentinels.url }), await startGateway(t, { redis: cluster.url })];
  const [ofSentinels, ofCluster] = gateways.map(({ port }) => `127.0.0.1:${port}`);
  const prometheus = await watch(t, gateways, alertmanager.address);
  const fires = (alert) => until(async () => `${alert}: ${await firing(alertmanager)}`, async () => (await firing(alertmanager)).includes(alert));
  await until("all Sentinels answer", async () => (await query(prometheus, "yukizuri_sentinels_up == 3")).length === 1);
  const masterOf = (room) => cluster.masterOf(`yukizuri:{${room}}:head`);
  const room = ["a", "b", "c", "d", "e", "f", "g", "h"].find((name) => masterOf(name) !== masterOf("lobby"));
  const member = await joined(t, `${gateways[1].url}/${room}`, "alice");
  const own = /^Yukizuri(Sentinel|ClusterDown|NotReady)/;
  assert.deepEqual((await firing(alertmanager)).filter((alert) => own.test(alert)), []);

  await sentinels.kill(sentinels.sentinels[0]);
  await fires(`YukizuriSentinelMissing ${ofSentinels}`);
  for (const sentinel of sentinels.sentinels.slice(1)) await sentinels.kill(sentinel);
  await fires(`YukizuriSentinelsSilent ${ofSentinels}`);

  await cluster.kill(masterOf(room));
  member.send({ type: "say", text: "is anybody there?", nonce: "1" });
  await fires(`YukizuriClusterDown ${ofCluster}`);
  assert.deepEqual((await firing(alertmanager)).filter((alert) => /NotReady/.test(alert)), [], "the other rooms go on");
});
