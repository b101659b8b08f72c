// Runs Ansible with the files of deploy/ansible, and boots the hosts of its inventories as trees.
import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { temporaryDirectory, top } from "../../lib/files.mjs";
import { Network, Tree } from "./tree.mjs";

export const place = path.join(top, "deploy/ansible");
export const name = "chat.example.org";
const binary = process.env.TEST_BINARY ?? path.join(top, "build/release/yukizuri");

// What a server of a provider has; what its apt can install; what stands for a certificate authority.
const packages = ["openssh-server", "python3", "python3-apt", "pebble"];
const archive = [
  "certbot", "logrotate", "nftables", "nginx-light", "redis-sentinel", "redis-server", "redis-tools", "rsync", "supervisor", "tzdata",
  "libevent-core-2.1-7", "libevent-openssl-2.1-7", "libhiredis0.14", "libjansson4", "libjemalloc2", "libseccomp2", "libssl3", "liburing2", "libutf8proc2", "libwslay1", "zlib1g",
];

/** Runs a program and returns { status, output }. */
async function run(command, args, options) {
  try {
    const { stdout, stderr } = await promisify(execFile)(command, args, { maxBuffer: 1 << 26, ...options });
    return { status: 0, output: stdout + stderr };
  } catch (error) {
    return { status: error.code ?? error.signal, output: `${error.stdout}${error.stderr}` };
  }
}

/** A home directory for Ansible, with the password of the example of a vault. Returns a function that runs a program in deploy/ansible. */
export function workplace(t) {
  const home = temporaryDirectory(t);
  const env = { PATH: process.env.PATH, LANG: "C.UTF-8", HOME: home, ANSIBLE_HOME: path.join(home, ".ansible"), ANSIBLE_NOCOLOR: "1" };
  const password = path.join(home, "password");
  fs.writeFileSync(password, "example\n", { mode: 0o600 });
  const inPlace = (command, args) => run(command, args, { cwd: place, env });
  return Object.assign(inPlace, { home, password, secrets: ["--extra-vars", "@vault.example.yml", "--vault-password-file", password] });
}

/** What an inventory says, as Ansible understands it. */
export async function inventoryOf(inPlace, inventory) {
  const { status, output } = await inPlace("ansible-inventory", ["--inventory", `inventories/${inventory}`, "--list"]);
  assert.equal(status, 0, output);
  return JSON.parse(output);
}

/** The decrypted example of a vault. */
export async function exampleVault(inPlace) {
  const { status, output } = await inPlace("ansible-vault", ["view", "--vault-password-file", inPlace.password, "vault.example.yml"]);
  assert.equal(status, 0, output);
  return output;
}

/** Trees with sshd, as an inventory names them, and this machine's Ansible in the same network. */
export class Site {
  static async start(t, inventory) {
    const inPlace = workplace(t);
    const site = Object.assign(new Site(), { inPlace, inventory, network: await Network.start(t), trees: {} });
    site.key = path.join(inPlace.home, "key");
    site.known = path.join(inPlace.home, "known");
    site.secrets = [...(await exampleVault(inPlace)).matchAll(/^vault_\w+: (example-\S+)$/gm)].map(([, value]) => value);
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", site.key]);
    const { hostvars } = (await inventoryOf(inPlace, inventory))._meta;
    for (const [host, { ansible_host: address }] of Object.entries(hostvars)) {
      const tree = await Tree.start(t, { packages, archive, hostname: "fresh", network: site.network, address });
      tree.write("/root/.ssh/authorized_keys", fs.readFileSync(`${site.key}.pub`), 0o600);
      fs.appendFileSync(site.known, `${address} ${tree.read("/etc/ssh/ssh_host_ed25519_key.pub")}`);
      site.trees[host] = tree;
    }
    return site;
  }

  /** Runs the playbook, which must succeed and print no secret. Returns its output. */
  async provision(variables = {}) {
    const extra = JSON.stringify({ yukizuri_binary: binary, topology_update_cache: false, ...variables });
    const ssh = ["--private-key", this.key, "--ssh-common-args", `-F /dev/null -o UserKnownHostsFile=${this.known}`];
    const args = ["--inventory", `inventories/${this.inventory}`, ...ssh, ...this.inPlace.secrets, "--extra-vars", extra, "--diff", "site.yml"];
    const { status, output } = await this.inPlace("nsenter", ["-t", String(this.network.pid), "-n", "ansible-playbook", ...args]);
    assert.equal(status, 0, output);
    for (const secret of this.secrets) assert.ok(!output.includes(secret), "a secret is printed");
    return output;
  }

  /** A run that changes nothing. */
  async isDone(variables) {
    const output = await this.provision(variables);
    const changed = [...output.matchAll(/ changed=(\d+) /g)].map(([, n]) => Number(n));
    assert.ok(changed.length > 0 && changed.every((n) => n === 0), output);
  }
}
