// The files of compose/, without a container engine: what they say, and the scripts that run in the containers. compose-up.test.mjs brings them up.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import test from "node:test";
import { parse } from "yaml";
import { Process, atEnd, binary, freePort, get, joinedFrom, parseLog, shortDirectory, startGateway, startRedis, top, until, untilLogged } from "../lib/harness.mjs";

const read = (name) => fs.readFileSync(path.join(top, name), "utf8");
const files = ["compose/compose.yaml", "compose/compose.observability.yaml"];
const [base, observability] = files.map((file) => parse(read(file), { merge: true }));
const everyService = [base, observability].flatMap(({ services }) => Object.entries(services)).filter(([, { image }]) => image);
const shell = (script) => execFileSync("bash", ["-c", script], { cwd: top, encoding: "utf8" }).trim();
const words = (text) => text.split(/[\s\\]+/).filter((word) => word !== "");

/** The value that compose takes without a variable: ${NAME:-value}. */
const withDefaults = (value) => JSON.parse(JSON.stringify(value).replace(/\$\{\w+:-([^}]+)\}/g, "$1"));

// --- What the files say ---

test("each service is read-only, without root, capabilities and new privileges", () => {
  assert.ok(everyService.length >= 3);
  for (const [name, service] of everyService) {
    assert.equal(service.read_only, true, name);
    assert.deepEqual(service.cap_drop, ["ALL"], name);
    assert.deepEqual(service.security_opt, ["no-new-privileges:true"], name);
    assert.match(service.user, /^[1-9]\d*:[1-9]\d*$/, name);
    for (const forbidden of ["privileged", "cap_add", "pid", "ipc", "devices"]) assert.equal(service[forbidden], undefined, name);
  }
});

/** Their images have no shell. Prometheus' metric `up` says whether they work. */
const exporters = ["nginx-exporter", "redis-exporter"];

test("each service has limits, a health check, and starts again", () => {
  for (const [name, service] of everyService) {
    const { mem_limit, pids_limit, ulimits, restart, healthcheck } = withDefaults(service);
    assert.match(mem_limit, /^\d+[mg]$/, name);
    assert.ok(pids_limit >= 32, name);
    assert.ok(Number(ulimits.nofile) >= 1024, name);
    assert.equal(restart, "unless-stopped", name);
    assert.ok(healthcheck?.test.length > 0 || exporters.includes(name), name);
  }
});

test("each image has a version: a tag that is not latest, unless it is built here", () => {
  for (const [name, { image, build }] of everyService) assert.ok(build || /:(?!latest$)[\w.-]+$/.test(image), `${name}: ${image}`);
});

test("Redis, and the gateways in any number, are on no network; only nginx has a port, and only on this machine", () => {
  const { redis, gateway } = base.services;
  for (const { network_mode, ports } of [redis, gateway]) assert.deepEqual({ network_mode, ports }, { network_mode: "none", ports: undefined });
  assert.equal(gateway.container_name, undefined);
  assert.equal(withDefaults(gateway).deploy.replicas, "2");
  for (const [name, service] of everyService) for (const port of withDefaults(service.ports ?? [])) assert.match(port, /^127\.0\.0\.1:\d+:\d+$/, name);
});

test("no password is in an environment", () => {
  for (const [name, { environment = {} }] of everyService)
    for (const variable of Object.keys(environment)) assert.doesNotMatch(variable, /(PASSWORD|SECRET|TOKEN|KEY)$/, `${name}: ${variable}`);
});

test("a gateway gets more time to stop than it takes", () => {
  const help = execFileSync(binary, ["--help=markdown"], { encoding: "utf8" });
  const setting = (name) => Number(help.match(new RegExp(`^\\| \`--${name} [^|]*\\|[^|]*\\| \`(\\d+)\``, "m"))[1]);
  assert.ok(parseInt(base.services.gateway.stop_grace_period) > setting("drain") + setting("drain-delay") + 6);
  const script = read("compose/upgrade.sh").match(/stop -t (\d+)/)[1];
  assert.ok(Number(script) > setting("drain") + setting("drain-delay") + 6);
});

test("the settings that are named exist", () => {
  const help = execFileSync(binary, ["--help=markdown"], { encoding: "utf8" });
  for (const { services } of [base, observability])
    for (const variable of Object.keys(services.gateway?.environment ?? {})) assert.ok(help.includes(`\`${variable}\``), variable);
  const options = base.services.gateway.entrypoint.join(" ").match(/--[a-z-]+/g);
  assert.ok(options.length >= 2);
  for (const option of options) assert.ok(help.includes(`\`${option} `), option);
});

