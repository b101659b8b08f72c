// compose/ brought up for real, and chatted through. Needs a container engine, see lib/containers.mjs.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import test from "node:test";
import { Member, Process, freePort, get, joined, parseLog, temporaryDirectory, top, until } from "../lib/harness.mjs";
import { Project, buildImage, door, engine, lacking, upgradeEnvironment, withoutRegistry } from "./lib/containers.mjs";
import { startConversationElsewhere } from "./lib/conversation.mjs";

const MINUTES = 60000;
const image = "localhost/yukizuri:latest";
const reason = lacking();

/** A short drain, and an nginx in front that says of each client what the client says of itself. */
const SHORT = "services:\n  gateway:\n    environment:\n      YUKIZURI_DRAIN: \"3\"\n";
const outerConfiguration = (address) => `events { worker_connections 1024; }
http { access_log off; server { listen 8000; location / {
  proxy_pass http://${address}:8080; proxy_http_version 1.1; proxy_read_timeout 120s; proxy_set_header Host $http_host;
  proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; proxy_set_header X-Forwarded-For $http_x_client; } } }
`;

async function startProject(t, { more = [], moreEnv = {}, services = [] } = {}) {
  const directory = temporaryDirectory(t);
  const short = path.join(directory, "short.yaml");
  fs.writeFileSync(short, SHORT);
  const port = await freePort();
  const env = { YUKIZURI_PUBLISH: `127.0.0.1:${port}`, YUKIZURI_NOFILE: "4096", YUKIZURI_GATEWAYS: "2", ...moreEnv };
  const project = new Project(t, `yukizuri-test-${process.pid}`, [path.join(top, "compose/compose.yaml"), ...more, short], env);
  Object.assign(project, { directory, port });
  project.compose("up", "-d", ...services);
  project.door = await door(t, port);
  await ready(project);
  return project;
}

const ask = ({ door: { origin, socketPath } }, where) => get(`${origin}${where}`, { socketPath }).catch((error) => ({ status: error.code }));
const logOfNginx = (project) => parseLog(project.logs("nginx").split("\n").filter((line) => line.startsWith("time:")).join("\n"));
const logOfGateways = (project) => parseLog(project.logs("gateway"));
const ready = (project) => until(() => `it is ready: ${project.logs("nginx")} ${project.logs("gateway")}`, async () => (await ask(project, "/readyz")).status === 200);

/** Where nginx is on the network between containers. */
function addressOf(project) {
  const [[network, { IPAddress: address, IPPrefixLen: length }]] = Object.entries(project.inspect(project.ids("nginx")[0]).NetworkSettings.Networks);
  return { network, address, length };
}

/** Waits until nginx has noticed that there are so many gateways. */
const gatewaysSeen = (project, count) =>
  until(() => `nginx sees ${count} gateways: ${project.logs("nginx")}`, () => {
    const [seen] = project.logs("nginx").match(/(?<=nginx\.sh: gateways: ).*(?=\n)/g)?.slice(-1) ?? [""];
    return seen.trim().split(" ").length === count;
  }, 2 * MINUTES);

test("the image is small, says what it is, does not run as root, and has a health check", { skip: reason, timeout: 15 * MINUTES }, () => {
  buildImage(top, image, "-f", path.join(top, "compose/Dockerfile"), "--build-arg", "VERSION=1.2.3");
  const [about] = JSON.parse(engine("image", "inspect", image));
  const [base] = JSON.parse(engine("image", "inspect", "debian:bookworm-slim"));
  assert.ok(about.Size - base.Size < 30e6, `${about.Size - base.Size} bytes more than Debian`);
  assert.equal(about.Config.User, "yukizuri");
  assert.equal(about.Config.Labels["org.opencontainers.image.version"], "1.2.3");
  assert.equal(about.Config.Labels["org.opencontainers.image.licenses"], "MIT");
  assert.match(engine("run", "--rm", "--network", "none", image, "--version"), /^yukizuri \d+\.\d+\.\d+/);
});

