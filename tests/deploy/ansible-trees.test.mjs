// The playbook of deploy/ansible brings empty Debian systems to a running chat, and changes nothing when it runs again.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { connect as connectTls } from "node:tls";
import { Member, temporaryDirectory, until } from "../lib/harness.mjs";
import { Site, name } from "./lib/ansible.mjs";
import { DebianPackage } from "./lib/package.mjs";
import { whyNoTree } from "./lib/tree.mjs";

const skip = await whyNoTree();

/** A certificate authority of a day, and a certificate that it gave to a host. */
function authority(t, host, names) {
  const home = temporaryDirectory(t);
  const at = (file) => path.join(home, file);
  const openssl = (...args) => execFileSync("openssl", args, { stdio: "pipe" });
  const key = (file) => ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", at(file)];
  openssl("req", "-x509", ...key("ca.key"), "-out", at("ca.pem"), "-subj", "/CN=an authority of a test", "-days", "1");
  openssl("req", ...key("key.pem"), "-out", at("request.pem"), "-subj", `/CN=${host}`);
  fs.writeFileSync(at("names"), `subjectAltName=${names}\n`);
  openssl("x509", "-req", "-in", at("request.pem"), "-CA", at("ca.pem"), "-CAkey", at("ca.key"), "-CAcreateserial", "-out", at("cert.pem"), "-days", "1", "-extfile", at("names"));
  return { at, ca: fs.readFileSync(at("ca.pem"), "utf8") };
}

/** A certificate that is brought from this machine. */
function certificate(t) {
  const { at, ca } = authority(t, name, `DNS:${name}`);
  return { ca, variables: { nginx_certificate_from: "files", nginx_certificate_src: at("cert.pem"), nginx_certificate_key_src: at("key.pem") } };
}

/** Debian's pebble in the tree: a certificate authority that speaks ACME, and asks the name for its answer as the real ones do. */
async function pebble(t, tree) {
  const { at, ca } = authority(t, "localhost", "DNS:localhost,IP:127.0.0.1");
  for (const file of ["cert.pem", "key.pem"]) tree.copy(at(file), `/etc/pebble/${file}`);
  tree.write("/etc/pebble/ca.pem", ca);
  const settings = { listenAddress: "127.0.0.1:14000", managementListenAddress: "127.0.0.1:15000", certificate: "/etc/pebble/cert.pem", privateKey: "/etc/pebble/key.pem", httpPort: 80, tlsPort: 443, ocspResponderURL: "" };
  tree.write("/etc/pebble/config.json", JSON.stringify({ pebble: settings }));
  tree.write("/etc/hosts", `${tree.read("/etc/hosts")}127.0.0.1 ${name}\n`);
  await tree.demand(["systemd-run", "--quiet", "--unit=pebble", "--setenv=PEBBLE_VA_NOSLEEP=1", "--setenv=PEBBLE_WFE_NONCEREJECT=0", "pebble", "-config", "/etc/pebble/config.json"]);
  const curl = ["curl", "--silent", "--fail", "--cacert", "/etc/pebble/ca.pem"];
  await tree.until([...curl, "https://localhost:14000/dir"]);
  return {
    root: await tree.demand([...curl, "https://localhost:15000/roots/0"]),
    variables: { certbot_server: "https://localhost:14000/dir", certbot_ca_bundle: "/etc/pebble/ca.pem" },
  };
}

/** Whether a port answers. What the firewall drops never does. */
async function reaches(from, address, port) {
  return (await from.run(["timeout", "3", "bash", "-c", `</dev/tcp/${address}/${port}`])).status === 0;
}

/** Two people talk over wss through the nginx of this tree. They insist, as clients do: gateways that have just been started may not have their Redis yet. */
async function talk(t, tree, ca) {
  const socketPath = await tree.pathTo(t, 443);
  const come = async (who) => {
    const member = new Member(t, `wss://${name}/room/lobby`, { ca, createConnection: (options) => connectTls({ ...options, path: socketPath, socketPath, servername: name }) });
    await member.opened();
    await member.insistOn({ type: "join", name: who }, "welcome");
    return member;
  };
  const [one, two] = [await come("one"), await come("two")];
  await one.insist("こんにちは");
  await two.waitFor({ type: "message", text: "こんにちは" });
  await two.insist("hello");
  await one.waitFor({ type: "message", text: "hello" });
  return [one, two];
}

/** What an operator does before a restart. */
const checkSettings = ["yukizuri", "--config", "/etc/yukizuri/yukizuri.conf", "--check-config"];

