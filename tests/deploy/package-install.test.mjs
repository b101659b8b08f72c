// The Debian package on a fresh Debian with systemd: the way of README.Debian to a chat over TLS, upgrades in the middle of a
// conversation, removal and purge; two builds that are the same; and piuparts. Takes minutes.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import test from "node:test";
import { temporaryDirectory, top } from "../lib/files.mjs";
import { until } from "../lib/until.mjs";
import { startConversationElsewhere } from "./lib/conversation.mjs";
import { DebianPackage, demand, run } from "./lib/package.mjs";
import { Tree, whyNoTree } from "./lib/tree.mjs";

const skip = await whyNoTree();
const libraries = "libevent-core-2.1-7 libevent-openssl-2.1-7 libhiredis0.14 libjansson4 libjemalloc2 libseccomp2 libssl3 liburing2 libutf8proc2 libwslay1 zlib1g".split(" ");
const archive = ["nginx", "redis-server", "logrotate", "procps", ...libraries];
const name = "chat.example.org";
const live = `/etc/letsencrypt/live/${name}`;

/** The commands of README.Debian, one text for each block. */
const readmeBlocks = () =>
  fs.readFileSync(path.join(top, "debian/README.Debian"), "utf8").split(/\n{2,}(?! )/).flatMap((part) => part.match(/(?:^ {4}.*\n?)+/gm) ?? []).map((block) => block.replace(/^ {4}/gm, ""));

/** A server's certificate by a throw-away certificate authority, where certbot would have put it. Returns the authority's file. */
async function certify(t, tree) {
  const directory = temporaryDirectory(t);
  const file = (base) => path.join(directory, base);
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  await demand("openssl", ["req", "-x509", ...key, "-keyout", file("ca.key"), "-out", file("ca.pem"), "-days", "2", "-subj", "/CN=Test CA"]);
  await demand("openssl", ["req", ...key, "-keyout", file("privkey.pem"), "-out", file("request.pem"), "-subj", `/CN=${name}`]);
  fs.writeFileSync(file("extensions"), `subjectAltName=DNS:${name}\n`);
  await demand("openssl", ["x509", "-req", "-in", file("request.pem"), "-CA", file("ca.pem"), "-CAkey", file("ca.key"), "-CAcreateserial", "-days", "2", "-extfile", file("extensions"), "-out", file("fullchain.pem")]);
  for (const base of ["fullchain.pem", "privkey.pem"]) tree.copy(file(base), `${live}/${base}`);
  return file("ca.pem");
}

class Server {
  constructor(t, tree) {
    this.t = t;
    this.tree = tree;
  }