test("people talk through the containers", { skip: reason, timeout: 30 * MINUTES }, async (t) => {
  const project = await startProject(t);

  await t.test("each container is read-only, without root, capabilities and new privileges, and limited", () => {
    assert.equal(project.ids().length, 4);
    for (const id of project.ids()) {
      const { Name: name, HostConfig: host, Config: config } = project.inspect(id);
      const status = project.exec(id, "cat", "/proc/1/status").stdout;
      assert.match(status, /^Uid:\s+10001\s+10001\s+10001\s+10001$/m, name);
      for (const set of ["Inh", "Prm", "Eff", "Bnd", "Amb"]) assert.match(status, new RegExp(`^Cap${set}:\\s+0+$`, "m"), name);
      assert.match(status, /^NoNewPrivs:\s+1$/m, name);
      assert.notEqual(project.exec(id, "sh", "-c", "echo > /etc/new").status, 0, name);
      assert.equal(host.ReadonlyRootfs, true, name);
      assert.ok(host.Memory > 0 && host.PidsLimit > 0, name);
      assert.ok(!config.Env.some((variable) => /PASSWORD=/.test(variable)), name);
    }
  });

  await t.test("Redis and the gateways are on no network", () => {
    for (const id of ["redis", "gateway"].flatMap((service) => project.ids(service)))
      assert.deepEqual(project.exec(id, "cat", "/proc/net/dev").stdout.match(/^ *\w+(?=:)/gm).map((name) => name.trim()), ["lo"]);
  });

  await t.test("the health checks say that all is well", async () => {
    for (const id of project.ids("gateway")) assert.equal(project.exec(id, "yukizuri-ready").status, 0);
    const [nginx] = project.ids("nginx");
    assert.equal(project.exec(nginx, "curl", "-sf", "http://127.0.0.1:8080/readyz").stdout, "OK\n");
    const [redis] = project.ids("redis");
    assert.match(project.exec(redis, "sh", "-c", "REDISCLI_AUTH=$(cat /run/admin/password) redis-cli -s /run/redis/redis.sock ping").stdout, /^PONG$/m);
  });

  await t.test("two people talk, through two gateways", async (t) => {
    const alice = await joined(t, project.door.url, "alice");
    const bob = await joined(t, project.door.url, "bob");
    await alice.say("is anybody here?");
    await bob.waitFor({ type: "message", text: "is anybody here?" });
    await bob.say("I am");
    await alice.waitFor({ type: "message", text: "I am" });
    const joins = logOfGateways(project).filter(({ kind }) => kind === "join");
    assert.equal(new Set(joins.map(({ gateway }) => gateway)).size, 2);
  });

  await t.test("the logs have what happened, and the way in which frames are sent", async () => {
    const starts = logOfGateways(project).filter(({ kind }) => kind === "start");
    assert.equal(starts.length, 2);
    for (const { message } of starts) assert.match(message, /sending by (writev|io_uring)/);
    await until("the connections are in nginx' log", () => logOfNginx(project).filter(({ status, uri }) => status === "101" && uri === "/room").length >= 2);
    assert.match(project.logs("redis"), /ready to accept connections at \/run\/redis\/redis\.sock/);
  });

  await t.test("gateways come, go and are replaced by upgrade.sh, and nobody in the conversation notices", async (t) => {
    // Everybody would take an own address of this machine to a loopback address, and engines forward only 127.0.0.1 to a container.
    const talk = await startConversationElsewhere(t, { pid: project.door.pid, url: `ws://${addressOf(project).address}:8080/room` });
    project.env.YUKIZURI_GATEWAYS = "3";
    project.compose("up", "-d", "--no-recreate");
    await gatewaysSeen(project, 3);
    project.remove(project.ids("gateway")[0]);
    await gatewaysSeen(project, 2);
    const before = project.ids("gateway");
    const upgrade = new Process(t, path.join(top, "compose/upgrade.sh"), ["--no-build"], { env: { ...process.env, ...project.env, ...upgradeEnvironment(project) } });
    assert.equal(await upgrade.status(5 * MINUTES), 0, upgrade.errors);
    await gatewaysSeen(project, 2);
    assert.equal(project.ids("gateway").length, 2);
    assert.deepEqual(project.ids("gateway").filter((id) => before.includes(id)), []);
    const verdict = await talk.end();
    assert.deepEqual(verdict.problems, []);
    assert.ok(verdict.reconnects > 0, "they did move");
  });

  await t.test("clients of an outer proxy have addresses of their own if the proxy is configured, and only then", { timeout: 10 * MINUTES }, async (t) => {
    assert.ok((await arrive(t, project)).refused > 0, "all of them have the proxy's address");
    const { address, length } = addressOf(project);
    project.env.YUKIZURI_OUTER_PROXY = `${address}/${length}`;
    project.remove(project.ids("nginx")[0]);
    project.compose("up", "-d", "--no-recreate");
    await ready(project);
    assert.deepEqual(await arrive(t, project), { in: 150, refused: 0 });
    assert.ok(logOfGateways(project).some(({ remote_addr }) => remote_addr === "198.51.100.150"));
    assert.ok(logOfNginx(project).some(({ host }) => host === "198.51.100.150"));
  });

  await t.test("down leaves nothing", () => {
    project.down();
    for (const kind of [["ps", "-aq"], ["volume", "ls", "-q"], ["network", "ls", "-q"]])
      assert.equal(engine(...kind, "--filter", `label=com.docker.compose.project=${project.name}`), "", kind[0]);
  });
});

