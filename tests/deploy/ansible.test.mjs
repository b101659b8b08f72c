// The files of deploy/ansible: what can be checked without a machine to provision. ansible-trees.test.mjs runs them.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { test } from "node:test";
import yaml from "yaml";
import { filesBelow, temporaryDirectory, top } from "../lib/harness.mjs";
import { exampleVault, inventoryOf, name, place, workplace } from "./lib/ansible.mjs";

const roles = filesBelow(path.join(place, "roles"));

test("ansible-lint, by its strictest rules, and yamllint find nothing", async (t) => {
  const inPlace = workplace(t);
  for (const [command, args] of [["yamllint", ["--strict", "."]], ["ansible-lint", ["--offline", "--strict", "-q", "--nocolor"]]]) {
    const { status, output } = await inPlace(command, args);
    assert.equal(status, 0, output);
  }
});

/** The tasks of a list with those of its blocks, each as [module, arguments]: what is named like a module. */
const modulesOf = (tasks) =>
  tasks.flatMap((task) => [...Object.entries(task).filter(([key]) => key.includes(".")), ...["block", "rescue", "always"].flatMap((part) => modulesOf(task[part] ?? []))]);

// ansible-lint does not look for the modules of tasks that are included
test("each task names a module of ansible-core, and arguments that this module has", async (t) => {
  const uses = roles.filter((file) => /\/(tasks|handlers)\/[^/]+\.yml$/.test(file)).map((file) => [file, modulesOf(yaml.parse(fs.readFileSync(file, "utf8")))]);
  const names = [...new Set(uses.flatMap(([, modules]) => modules.map(([module]) => module)))];
  const { status, output } = await workplace(t)("ansible-doc", ["--json", ...names]);
  assert.equal(status, 0, output);
  const documents = JSON.parse(output.slice(output.indexOf("{")));
  for (const [file, modules] of uses) {
    assert.ok(modules.length > 0, file);
    for (const [module, given] of modules) {
      const options = documents[module]?.doc.options;
      assert.ok(options, `${file}: there is no module ${module}`);
      const known = new Set(Object.entries(options).flatMap(([option, { aliases = [] }]) => [option, ...aliases]));
      if (given?.constructor === Object && !known.has("free_form") && !known.has("key_value")) assert.deepEqual(Object.keys(given).filter((argument) => !known.has(argument)), [], `${file}: ${module}`);
    }
  }
});

for (const inventory of ["single", "cluster"]) {
  test(`the playbook and the inventory fit together: ${inventory}`, async (t) => {
    const inPlace = workplace(t);
    const { status, output } = await inPlace("ansible-playbook", ["--inventory", `inventories/${inventory}`, ...inPlace.secrets, "--syntax-check", "site.yml"]);
    assert.equal(status, 0, output);
    const listed = await inventoryOf(inPlace, inventory);
    for (const group of ["balancer", "gateways", "redis"]) assert.ok(listed[group].hosts.length > 0, group);
    for (const [host, { yukizuri_name, ansible_host }] of Object.entries(listed._meta.hostvars)) {
      assert.equal(yukizuri_name, name, host);
      assert.match(ansible_host, /^192\.0\.2\.\d+$/, host);
    }
  });
}

test("the configuration of Ansible is in effect", async (t) => {
  const { status, output } = await workplace(t)("ansible-config", ["dump", "--only-changed"]);
  assert.equal(status, 0, output);
  const set = [...output.matchAll(/^(\w+)\(.*ansible\.cfg\) = (.*)$/gm)].map(([, setting, value]) => [setting, value.replaceAll(place, "")]);
  assert.deepEqual(Object.fromEntries(set), {
    DEFAULT_GATHERING: "explicit",
    DEFAULT_HOST_LIST: "['/inventories/single']",
    DEFAULT_ROLES_PATH: "['/roles']",
    DISPLAY_SKIPPED_HOSTS: "False",
    RETRY_FILES_ENABLED: "False",
  });
});