  /** apt in the tree. Returns { status, output, errors }. */
  apt(...args) {
    return this.tree.run(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-y", "-q", ...args]);
  }

  async demandApt(...args) {
    const { status, output, errors } = await this.apt(...args);
    assert.equal(status, 0, `apt-get ${args.join(" ")}: ${output}${errors}`);
    return output + errors;
  }

  put(deb) {
    this.tree.copy(deb, `/root/${path.basename(deb)}`);
    return `/root/${path.basename(deb)}`;
  }

  async show(unit, property) {
    return (await this.tree.demand(["systemctl", "show", "-P", property, unit])).trim();
  }

  /** The processes of the two gateways. */
  async gateways() {
    return [await this.show("yukizuri@1.service", "MainPID"), await this.show("yukizuri@2.service", "MainPID")];
  }

  async areReady() {
    for (const n of [1, 2]) assert.equal(await this.tree.demand(["curl", "-sf", "-o", "/dev/null", "-w", "%{http_code}", "--unix-socket", `/run/yukizuri/${n}/gateway.sock`, "http://gateway/readyz"]), "200");
    assert.equal((await this.tree.run(["systemctl", "--failed", "--no-legend", "--plain"])).output, "");
    for (const unit of ["yukizuri.target", "yukizuri@1.service", "yukizuri@2.service", "redis-server@yukizuri.service"]) assert.equal(await this.show(unit, "ActiveState"), "active", unit);
  }

  talk(options) {
    return startConversationElsewhere(this.t, { pid: this.tree.pid, url: `wss://${name}/room`, ca: this.ca, address: "127.0.0.1", ...options });
  }

  /** The end of a conversation in which every promise was kept. */
  async demandKept(talk) {
    const verdict = await talk.end();
    assert.ok(verdict.kept, `${(await this.tree.run(["tail", "-n", "30", "/var/log/nginx/error.log"])).output}${JSON.stringify(verdict)}`);
    return verdict;
  }

  /** Files that could have come from the package, by name. */
  async traces() {
    const found = await this.tree.run(["find", "/", "-xdev", "(", "-path", "/proc", "-o", "-path", "/sys", "-o", "-path", "/root", "-o", "-path", "/var/lib/archive", "-o", "-path", "/var/cache", "-o", "-path", "/var/log/journal", ")", "-prune", "-o", "-name", "*yukizuri*", "-print"]);
    const run = await this.tree.run(["find", "/run", "-name", "*yukizuri*"]);
    return (found.output + run.output).split("\n").filter(Boolean).sort();
  }
}

test("the package on a fresh Debian", { skip, timeout: 2400000 }, async (t) => {
  const built = await DebianPackage.get(t);
  const version = await built.field("Version");
  const tree = await Tree.start(t, { archive, hostname: "chat" });
  const server = new Server(t, tree);
  const deb = server.put(built.deb);
  const comment = (root) => fs.appendFileSync(path.join(root, "etc/yukizuri/yukizuri.conf"), "\n# Another comment.\n");
  const next = server.put(await built.again(t, `${version}+1`, comment));
  const broken = server.put(await built.again(t, `${version}+2`, (root) => {
    comment(root);
    fs.writeFileSync(path.join(root, "usr/bin/yukizuri"), "#!/bin/sh\necho 'this version cannot start' >&2\nexit 1\n");
  }));
  tree.write("/etc/hosts", `127.0.0.1 localhost ${name}\n`);
  const before = await server.traces();

  await t.test("without a Redis it waits, and says so; an installation of Redis starts it", async () => {
    const said = await server.demandApt("install", "--no-install-recommends", deb);
    assert.match(said, /the gateways are not started: this machine has no Redis/);
    assert.equal(await server.show("yukizuri.target", "ActiveState"), "inactive");
    await server.demandApt("install", "--no-install-recommends", "redis-server");
    await server.areReady();
    await server.demandApt("purge", "yukizuri", "redis-server", "redis-tools");
    assert.deepEqual(await server.traces(), before);
  });

  await t.test("README.Debian's commands lead to a chat over TLS through two gateways", async () => {
    server.ca = await certify(t, tree);
    tree.write("/etc/apt/apt.conf.d/90yes", 'APT::Get::Assume-Yes "true";\n');
    const blocks = readmeBlocks();
    assert.equal(blocks.length, 5);
    for (const block of blocks.filter((text) => !text.includes("certbot"))) await tree.demand(["env", "DEBIAN_FRONTEND=noninteractive", "sh", "-euc", `cd /root\n${block}`]);
    await server.areReady();
    const talk = await server.talk({ people: 10, rate: 20 });
    const counts = [];
    for (const port of [8081, 8082]) counts.push(Number((await tree.demand(["curl", "-sf", `http://127.0.0.1:${port}/metrics`])).match(/^yukizuri_members (\d+)/m)[1]));
    assert.equal(counts[0] + counts[1], 10, String(counts));
    assert.ok(counts[0] > 0 && counts[1] > 0, String(counts));
    await server.demandKept(talk);
    const redirect = await tree.demand(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code} %{redirect_url}", `http://${name}/`]);
    assert.equal(redirect, `301 https://${name}/`);
  });

  await t.test("it starts at boot, and secrets and logs are readable by nobody else", async () => {
    assert.equal((await tree.demand(["systemctl", "is-enabled", "yukizuri.target"])).trim(), "enabled");
    const stat = async (file) => (await tree.demand(["stat", "-c", "%a %U %G", file])).trim();
    assert.equal(await stat("/etc/yukizuri/redis-password"), "600 root root");
    assert.equal(await stat("/etc/yukizuri/redis-admin-password"), "600 root root");
    assert.equal(await stat("/etc/redis/redis-yukizuri.conf"), "640 redis redis");
    assert.equal(await stat("/var/log/yukizuri"), "2750 yukizuri adm");
    assert.equal(await stat("/var/log/yukizuri/1.log"), "640 yukizuri adm");
    assert.match((await tree.demand(["id", "-nG", "www-data"])).trim(), /\byukizuri\b/);
    const passwords = ["", "admin-"].map((which) => tree.read(`/etc/yukizuri/redis-${which}password`).trim());
    for (const password of passwords) assert.ok(password.length >= 32);
    assert.notEqual(passwords[0], passwords[1]);
    for (const password of passwords) for (const file of ["/etc/redis/redis-yukizuri.conf", "/var/log/yukizuri/1.log", "/var/log/dpkg.log", "/var/log/apt/term.log"]) assert.ok(!tree.read(file).includes(password), file);
    await tree.demand(["yukizuri", "--check-config", "--config", "/etc/yukizuri/yukizuri.conf"]);
  });

  const edit = "\n# ours\nmax-members = 5000\n";
  await t.test("an upgrade at 50 messages a second: nobody leaves, nothing is lost or doubled, no connection is refused; an edited file stays", async () => {
    tree.write("/etc/yukizuri/yukizuri.conf", tree.read("/etc/yukizuri/yukizuri.conf") + edit);
    const password = tree.read("/etc/yukizuri/redis-password");
    const old = await server.gateways();
    const redis = await server.show("redis-server@yukizuri.service", "MainPID");
    const talk = await server.talk({ people: 20, rate: 50 });
    const said = await server.demandApt("install", "-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold", next);
    assert.match(said, /yukizuri@1\.service is ready[^]*yukizuri@2\.service is ready/);
    const verdict = await server.demandKept(talk);
    assert.ok(verdict.reconnects >= 20, "everybody had to move");
    await server.areReady();
    for (const pid of await server.gateways()) assert.ok(!old.includes(pid));
    assert.equal(await server.show("redis-server@yukizuri.service", "MainPID"), redis, "Redis is left alone");
    assert.ok(tree.read("/etc/yukizuri/yukizuri.conf").endsWith(edit));
    assert.equal(tree.read("/etc/yukizuri/redis-password"), password);
  });

  await t.test("an upgrade whose binary cannot start stops at the first gateway, says so, and the chat goes on", async () => {
    tree.write("/etc/yukizuri/yukizuri.conf.d/quick.conf", "drain = 3\n");
    await tree.demand(["yukizuri-rolling-restart"]);
    const [, second] = await server.gateways();
    const talk = await server.talk({ people: 20, rate: 50 });
    const { status, output, errors } = await server.apt("install", broken);
    assert.equal(status, 100);
    assert.match(output + errors, /yukizuri: STOPPED: the new version did not become ready/);
    assert.equal((await server.gateways())[1], second);
    const again = await server.apt("install", "--allow-downgrades", next);
    assert.equal(again.status, 0, again.output + again.errors);
    await server.demandKept(talk);
    await until("both are ready", () => server.areReady().then(() => true, () => false), 60000);
    assert.ok(tree.read("/etc/yukizuri/yukizuri.conf").endsWith(edit));
  });

  await t.test("removal stops it and keeps the settings; an installation after that is the same chat", async () => {
    const password = tree.read("/etc/yukizuri/redis-password");
    await server.demandApt("remove", "yukizuri");
    for (const unit of ["yukizuri@1.service", "yukizuri@2.service", "redis-server@yukizuri.service"]) assert.equal(await server.show(unit, "ActiveState"), "inactive", unit);
    assert.equal((await tree.run(["pgrep", "-u", "yukizuri"])).status, 1);
    assert.ok(!fs.existsSync(tree.path("/run/yukizuri")));
    assert.ok(tree.read("/etc/yukizuri/yukizuri.conf").endsWith(edit));
    await server.demandApt("install", next);
    await server.areReady();
    assert.equal(tree.read("/etc/yukizuri/redis-password"), password);
    await server.demandKept(await server.talk({ people: 4, rate: 20 }));
  });

  await t.test("purge leaves nothing but the user and what README.Debian wrote for nginx", async () => {
    await server.demandApt("purge", "yukizuri");
    const nginx = /^\/etc\/nginx\/|^\/var\/log\/nginx\//;
    assert.deepEqual((await server.traces()).filter((file) => !nginx.test(file)), before);
    assert.equal((await tree.run(["systemctl", "list-units", "--all", "--plain", "--no-legend", "yukizuri*", "redis-server@*"])).output, "");
    assert.equal((await tree.run(["dpkg-query", "-W", "yukizuri"])).status, 1);
    await tree.demand(["getent", "passwd", "yukizuri"]);
    await tree.demand(["nginx", "-t"]);
  });
});

test("two builds are the same, byte for byte, in another directory, at another time, by another user's settings", { timeout: 2400000 }, async (t) => {
  const one = await DebianPackage.build(t);
  const other = await DebianPackage.build(t, { folder: "another-name", umask: "077", environment: { TZ: "Asia/Tokyo", LC_ALL: "C.UTF-8", HOME: "/nonexistent" } });
  // The archive of the source has the permissions of the tree that it was made of, which are not a result of the build.
  const packages = ({ results }) => results.filter((file) => file.endsWith(".deb"));
  assert.deepEqual(packages(one), packages(other));
  assert.ok(packages(one).length >= 2);
  for (const file of packages(one)) assert.ok(fs.readFileSync(path.join(one.directory, file)).equals(fs.readFileSync(path.join(other.directory, file))), file);
});

test("piuparts finds nothing", { skip, timeout: 1800000 }, async (t) => {
  const built = await DebianPackage.get(t);
  const image = (await demand(path.join(top, "tests/deploy/lib/tree.sh"), ["image", "--archive", archive.join(" ")])).trim();
  const chroot = path.join(temporaryDirectory(t, "/var/tmp/yukizuri-piuparts-"), "chroot");
  await demand("cp", ["-a", image, chroot]);
  const { status, output, errors } = await run("nice", ["-n", "10", "piuparts", "--existing-chroot", chroot, "--keep-sources-list", "--no-upgrade-test", built.deb]);
  assert.equal(status, 0, (output + errors).slice(-4000));
  assert.match(output, /PASS: All tests/);
});