/** 150 sockets through an nginx of its own in front, each from another claimed address. */
async function arrive(t, project) {
  const { network, address } = addressOf(project);
  const file = path.join(project.directory, "outer.conf");
  fs.writeFileSync(file, outerConfiguration(address));
  const port = await freePort();
  const id = engine("run", "-d", "--network", network, "-p", `127.0.0.1:${port}:8000`, "-v", `${file}:/etc/nginx/nginx.conf:ro`, "nginx:stable");
  const end = () => engine("rm", "-f", id);
  try {
    const { url, origin, socketPath } = await door(t, port);
    await until("the outer proxy is ready", async () => (await get(`${origin}/readyz`, { socketPath }).catch(() => ({}))).status === 200);
    const members = Array.from({ length: 150 }, (_, i) => new Member(t, url, { headers: { "X-Client": `198.51.100.${i + 1}` } }));
    const outcome = ({ socket, error }) => (socket.readyState === 1 ? "in" : error && "refused");
    await until("each is in or refused", () => members.every(outcome));
    const refused = members.filter((member) => outcome(member) === "refused");
    for (const { error } of refused) assert.match(error.message, /429/);
    const result = { in: members.length - refused.length, refused: refused.length };
    for (const { socket } of members) socket.terminate();
    return result;
  } finally {
    end();
  }
}

// --- Observability ---

/** Images from Debian's packages, for an engine that reaches no registry. Debian has no Grafana. */
const standIns = [
  ["localhost/prom/prometheus:v2.53.0", "prometheus", "mkdir -p /prometheus && chown 65534:65534 /prometheus", '["prometheus"]'],
  ["localhost/nginx/nginx-prometheus-exporter:1.3.0", "prometheus-nginx-exporter", "true", '["prometheus-nginx-exporter"]'],
  ["localhost/oliver006/redis_exporter:v1.62.0-alpine", "prometheus-redis-exporter", "ln -s /usr/bin/prometheus-redis-exporter /redis_exporter", '["/redis_exporter"]'],
];

function provideImages(t) {
  for (const [tag, debianPackage, setUp, entrypoint] of standIns) {
    const directory = temporaryDirectory(t);
    const install = `apt-get update -qq && apt-get install -y -qq --no-install-recommends ${debianPackage} && rm -rf /var/lib/apt/lists/*`;
    fs.writeFileSync(path.join(directory, "Dockerfile"), `FROM debian:bookworm-slim\nRUN ${install} && ${setUp}\nENTRYPOINT ${entrypoint}\n`);
    buildImage(directory, tag, "-f", path.join(directory, "Dockerfile"));
  }
}

test("Prometheus finds each gateway, nginx and Redis, and loads the rules", { skip: reason, timeout: 30 * MINUTES }, async (t) => {
  if (withoutRegistry) provideImages(t);
  const port = await freePort();
  const services = withoutRegistry ? ["nginx", "prometheus", "nginx-exporter", "redis-exporter"] : [];
  const project = await startProject(t, { more: [path.join(top, "compose/compose.observability.yaml")], moreEnv: { YUKIZURI_PROMETHEUS: `127.0.0.1:${port}` }, services });
  const { origin, socketPath } = await door(t, port);
  const api = async (where) => JSON.parse((await get(`${origin}/api/v1/${where}`, { socketPath })).body).data;
  const up = async (job) => (await api(`query?query=${encodeURIComponent(`up{job="${job}"} == 1`)}`)).result.map(({ metric }) => metric.instance).sort();
  const names = logOfGateways(project).filter(({ kind }) => kind === "start").map(({ gateway }) => gateway).sort();
  for (const [job, count] of [["yukizuri", 2], ["nginx", 1], ["redis", 1], ["prometheus", 1]])
    await until(() => `${job} is up: ${project.logs("prometheus")}`, async () => (await up(job).catch(() => [])).length === count, 3 * MINUTES);
  assert.deepEqual(await up("yukizuri"), names);
  for (const query of ["redis_up == 1", "nginx_up == 1", "yukizuri_ready == 1"]) assert.ok((await api(`query?query=${encodeURIComponent(query)}`)).result.length > 0, query);
  const { groups } = await api("rules");
  assert.ok(groups.length > 0);
  for (const { rules } of groups) for (const { name, health, lastError } of rules) assert.notEqual(health, "err", `${name}: ${lastError}`);
});