test("every variable of the compose files is explained in compose.yaml, with its default", () => {
  const explained = Object.fromEntries([...read(files[0]).matchAll(/^# {3}(YUKIZURI_\w+) .*\((.*)\)$/gm)].map(([, name, value]) => [name, value]));
  const used = files.flatMap((file) => [...read(file).matchAll(/\$\{(\w+):-([^}]+)\}/g)]);
  for (const [, name, value] of used) assert.equal(explained[name], value, name);
  assert.deepEqual(Object.keys(explained).sort(), [...new Set(used.map(([, name]) => name))].sort());
});

test("every file that is mounted exists", () => {
  for (const [name, { volumes = [] }] of everyService)
    for (const [from] of volumes.map((volume) => volume.split(":")).filter(([source]) => source.startsWith(".")))
      assert.ok(fs.existsSync(path.join(top, "compose", from)), `${name}: ${from}`);
});

test("Prometheus and Grafana read the files of deploy/", () => {
  const rules = fs.readdirSync(path.join(top, "deploy/prometheus")).filter((name) => name.endsWith(".rules.yml"));
  assert.ok(rules.length > 0);
  const jobs = (file) => parse(read(file)).scrape_configs.map(({ job_name }) => job_name);
  for (const job of jobs("deploy/prometheus/prometheus.yml")) assert.ok(jobs("compose/prometheus.yml").includes(job), job);
  const source = (file) => parse(read(file)).datasources.map(({ uid, type, jsonData }) => ({ uid, type, jsonData }));
  assert.deepEqual(source("compose/grafana.datasources.yml"), source("deploy/grafana/provisioning/datasources/yukizuri.yml"));
});

// --- The image ---

const stages = read("compose/Dockerfile").split(/^FROM /m).slice(1);
const installed = (stage) => words(stage.match(/--no-install-recommends \\\n((?:.*\\\n)*?)\s*&&/)[1]).sort();

test("the image is built with the packages of deploy/packages.sh", () => {
  assert.deepEqual(installed(stages[0]), words(shell(". deploy/packages.sh && echo $packages_build")).sort());
});

test("the image runs as its own user, who is the one of compose.yaml, and says what it is", () => {
  const [, uid] = stages[1].match(/useradd --uid (\d+) --gid yukizuri/);
  assert.equal(base.services.gateway.user, `${uid}:${uid}`);
  assert.match(stages[1], /^USER yukizuri$/m);
  assert.match(stages[1], /^HEALTHCHECK .*CMD \["yukizuri-ready"\]$/m);
  for (const label of ["title", "description", "licenses", "version", "revision"]) assert.ok(stages[1].includes(`org.opencontainers.image.${label}=`), label);
});

test("what a build does not need is not sent to it", () => {
  const ignored = words(read(".dockerignore"));
  for (const name of ["build", "tests", ".git", "node_modules"]) assert.ok(ignored.includes(name), name);
  for (const [, name] of stages[0].matchAll(/^COPY (\w+) /gm)) assert.ok(!ignored.includes(name), name);
});

// --- The scripts that run in the containers ---

const readyOf = (port) => spawnSync(path.join(top, "compose/ready.sh"), [String(port)], { encoding: "utf8" });

test("ready.sh says whether a gateway is ready, and why not", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  assert.deepEqual({ status: readyOf(gateway.port).status, stdout: readyOf(gateway.port).stdout }, { status: 0, stdout: "OK\n" });
  const alone = await startGateway(t, { redis: `redis://127.0.0.1:${await freePort()}`, ready: false });
  assert.notEqual(readyOf(alone.port).status, 0);
  assert.match(readyOf(alone.port).stdout, /Redis/i);
  assert.notEqual(readyOf(await freePort()).status, 0);
});

/** nginx.sh with the directories of this test. */
function startContainerNginx(t, env, port) {
  const home = shortDirectory(t);
  for (const name of ["run", "tmp"]) fs.mkdirSync(path.join(home, name));
  const script = read("compose/nginx.sh").replaceAll("/run/yukizuri", `${home}/run`).replaceAll("/tmp/yukizuri", `${home}/tmp`)
    .replaceAll("/etc/yukizuri/nginx", path.join(top, "deploy/nginx")).replaceAll("--listen 8080", `--listen 127.0.0.1:${port}`)
    .replaceAll("/dev/stdout", `${home}/access.log`); // here it may be a socket, which cannot be opened by its name
  const nginx = new Process(t, "sh", ["-c", `ulimit -n 4096; ${script}`], { env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin`, ...env } });
  atEnd(t, () => nginx.stopOrKill());
  const sees = (...names) => until(() => `it sees ${names}: ${nginx.errors}`, () => (nginx.errors.match(/(?<=nginx\.sh: gateways: ).*(?=\n)/g) ?? []).at(-1)?.trim() === (names.join(" ") || "none"));
  return Object.assign(nginx, { home, sees, origin: `http://127.0.0.1:${port}`, url: `ws://127.0.0.1:${port}/room` });
}

/** A gateway as nginx.sh sees it. Here nginx' workers may be another user, unlike in the containers. */
const startNamed = (t, nginx, redis, name) => startGateway(t, { redis, args: ["--addr", `unix:${nginx.home}/run/${name}.sock`, "--addr-mode", "0666", "--gateway-id", name] });

test("nginx.sh finds gateways that come, go and die, and keeps the connections of the others", { timeout: 180000 }, async (t) => {
  const redis = await startRedis(t);
  const nginx = startContainerNginx(t, {}, await freePort());
  await nginx.sees();
  assert.equal(await until("it answers", () => get(`${nginx.origin}/`).catch(() => null)).then(({ status }) => status), 502);
  const one = await startNamed(t, nginx, redis, "one");
  await nginx.sees("one");
  const alice = await until("alice is in", () => joinedFrom(t, nginx.url, "alice", "192.0.2.1").catch(() => null));
  const two = await startNamed(t, nginx, redis, "two");
  await nginx.sees("one", "two");
  fs.writeFileSync(path.join(nginx.home, "run/three;.sock"), "");
  two.signal("SIGKILL");
  await nginx.sees("one");
  assert.ok(fs.existsSync(path.join(nginx.home, "run/two.sock")), "the dead one has left its socket");
  for (let i = 0; i < 10; i++) assert.equal((await get(`${nginx.origin}/readyz`)).headers["yukizuri-gateway"] ?? "one", "one");
  await alice.say("still here");
  assert.equal(alice.closed, null);
  const lines = await until("the requests are in the log", () => {
    const log = parseLog(fs.readFileSync(path.join(nginx.home, "access.log"), "utf8"));
    return log.some(({ uri, status }) => uri === "/readyz" && status === "200") && log;
  });
  for (const field of ["time", "host", "method", "size", "ua", "reqtime", "upstream"]) assert.ok(field in lines[0], field);
  await one.stop();
  await nginx.sees();
  assert.equal((await nginx.stop()).signal, null);
});

test("nginx.sh believes the configured proxies, and nobody else", { timeout: 180000 }, async (t) => {
  for (const [proxies, expected] of [["none", "127.0.0.1"], ["192.0.2.1", "127.0.0.1"], ["192.0.2.1,127.0.0.0/8", "198.51.100.7"]]) {
    const nginx = startContainerNginx(t, { YUKIZURI_OUTER_PROXY: proxies }, await freePort());
    const gateway = await startNamed(t, nginx, await startRedis(t), "one");
    await nginx.sees("one");
    await until("alice is in", () => joinedFrom(t, nginx.url, "alice", "198.51.100.7").catch(() => null));
    assert.deepEqual((await untilLogged(gateway, "join")).map(({ remote_addr }) => remote_addr), [expected], proxies);
  }
});

test("nginx.sh says what is wrong with its environment", async (t) => {
  for (const [env, message] of [
    [{ YUKIZURI_OUTER_PROXY: "10.0.0.0/8;} evil {" }, /--trusted-proxy: "10\.0\.0\.0\/8;}" is not an address/],
    [{ YUKIZURI_METRICS_PORT: "x" }, /YUKIZURI_METRICS_PORT: "x" is not a port/],
  ]) {
    const nginx = startContainerNginx(t, env, await freePort());
    assert.equal(await nginx.status(), 2, nginx.errors);
    assert.match(nginx.errors, message);
  }
});

test("Prometheus gets a list of the gateways, and the metrics of each, at a port that is not for clients", { timeout: 180000 }, async (t) => {
  const port = await freePort();
  const redis = await startRedis(t);
  const nginx = startContainerNginx(t, { YUKIZURI_METRICS_PORT: String(port) }, await freePort());
  for (const name of ["one", "two"]) await startNamed(t, nginx, redis, name);
  await nginx.sees("one", "two");
  const inner = `http://127.0.0.1:${port}`;
  const targets = await until("the list has both", async () => {
    const list = JSON.parse((await get(`${inner}/targets`)).body);
    return list.length === 2 && list;
  });
  for (const { targets: [address], labels } of targets) {
    assert.equal(address, `nginx:${port}`);
    const { body } = await until("it answers", async () => { const answer = await get(inner + labels.__metrics_path__); return answer.status === 200 && answer; });
    assert.match(body, new RegExp(`^yukizuri_build_info\\{.*"${labels.instance}".*\\} 1$`, "m"));
  }
  assert.match((await get(`${inner}/nginx_status`)).body, /^Active connections: /);
  // for a moment after a reload the workers before it still accept, and know no gateway
  const outside = await until("a gateway answers", async () => { const { status } = await get(`${nginx.origin}/targets`); return status !== 502 && status; });
  assert.equal(outside, 404);
});

test("upgrade.sh refuses what it does not know", () => {
  const { status, stderr } = spawnSync(path.join(top, "compose/upgrade.sh"), ["--frob"], { encoding: "utf8" });
  assert.equal(status, 1);
  assert.equal(stderr, "upgrade.sh: unknown argument in: --frob\n");
});

test("the scripts are clean by shellcheck", { skip: spawnSync("shellcheck", ["--version"]).error && "shellcheck is not installed" }, () => {
  const { stdout } = spawnSync("shellcheck", ["ready.sh", "nginx.sh", "upgrade.sh"].map((name) => path.join(top, "compose", name)), { encoding: "utf8" });
  assert.equal(stdout, "");
});