/** What a template of a role becomes on each host of an inventory: { host: text }. */
async function rendered(t, inventory, role, template, variables = {}) {
  const inPlace = workplace(t);
  const to = temporaryDirectory(t);
  const of = (name) => path.join(place, "roles", name, "defaults/main.yml");
  const play = {
    hosts: "all",
    connection: "local",
    gather_facts: false,
    vars_files: ["topology", role].map(of).filter((file) => fs.existsSync(file)),
    tasks: [{ name: "Write it", "ansible.builtin.template": { src: path.join(place, "roles", role, "templates", template), dest: `${to}/{{ inventory_hostname }}`, mode: "0600" } }],
  };
  const book = path.join(to, "play.yml");
  fs.writeFileSync(book, JSON.stringify([play]));
  const { status, output } = await inPlace("ansible-playbook", ["--inventory", `inventories/${inventory}`, ...inPlace.secrets, "--extra-vars", JSON.stringify(variables), book]);
  assert.equal(status, 0, output);
  fs.rmSync(book);
  return Object.fromEntries(fs.readdirSync(to).map((host) => [host, fs.readFileSync(path.join(to, host), "utf8")]));
}

/** Who may reach the ports of a host: { ports: who }. Everybody is "". */
const admitted = (rules) => Object.fromEntries([...rules.matchAll(/^ +(?:ip saddr \{ (.*?),? \} )?tcp dport (?:\{ )?([-0-9, ]+?)(?: \})? accept$/gm)].map(([, who = "", ports]) => [ports, who]));

test("the firewall admits everybody to the balancer, and to other ports only those that need them", async (t) => {
  assert.deepEqual(admitted((await rendered(t, "single", "firewall", "nftables.conf.j2")).chat), { 22: "", "80, 443": "" });
  const rules = await rendered(t, "cluster", "firewall", "nftables.conf.j2", { firewall_ssh_from: ["198.51.100.0/24", "2001:db8::/32"] });
  const others = ["192.0.2.21", "192.0.2.22", "192.0.2.31", "192.0.2.32", "192.0.2.11"].join(", ");
  const wanted = { "balancer-1": { "80, 443": "", 26379: others }, "gateway-1": { "8081-8089": "192.0.2.11" }, "gateway-2": { "8081-8089": "192.0.2.11" }, "redis-1": { 6379: others, 26379: others }, "redis-2": { 6379: others, 26379: others } };
  for (const [host, ports] of Object.entries(wanted)) {
    const { 22: ssh, ...found } = admitted(rules[host]);
    assert.equal(ssh, "198.51.100.0/24", host);
    const sorted = (admission) => Object.entries(admission).map(([port, who]) => [port, who.split(", ").sort()]);
    assert.deepEqual(sorted(found), sorted(ports), host);
    assert.match(rules[host], /ip6 saddr \{ 2001:db8::\/32 \} tcp dport 22 accept/);
  }
});

