// The files of deploy/ansible: what can be checked without a machine to provision. ansible-trees.test.mjs runs them.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { test } from "node:test";
import yaml from "yaml";
import { filesBelow, temporaryDirectory } from "../lib/harness.mjs";
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
  const single = await rendered(t, "single", "yukizuri", "50-ansible.conf.j2", { yukizuri_settings: { "leave-grace": 16 } });
  assert.deepEqual(single.chat.split("\n").slice(1, -1), ["redis = unix://yukizuri@/run/redis-yukizuri/redis.sock", "leave-grace = 16"]);
  const many = await rendered(t, "cluster", "yukizuri", "50-ansible.conf.j2", { topology_primary: "192.0.2.32", yukizuri_manager: "supervisor" });
  const wanted = ["redis = redis://yukizuri@192.0.2.32:6379", "redis-password-file = /etc/yukizuri/redis-password", "trusted-proxy = 192.0.2.11"];
  assert.deepEqual(many["gateway-2"].split("\n").slice(1, -1), wanted);
  const address = await rendered(t, "cluster", "systemd", "address.conf.j2");
  assert.match(address["gateway-2"], /^Environment=YUKIZURI_ADDR=192\.0\.2\.22:808%i,127\.0\.0\.1:808%i$/m);
});

test("the example of a vault has the names of the template, and the roles need no other", async (t) => {
  const names = (text) => [...text.matchAll(/^(vault_\w+):/gm)].map(([, found]) => found).sort();
  const wanted = names(fs.readFileSync(path.join(place, "vault.template.yml"), "utf8"));
  assert.deepEqual(names(await exampleVault(workplace(t))), wanted);
  const used = roles.flatMap((file) => fs.readFileSync(file, "utf8").match(/\bvault_\w+/g) ?? []);
  assert.deepEqual([...new Set(used)].sort(), wanted);
});

test("a password that a host needs and the vault leaves empty stops the playbook by its name", async (t) => {
  const inPlace = workplace(t);
  const book = path.join(temporaryDirectory(t), "play.yml");
  const task = { name: "Look", "ansible.builtin.include_role": { name: "redis", tasks_from: "passwords" } };
  fs.writeFileSync(book, JSON.stringify([{ hosts: "redis", connection: "local", gather_facts: false, vars_files: [path.join(place, "roles/topology/defaults/main.yml")], tasks: [task] }]));
  const look = (inventory, variables) => inPlace("ansible-playbook", ["--inventory", `inventories/${inventory}`, ...inPlace.secrets, "--extra-vars", JSON.stringify(variables), book]);
  const empty = { vault_redis_admin_password: "", vault_redis_replica_password: "" };
  assert.match((await look("single", empty)).output, /the vault has no value for vault_redis_admin_password; vault\.template\.yml/);
  assert.match((await look("cluster", empty)).output, /the vault has no value for vault_redis_admin_password, vault_redis_replica_password; /);
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
