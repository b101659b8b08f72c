// The files of deploy/ansible: what can be checked without a machine to provision. ansible-trees.test.mjs runs them.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { filesBelow } from "../lib/harness.mjs";
import { exampleVault, inventoryOf, name, place, workplace } from "./lib/ansible.mjs";

const roles = filesBelow(path.join(place, "roles"));

test("ansible-lint, by its strictest profile, and yamllint find nothing", async (t) => {
  const inPlace = workplace(t);
  for (const [command, args] of [["yamllint", ["--strict", "."]], ["ansible-lint", ["--offline", "--strict", "-q", "--nocolor", "--profile", "production"]]]) {
    const { status, output } = await inPlace(command, args);
    assert.equal(status, 0, output);
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
  const set = [...output.matchAll(/^(\w+)\(.*ansible\.cfg\)/gm)].map(([, setting]) => setting);
  assert.deepEqual(set, ["ANSIBLE_PIPELINING", "DEFAULT_GATHERING", "DEFAULT_HOST_LIST", "DEFAULT_ROLES_PATH", "DISPLAY_SKIPPED_HOSTS", "RETRY_FILES_ENABLED"]);
});

test("the example of a vault has the names of the template, and the roles need no other", async (t) => {
  const names = (text) => [...text.matchAll(/^(vault_\w+):/gm)].map(([, found]) => found).sort();
  const wanted = names(fs.readFileSync(path.join(place, "vault.template.yml"), "utf8"));
  assert.deepEqual(names(await exampleVault(workplace(t))), wanted);
  const used = roles.flatMap((file) => fs.readFileSync(file, "utf8").match(/\bvault_\w+/g) ?? []);
  assert.deepEqual([...new Set(used)].sort(), wanted);
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
