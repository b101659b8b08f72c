// deploy/release.sh to two booted Debian systems, whose gateways are units of systemd and share a room, while people talk.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { temporaryDirectory, top } from "../lib/harness.mjs";
import { startConversationElsewhere } from "./lib/conversation.mjs";
import { Network, Tree, whyNoTree } from "./lib/tree.mjs";
import { installUnits, libraries } from "./lib/units.mjs";

const skip = await whyNoTree();
const binary = path.join(top, "build/release/yukizuri");
const units = ["yukizuri@1.service", "yukizuri@2.service"];
const addresses = { one: "192.0.2.21", two: "192.0.2.22" };

async function installGateways(tree, lines) {
  tree.copy(binary, "/usr/bin/yukizuri");
  installUnits(tree);
  await tree.demand(["systemd-sysusers"]);
  await tree.demand(["systemd-tmpfiles", "--create"]);
  tree.write("/etc/yukizuri/redis-password", "a password of the tests\n", 0o600);
  tree.write("/etc/yukizuri/yukizuri.conf", [...lines, "drain = 3", "drain-delay = 1", ""].join("\n"));
}

/** Redis and nginx on the first host, gateways on both. */
async function installService({ one, two }) {
  await installGateways(one, ["redis = redis://yukizuri@127.0.0.1:6379"]);
  const password = one.path("/etc/yukizuri/redis-password");
  const redis = execFileSync(path.join(top, "deploy/redis/render.sh"), ["--password-file", password, "--admin-password-file", password], { encoding: "utf8" });
  one.write("/etc/redis/redis-yukizuri.conf", redis.replace(/^bind .*/m, `$& ${addresses.one}`));
  await installGateways(two, [`redis = redis://yukizuri@${addresses.one}:6379`, `trusted-proxy = ${addresses.one}`]);
  two.write("/etc/systemd/system/yukizuri@.service.d/address.conf", `[Service]\nEnvironment=YUKIZURI_ADDR=${addresses.two}:808%i,127.0.0.1:808%i\n`);
  const upstreams = ["unix:/run/yukizuri/1/gateway.sock", "unix:/run/yukizuri/2/gateway.sock", `${addresses.two}:8081`, `${addresses.two}:8082`];
  one.write("/etc/nginx/conf.d/yukizuri.conf", execFileSync(path.join(top, "deploy/nginx/render.sh"), ["--listen", "127.0.0.1:8000", ...upstreams.flatMap((each) => ["--upstream", each])]));
  await one.demand(["systemctl", "disable", "-q", "--now", "redis-server.service"]);
  for (const tree of [one, two]) await tree.demand(["systemctl", "daemon-reload"]);
  await one.demand(["systemctl", "start", "redis-server@yukizuri.service"]);
  for (const tree of [one, two]) await tree.demand(["systemctl", "start", ...units]);
  await one.demand(["systemctl", "restart", "nginx.service"]); // its user is in the gateways' group since then
}

/** The command that reaches the hosts by their names, with a key that they know. */
function allowSsh(t, trees) {
  const home = temporaryDirectory(t);
  const file = (name) => path.join(home, name);
  execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", file("key")]);
  for (const [name, tree] of Object.entries(trees)) {
    tree.write("/root/.ssh/authorized_keys", fs.readFileSync(file("key.pub")), 0o600);
    fs.appendFileSync(file("known"), `${addresses[name]} ${tree.read("/etc/ssh/ssh_host_ed25519_key.pub")}`);
    fs.appendFileSync(file("config"), `Host ${name}\n HostName ${addresses[name]}\n User root\n IdentityFile ${file("key")}\n UserKnownHostsFile ${file("known")}\n BatchMode yes\n`);
  }
  return `ssh -F ${file("config")}`;
}

/** The processes of the gateways of all hosts, and whether each runs this file. */
async function assertRunning(trees, file) {
  const wanted = fs.readFileSync(file);
  for (const [name, tree] of Object.entries(trees)) {
    for (const unit of units) {
      const pid = (await tree.demand(["systemctl", "show", "-P", "MainPID", unit])).trim();
      assert.ok(fs.readFileSync(tree.path(`/proc/${pid}/exe`)).equals(wanted), `${unit} of ${name}`);
    }
  }
}

test("releases to two hosts with units of systemd, a broken one among them, during a conversation", { skip, timeout: 1200000 }, async (t) => {
  const network = await Network.start(t);
  const trees = {};
  for (const name of ["one", "two"]) trees[name] = await Tree.start(t, { packages: ["openssh-server", "rsync", "curl", "redis-server", "nginx-light", ...libraries], hostname: name, network, address: addresses[name] });
  await installService(trees);
  const ssh = allowSsh(t, trees);
  const release = (...args) => network.run(["bash", path.join(top, "deploy/release.sh"), "--ssh", ssh, ...args, "one", "two"]);
  const home = temporaryDirectory(t);
  const next = path.join(home, "next");
  fs.copyFileSync(binary, next);
  fs.appendFileSync(next, "next");
  const broken = path.join(home, "broken");
  fs.writeFileSync(broken, '#!/bin/sh\n[ "$1" != --version ] || { echo yukizuri 9.9; exit; }\nexit 1\n', { mode: 0o755 });

  const talk = await startConversationElsewhere(t, { pid: trees.one.pid, url: "ws://127.0.0.1:8000/room", people: 20, rate: 50 });
  const good = await release("--binary", next);
  assert.equal(good.status, 0, good.output + good.errors);
  assert.match(good.output, /one: yukizuri@1\.service is ready[^]*one: yukizuri@2\.service is ready[^]*two: yukizuri@1\.service is ready[^]*two: yukizuri@2\.service is ready/);
  await assertRunning(trees, next);

  const bad = await release("--binary", broken);
  assert.equal(bad.status, 1, bad.output + bad.errors);
  assert.match(bad.output, /one: yukizuri@1\.service FAILED: it ended at once[^]*one: yukizuri@1\.service is ready with the previous binary/);
  assert.doesNotMatch(bad.output, /two: .* is ready/);
  await assertRunning(trees, next);

  const back = await release("--back");
  assert.equal(back.status, 0, back.output + back.errors);
  await assertRunning(trees, binary);
  const verdict = await talk.end();
  assert.ok(verdict.kept, JSON.stringify(verdict));
  assert.ok(verdict.reconnects >= verdict.people, `they have moved: ${verdict.reconnects}`);
});
