// The playbook of deploy/ansible brings empty Debian systems to a running chat.
import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { Member, filesBelow, temporaryDirectory, top, until } from "../lib/harness.mjs";
import { Network, Tree, whyNoTree } from "./lib/tree.mjs";

const place = path.join(top, "deploy/ansible");
const name = "chat.example.org";
const binary = process.env.TEST_BINARY ?? path.join(top, "build/release/yukizuri");
const all = process.env.YUKIZURI_DEPLOY_ALL === "1";
const skip = all ? await whyNoTree() : "only with --all";

// What a server of a provider has, and what its apt can install.
const packages = ["openssh-server", "python3", "python3-apt", "pebble"];
const archive = [
  "certbot", "logrotate", "nftables", "nginx-light", "redis-sentinel", "redis-server", "redis-tools", "rsync", "supervisor", "tzdata",
  "libevent-core-2.1-7", "libevent-openssl-2.1-7", "libhiredis0.14", "libjansson4", "libjemalloc2", "libssl3", "liburing2", "libutf8proc2", "libwslay1", "zlib1g",
];

const run = async (command, args, options) => {
  const { error, stdout, stderr } = await promisify(execFile)(command, args, { maxBuffer: 1 << 26, ...options }).catch((failure) => ({ error: failure, ...failure }));
  return { status: error ? error.code : 0, output: `${stdout}${stderr}` };
};

/** Runs a program in deploy/ansible, with a home directory of its own. */
function inPlace(t, command, args) {
  const home = temporaryDirectory(t);
  return run(command, args, { cwd: place, env: { PATH: process.env.PATH, LANG: "C.UTF-8", HOME: home, ANSIBLE_HOME: path.join(home, ".ansible") } });
}

function passwordFile(t) {
  const file = path.join(temporaryDirectory(t), "password");
  fs.writeFileSync(file, "example\n", { mode: 0o600 });
  return file;
}

// --- The files ---

test("ansible-lint, by its strictest profile, and yamllint find nothing", async (t) => {
  for (const [command, args] of [["yamllint", ["--strict", "."]], ["ansible-lint", ["--offline", "--strict", "-q", "--nocolor", "--profile", "production"]]]) {
    const { status, output } = await inPlace(t, command, args);
    assert.equal(status, 0, output);
  }
});

for (const inventory of ["single", "cluster"]) {
  test(`the playbook and the inventory fit together: ${inventory}`, async (t) => {
    const secrets = ["--extra-vars", "@vault.example.yml", "--vault-password-file", passwordFile(t)];
    const checked = await inPlace(t, "ansible-playbook", ["--inventory", `inventories/${inventory}`, ...secrets, "--syntax-check", "site.yml"]);
    assert.equal(checked.status, 0, checked.output);
    const listed = JSON.parse((await inPlace(t, "ansible-inventory", ["--inventory", `inventories/${inventory}`, "--list"])).output);
    for (const group of ["balancer", "gateways", "redis"]) assert.ok(listed[group].hosts.length > 0, group);
    for (const [host, { yukizuri_name }] of Object.entries(listed._meta.hostvars)) assert.equal(yukizuri_name, name, host);
  });
}

test("the example of a vault has the names of the template, and the roles need no other", async (t) => {
  const names = (text) => [...text.matchAll(/^(vault_\w+):/gm)].map(([, found]) => found).sort();
  const { status, output } = await inPlace(t, "ansible-vault", ["view", "--vault-password-file", passwordFile(t), "vault.example.yml"]);
  assert.equal(status, 0, output);
  const wanted = names(fs.readFileSync(path.join(place, "vault.template.yml"), "utf8"));
  assert.deepEqual(names(output), wanted);
  const used = filesBelow(path.join(place, "roles")).flatMap((file) => fs.readFileSync(file, "utf8").match(/\bvault_\w+/g) ?? []);
  assert.deepEqual([...new Set(used)].sort(), wanted);
});

test("a task that has a secret in it prints nothing", () => {
  for (const file of filesBelow(path.join(place, "roles")).filter((found) => found.includes("/tasks/"))) {
    const secret = /vault_\w+|redis-yukizuri\.conf\.j2|sentinel-yukizuri\.conf\.j2|redis_rendered$/m;
    for (const task of fs.readFileSync(file, "utf8").split(/\n(?=- name:)/)) if (secret.test(task)) assert.match(task, /\n {2}no_log: true/, `${file}: ${task}`);
  }
});

// --- The systems ---