test("the gateways get their Redis, whom to believe, and where to listen", async (t) => {
  const settingsOf = async (inventory, host, variables) => (await rendered(t, inventory, "yukizuri", "50-ansible.conf.j2", variables))[host].split("\n").filter((line) => /^[^#]/.test(line));
  const password = (of) => `${of}-password-file = /etc/yukizuri/${of}-password`;
  assert.deepEqual(await settingsOf("single", "chat", { yukizuri_settings: { "leave-grace": 16 } }), ["redis = unix://yukizuri@/run/redis-yukizuri/redis.sock", password("redis"), "leave-grace = 16"]);
  const many = (variables) => settingsOf("cluster", "gateway-2", variables);
  const rest = [password("redis"), "trusted-proxy = 192.0.2.11"];
  const sentinels = "redis-sentinel://yukizuri@192.0.2.11:26379,192.0.2.31:26379,192.0.2.32:26379/yukizuri";
  assert.deepEqual(await many({}), [`redis = ${sentinels}`, password("redis"), "sentinel-user = yukizuri", password("sentinel"), "trusted-proxy = 192.0.2.11"]);
  assert.match((await many({ private_address: "2001:db8::7" }))[0], /@(\[2001:db8::7\]:26379,?){3}\/yukizuri$/);
  assert.deepEqual(await many({ topology_sentinels: [] }), ["redis = redis://yukizuri@192.0.2.31:6379", ...rest]);
  const cluster = "redis-cluster://yukizuri@192.0.2.41,192.0.2.42";
  assert.deepEqual(await many({ yukizuri_settings: { redis: cluster } }), [`redis = ${cluster}`, ...rest]);
  const address = await rendered(t, "cluster", "systemd", "address.conf.j2");
  assert.match(address["gateway-2"], /^Environment=YUKIZURI_ADDR=192\.0\.2\.22:808%i,127\.0\.0\.1:808%i$/m);
});

/** What a Sentinel's configuration says, but for addresses, passwords, and what only a host of a network has. */
const whatSentinelsHave = (text) =>
  text
    .split("\n")
    .filter((line) => !/^($|#|logfile |sentinel announce-ip )/.test(line))
    .map((line) => line.replace(/^bind .*/, "bind").replace(/ #[0-9a-f]{64} /, " resetpass ").replace(/"[^"]*"$/, "PASSWORD").replace(/ [0-9.]+ 6379 /, " ADDRESS 6379 "))
    .sort();

test("the Sentinels have what the example has: the gateways' user, the times, and passwords everywhere", async (t) => {
  const example = whatSentinelsHave(fs.readFileSync(path.join(top, "deploy/redis/sentinel.conf"), "utf8"));
  const vault = yaml.parse(await exampleVault(workplace(t)));
  const sentinels = await rendered(t, "cluster", "sentinel", "sentinel-yukizuri.conf.j2");
  for (const host of ["balancer-1", "redis-1", "redis-2"]) {
    assert.deepEqual(whatSentinelsHave(sentinels[host]), example, host);
    const said = (pattern) => pattern.exec(sentinels[host])[1];
    assert.equal(said(/^user yukizuri on #(\w+) /m), createHash("sha256").update(vault.vault_sentinel_gateway_password).digest("hex"));
    for (const pattern of [/^requirepass "(.*)"$/m, /^sentinel sentinel-pass "(.*)"$/m]) assert.equal(said(pattern), vault.vault_sentinel_password);
    assert.equal(said(/^sentinel auth-pass yukizuri "(.*)"$/m), vault.vault_redis_sentinel_password);
  }
});

test("the example of a vault has the names of the template, and the roles need no other", async (t) => {
  const names = (text) => [...text.matchAll(/^(vault_\w+):/gm)].map(([, found]) => found).sort();
  const wanted = names(fs.readFileSync(path.join(place, "vault.template.yml"), "utf8"));
  assert.deepEqual(names(await exampleVault(workplace(t))), wanted);
  const used = roles.flatMap((file) => fs.readFileSync(file, "utf8").match(/\bvault_\w+/g) ?? []);
  assert.deepEqual([...new Set(used)].sort(), wanted);
});

test("a password that a host needs and the vault leaves empty or does not have stops the playbook by its name", async (t) => {
  const inPlace = workplace(t);
  const book = path.join(temporaryDirectory(t), "play.yml");
  const task = { name: "Look", "ansible.builtin.include_role": { name: "redis", tasks_from: "passwords" } };
  fs.writeFileSync(book, JSON.stringify([{ hosts: "redis", connection: "local", gather_facts: false, vars_files: [path.join(place, "roles/topology/defaults/main.yml")], tasks: [task] }]));
  const look = (inventory, variables, secrets = inPlace.secrets) => inPlace("ansible-playbook", ["--inventory", `inventories/${inventory}`, ...secrets, "--extra-vars", JSON.stringify(variables), book]);
  const empty = { vault_redis_admin_password: "", vault_redis_replica_password: "" };
  assert.match((await look("single", empty)).output, /the vault has no value for vault_redis_admin_password; vault\.template\.yml/);
  assert.match((await look("cluster", empty)).output, /the vault has no value for vault_redis_admin_password, vault_redis_replica_password; /);
  assert.match((await look("cluster", { vault_sentinel_gateway_password: "" })).output, /the vault has no value for vault_sentinel_gateway_password; /);
  assert.match((await look("cluster", {}, [])).output, /the vault has no value for vault_redis_password, .*, vault_sentinel_gateway_password; /);
  const { status, output } = await look("cluster", {});
  assert.equal(status, 0, output);
});

test("a task that has a secret in it prints nothing", () => {
  const secret = /vault_\w+|(redis|sentinel)-yukizuri\.conf\.j2|\{\{ nginx_certificate_key_src \}\}/;
  const withSecrets = roles
    .filter((file) => file.includes("/tasks/"))
    .flatMap((file) => fs.readFileSync(file, "utf8").split(/\n(?=- name:)/))
    .filter((task) => secret.test(task));
  assert.ok(withSecrets.length >= 7, "they are found");
  for (const task of withSecrets) assert.match(task, /\n {2}no_log: true/, task);
});