/** The programs that mackerel-agent watches there. */
const programsOf = (tree) => fs.readdirSync(tree.path("/etc/mackerel-agent/conf.d")).map((file) => path.basename(file, ".conf")).filter((each) => each !== "apikey").sort();

test("one machine: from an empty system to a chat with a certificate of certbot", { skip }, async (t) => {
  const site = await Site.start(t, "single");
  const { chat } = site.trees;
  const { root, variables } = await pebble(t, chat);
  const wanted = { ...variables, fluentd_wanted: true, mackerel_wanted: true };
  await site.provision(wanted);
  await talk(t, chat, root);

  await t.test("the machine is what the inventory says", async () => {
    assert.equal((await chat.demand(["hostname"])).trim(), "chat");
    assert.equal((await chat.demand(["date", "+%Z"])).trim(), "JST");
    assert.equal((await chat.demand(["systemctl", "list-units", "--failed", "--no-legend"])).trim(), "");
    await chat.demand(["systemctl", "is-enabled", "yukizuri.target", "redis-server@yukizuri.service", "nginx.service", "nftables.service", "certbot.timer", "logrotate.timer"]);
    for (const gateway of [1, 2]) await chat.demand(["curl", "--silent", "--fail", `http://127.0.0.1:808${gateway}/readyz`]);
    await chat.demand(checkSettings);
    await chat.demand(["logrotate", "--force", "/etc/logrotate.d/yukizuri"]);
    assert.match(chat.read("/etc/fluent/fluentd.conf"), /files\.conf/);
    assert.match(chat.read("/etc/mackerel-agent/conf.d/apikey.conf"), /^apikey = "example-/);
    assert.deepEqual(programsOf(chat), ["fluentd", "nginx", "redis", "yukizuri"]);
    assert.match(chat.read("/etc/mackerel-agent/conf.d/redis.conf"), / --socket=\/run\/redis-yukizuri\/redis\.sock"/);
    const ask = (...args) => chat.demand(["redis-cli", "-s", "/run/redis-yukizuri/redis.sock", ...args]);
    assert.match(await ask("PING"), /^NOAUTH/);
    assert.match(await chat.demand(["sh", "-c", "REDISCLI_AUTH=$(cat /etc/yukizuri/redis-admin-password) redis-cli -s /run/redis-yukizuri/redis.sock PING"]), /^PONG$/m);
  });

  await t.test("only ssh and nginx are reached from outside", async () => {
    for (const port of [22, 80, 443]) assert.ok(await reaches(site.network, chat.address, port), `${port} is open`);
    await chat.demand(["systemd-run", "--quiet", "--unit=open", "--socket-property=ListenStream=8090", "--socket-property=Accept=yes", "cat"]);
    assert.ok(await reaches(chat, chat.address, 8090));
    assert.ok(!(await reaches(site.network, chat.address, 8090)), "what listens on every address is closed");
  });

  await t.test("a second run changes nothing", () => site.isDone(wanted));

  await t.test("a changed setting restarts the gateways, one after the other", async () => {
    const at = async (property, i) => Number(await chat.demand(["systemctl", "show", `--property=${property}TimestampMonotonic`, "--value", `yukizuri@${i}.service`]));
    const before = await at("ActiveEnter", 2);
    await site.provision({ ...wanted, yukizuri_settings: { "leave-grace": 16 } });
    assert.ok((await at("ActiveEnter", 1)) > before, "the first one was restarted");
    assert.ok((await at("InactiveExit", 2)) > (await at("ActiveEnter", 1)), "the second one after it was ready");
  });
});

test("one machine from the Debian package", { skip, timeout: 2400000 }, async (t) => {
  const built = await DebianPackage.get(t);
  const site = await Site.start(t, "single");
  const { chat } = site.trees;
  const { ca, variables } = certificate(t);
  const wanted = { ...variables, yukizuri_deb: built.deb, yukizuri_binary: "" };
  await site.provision(wanted);
  await talk(t, chat, ca);
  assert.match(await chat.demand(["dpkg-query", "--show", "--showformat=${Status}", "yukizuri"]), /^install ok installed$/);
  assert.match(await chat.demand(["systemctl", "show", "--property=FragmentPath", "yukizuri@1.service"]), /^FragmentPath=(\/usr)?\/lib\/systemd\/system\/yukizuri@\.service$/m);
  assert.equal(await chat.demand(["dpkg", "--verify", "yukizuri"]), "", "no file of the package is changed");
  await site.isDone(wanted);
});

test("one machine with supervisor", { skip }, async (t) => {
  const site = await Site.start(t, "single");
  const { ca, variables } = certificate(t);
  const wanted = { ...variables, yukizuri_manager: "supervisor" };
  await site.provision(wanted);
  await talk(t, site.trees.chat, ca);
  const running = await site.trees.chat.demand(["supervisorctl", "status"]);
  assert.equal(running.match(/RUNNING/g)?.length, 2, running);
  await site.isDone(wanted);
});

test("a balancer, gateways, Redis with a replica, and Sentinels", { skip }, async (t) => {
  const site = await Site.start(t, "cluster");
  const { ca, variables: found } = certificate(t);
  const variables = { ...found, mackerel_wanted: true };
  await site.provision(variables);
  const tree = (host) => site.trees[host];
  const [one, two] = await talk(t, tree("balancer-1"), ca);
  const admin = site.secrets.find((secret) => secret.startsWith("example-clients-of-sentinel"));
  const redisInfo = (host) => host.demand(["sh", "-c", "REDISCLI_AUTH=$(cat /etc/yukizuri/redis-admin-password) redis-cli info replication"]);

  await t.test("each host watches the programs that it has", () => {
    const wanted = { "balancer-1": ["nginx"], "gateway-1": ["yukizuri"], "redis-2": ["redis"] };
    for (const [host, programs] of Object.entries(wanted)) assert.deepEqual(programsOf(tree(host)), programs, host);
    assert.match(tree("redis-1").read("/etc/mackerel-agent/conf.d/redis.conf"), / --host=127\.0\.0\.1 --port=6379"/);
  });

  await t.test("the ports of gateways and Redis are for those that need them", async () => {
    for (const [host, port] of [["gateway-1", 8081], ["gateway-2", 8081], ["redis-1", 6379], ["redis-1", 26379], ["balancer-1", 26379]]) {
      assert.ok(!(await reaches(site.network, tree(host).address, port)), `${host}:${port} is closed to others`);
    }
    assert.ok(await reaches(tree("balancer-1"), tree("gateway-1").address, 8081));
    assert.ok(await reaches(tree("gateway-1"), tree("redis-1").address, 6379));
    for (const host of ["balancer-1", "redis-1", "redis-2"]) assert.ok(await reaches(tree("gateway-2"), tree(host).address, 26379), `the Sentinel of ${host}`);
    assert.ok(!(await reaches(tree("gateway-1"), tree("gateway-2").address, 8081)));
  });

  await t.test("a second run changes nothing", () => site.isDone(variables));

  await t.test("the gateways may ask the Sentinels, with a password that only root reads", async () => {
    const gateway = tree("gateway-1");
    await gateway.demand(checkSettings);
    for (const name of ["redis-password", "sentinel-password"]) assert.equal((await gateway.demand(["stat", "-c", "%a %U %G", `/etc/yukizuri/${name}`])).trim(), "600 root root");
    await until("all three answer", async () => /^yukizuri_sentinels_up 3$/m.test(await gateway.demand(["curl", "--silent", "--fail", "http://127.0.0.1:8081/metrics"])));
  });

  await t.test("after a failover, planned or not, those who talk go on through the gateways, which nobody has touched", async () => {
    const started = () => Promise.all(["gateway-1", "gateway-2"].map((host) => tree(host).demand(["systemctl", "show", "--property=MainPID", "yukizuri@1.service"])));
    const before = await started();
    const sentinel = (...words) => tree("balancer-1").demand(["env", `REDISCLI_AUTH=${admin}`, "redis-cli", "-p", "26379", "sentinel", ...words]);
    const primaryIs = (address) => until(`the primary is ${address}`, async () => (await sentinel("get-master-addr-by-name", "yukizuri")).startsWith(`${address}\n`), 120000);
    const goOn = async (text) => {
      await one.insist(text);
      await two.waitFor({ type: "message", text });
    };
    await sentinel("failover", "yukizuri");
    await primaryIs("192.0.2.32");
    await until("redis-1 takes no writes, and has everything that redis-2 has", async () => /state=online/.test(await redisInfo(tree("redis-2"))));
    await goOn("after a planned failover");
    await tree("redis-2").demand(["systemctl", "kill", "--signal=SIGKILL", "redis-server@yukizuri.service"]);
    await primaryIs("192.0.2.31");
    await goOn("after a primary that died");
    await until("redis-2 is a replica", async () => /state=online/.test(await redisInfo(tree("redis-1"))), 120000);
    assert.deepEqual([one.closed, two.closed], [null, null]);
    assert.deepEqual(await started(), before);
  });

  await t.test("a run after a failover changes nothing, and leaves the primary as it is", async () => {
    await site.isDone(variables);
    assert.match(await redisInfo(tree("redis-1")), /^role:master/m);
  });
});