/** Trees with sshd, as an inventory names them, and a machine that runs Ansible in the same network. */
class Site {
  static async start(t, inventory) {
    const listed = JSON.parse(execFileSync("ansible-inventory", ["--inventory", `inventories/${inventory}`, "--list"], { cwd: place }));
    const site = Object.assign(new Site(), { t, inventory, home: temporaryDirectory(t), network: await Network.start(t), trees: {} });
    const key = path.join(site.home, "key");
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", key]);
    let known = "";
    for (const [host, { ansible_host: address }] of Object.entries(listed._meta.hostvars)) {
      const tree = await Tree.start(t, { packages, archive, hostname: "fresh", network: site.network, address });
      tree.write("/root/.ssh/authorized_keys", fs.readFileSync(`${key}.pub`), 0o600);
      known += `${address} ${tree.read("/etc/ssh/ssh_host_ed25519_key.pub")}`;
      site.trees[host] = tree;
    }
    fs.writeFileSync(path.join(site.home, "known"), known);
    fs.writeFileSync(path.join(site.home, "password"), "example\n");
    return site;
  }

  /** Runs the playbook, and returns { status, output, changed }. */
  async play(variables = {}, ...more) {
    const extra = { yukizuri_binary: binary, topology_update_cache: false, ...variables };
    const args = [
      "ansible-playbook", "--inventory", `inventories/${this.inventory}`, "--private-key", path.join(this.home, "key"),
      "--ssh-common-args", `-F /dev/null -o UserKnownHostsFile=${path.join(this.home, "known")}`,
      "--extra-vars", "@vault.example.yml", "--vault-password-file", path.join(this.home, "password"), "--extra-vars", JSON.stringify(extra), ...more, "site.yml",
    ];
    const env = { PATH: process.env.PATH, LANG: "C.UTF-8", HOME: this.home, ANSIBLE_HOME: path.join(this.home, ".ansible"), ANSIBLE_NOCOLOR: "1", ...(process.env.ANSIBLE_CALLBACKS_ENABLED && { ANSIBLE_CALLBACKS_ENABLED: process.env.ANSIBLE_CALLBACKS_ENABLED }) };
    const { status, output } = await run("nsenter", ["-t", String(this.network.pid), "-n", ...args], { cwd: place, env });
    if (process.env.SHOW) console.error(output);
    return { status, output, changed: [...output.matchAll(/ changed=(\d+) /g)].reduce((sum, [, n]) => sum + Number(n), 0) };
  }

  async provision(variables, ...more) {
    const played = await this.play(variables, ...more);
    assert.equal(played.status, 0, played.output);
    for (const secret of this.secrets()) assert.ok(!played.output.includes(secret), "a secret is printed");
    return played;
  }

  /** A second run changes nothing. */
  async isDone(variables) {
    const { changed, output } = await this.provision(variables);
    assert.equal(changed, 0, output);
  }

  secrets() {
    const args = ["view", "--vault-password-file", path.join(this.home, "password"), "vault.example.yml"];
    this.secret ??= [...execFileSync("ansible-vault", args, { cwd: place, encoding: "utf8" }).matchAll(/^vault_\w+: (example-\S+)$/gm)].map(([, value]) => value);
    assert.ok(this.secret.length > 4);
    return this.secret;
  }
}

/** Two people talk over wss through the balancer of this tree. */
async function talk(t, tree, ca, room) {
  const socketPath = await tree.pathTo(t, 443);
  const come = (who) => {
    const member = new Member(t, `wss://${name}/room/${room}`, { ca, servername: name, createConnection: undefined, socketPath });
    return member.join(who);
  };
  const [one, two] = [await come("one"), await come("two")];
  await one.say("こんにちは");
  await two.waitFor({ type: "message", text: "こんにちは" });
  await two.say("hello");
  await one.waitFor({ type: "message", text: "hello" });
  return [one, two];
}

/** A certificate authority, and a certificate for the chat. */
function authority(t) {
  const home = temporaryDirectory(t);
  const at = (file) => path.join(home, file);
  const openssl = (...args) => execFileSync("openssl", args, { stdio: "pipe" });
  openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", at("ca.key"), "-out", at("ca.pem"), "-subj", "/CN=a test", "-days", "2");
  openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", at("key.pem"), "-out", at("request.pem"), "-subj", `/CN=${name}`);
  fs.writeFileSync(at("names"), `subjectAltName=DNS:${name}\n`);
  openssl("x509", "-req", "-in", at("request.pem"), "-CA", at("ca.pem"), "-CAkey", at("ca.key"), "-CAcreateserial", "-out", at("cert.pem"), "-days", "2", "-extfile", at("names"));
  return { ca: fs.readFileSync(at("ca.pem")), variables: { nginx_certificate_from: "files", nginx_certificate_src: at("cert.pem"), nginx_certificate_key_src: at("key.pem") } };
}

test("from an empty system to a chat on one machine", { skip }, async (t) => {
  const site = await Site.start(t, "single");
  const { ca, variables } = authority(t);
  await site.provision(variables);
  await talk(t, site.trees.chat, ca, "lobby");
  await site.isDone(variables);
});
