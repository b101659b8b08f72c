// The Debian package: it builds, lintian accepts it, and what is in it belongs there. package-install.test.mjs installs it.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import test from "node:test";
import { assertHardened } from "../lib/elf.mjs";
import { filesBelow, temporaryDirectory, top } from "../lib/files.mjs";
import { DebianPackage, demand, run } from "./lib/package.mjs";

const folders = ["nginx", "redis", "certbot", "haproxy", "caddy", "supervisor", "fluentd", "mackerel", "prometheus"]; // of deploy/, for /usr/share/yukizuri

/** Programs, and what is executable in deploy/ too. */
function isExecutable(name) {
  if (!name.startsWith("/usr/share/yukizuri/")) return /^\/usr\/(bin\/yukizuri|sbin\/yukizuri-rolling-restart)$/.test(name);
  return (fs.statSync(path.join(top, "deploy", name.slice("/usr/share/yukizuri/".length))).mode & 0o100) !== 0;
}

const read = (...name) => fs.readFileSync(path.join(...name), "utf8");

test("the Debian package", { timeout: 1500000 }, async (t) => {
  const built = await DebianPackage.get(t);
  const root = await built.unpack(t);
  const contents = await built.contents();
  const binary = path.join(root, "usr/bin/yukizuri");

  await t.test("lintian has no error and no warning about the source and the packages", async () => {
    const { output, errors } = await run("lintian", ["--no-cfg", "--allow-root", built.changes]);
    assert.equal(output, "");
    assert.doesNotMatch(errors, /error|warning/i);
    assert.match(read(built.sources, "debian/source/format"), /^3\.0 \(native\)$/m);
  });

  await t.test("one version: the binary's, the package's, and the one of the changelog", async () => {
    const version = await built.field("Version");
    assert.equal((await demand(binary, ["--version"])).match(/\d+\.\d+\.\d+/)[0], version);
    assert.match(read(top, "CHANGELOG.md"), new RegExp(`^## ${version.replaceAll(".", "\\.")}`, "m"));
    assert.equal(await demand("dpkg-parsechangelog", ["-l", path.join(top, "debian/changelog"), "-S", "Version"]), `${version}\n`);
  });

  await t.test("the binary is hardened", () => assertHardened(binary, { fortified: true }));

  await t.test("it asks for Redis and nginx, and needs neither", async () => {
    const recommends = (await built.field("Recommends")).split(", ").sort();
    assert.deepEqual(recommends, ["logrotate", "nginx", "procps", "redis-server (>= 5:7.0)"]);
    const depends = await built.field("Depends");
    for (const library of ["libevent-core-2.1-7", "libhiredis0.14", "liburing2", "libwslay1", "libjemalloc2", "libseccomp2"]) assert.ok(depends.includes(library), depends);
    assert.match(depends, /^systemd \| .*systemd-sysusers/);
    assert.doesNotMatch(depends, /redis-server|nginx/);
  });

  await t.test("everything is root's, and nobody else may write to it", () => {
    for (const { path: name, type, mode, owner } of contents) {
      assert.equal(owner, "root/root", name);
      if (type === "l") continue;
      assert.equal(mode, type === "d" || isExecutable(name) ? "rwxr-xr-x" : "rw-r--r--", name);
    }
  });

  await t.test("it installs these files and no other", () => {
    const shared = folders.flatMap((folder) => (fs.existsSync(path.join(top, "deploy", folder)) ? filesBelow(path.join(top, "deploy", folder)) : [])).map((file) => `/usr/share/yukizuri/${path.relative(path.join(top, "deploy"), file)}`);
    const units = ["redis-server@yukizuri.service.d/yukizuri.conf", "yukizuri.target", "yukizuri.target.d/redis-of-this-machine.conf", "yukizuri@.service", "yukizuri@.socket"];
    const expected = [
      "/etc/logrotate.d/yukizuri", "/etc/yukizuri/yukizuri.conf", "/usr/bin/yukizuri", "/usr/sbin/yukizuri-rolling-restart",
      ...units.map((unit) => `/lib/systemd/system/${unit}`), "/usr/lib/sysusers.d/yukizuri.conf", "/usr/lib/tmpfiles.d/yukizuri.conf",
      "/usr/share/bash-completion/completions/yukizuri", "/usr/share/lintian/overrides/yukizuri",
      ...["README.Debian", "changelog.gz", "copyright"].map((name) => `/usr/share/doc/yukizuri/${name}`),
      ...["man5/yukizuri.conf.5.gz", "man8/yukizuri.8.gz", "man8/yukizuri-rolling-restart.8.gz"].map((page) => `/usr/share/man/${page}`),
      ...shared,
    ];
    assert.deepEqual(contents.filter(({ type }) => type !== "d").map(({ path: name }) => name).sort(), expected.sort());
    assert.ok(contents.some(({ path: name }) => name === "/etc/yukizuri/yukizuri.conf.d/"), "the directory for drop-in files");
    assert.equal(read(root, "DEBIAN/conffiles"), "/etc/logrotate.d/yukizuri\n/etc/yukizuri/yukizuri.conf\n");
    for (const [from, to] of [["systemd/yukizuri@.service", "lib/systemd/system/yukizuri@.service"], ["systemd/yukizuri-rolling-restart", "usr/sbin/yukizuri-rolling-restart"], ["redis/render.sh", "usr/share/yukizuri/redis/render.sh"]]) {
      assert.equal(read(root, to), read(top, "deploy", from));
    }
  });

  await t.test("the binary is the release build: hardened, and without assertions", async () => {
    const symbols = await demand("nm", ["--dynamic", "--undefined-only", binary]);
    assert.doesNotMatch(symbols, /__assert_fail/);
    assert.match(symbols, /__stack_chk_fail/);
    assert.match(symbols, /__\w+_chk@/);
    const headers = await demand("readelf", ["--wide", "--dynamic", "--program-headers", binary]);
    assert.match(headers, /BIND_NOW/);
    assert.match(headers, /GNU_RELRO/);
    assert.doesNotMatch(read(binary), new RegExp(built.directory), "no path of the build");
  });

  await t.test("the manual pages have no warning, and describe every setting", async () => {
    const settings = [...(await demand(binary, ["--help=markdown"])).matchAll(/^\| `--([a-z-]+)[^`]*` \| `YUKIZURI_/gm)].map(([, name]) => name);
    assert.ok(settings.length > 30);
    for (const [page, title] of [["man8/yukizuri.8", "YUKIZURI(8)"], ["man5/yukizuri.conf.5", "YUKIZURI.CONF(5)"], ["man8/yukizuri-rolling-restart.8", "YUKIZURI-ROLLING-RESTART(8)"]]) {
      const file = path.join(temporaryDirectory(t), path.basename(page));
      fs.writeFileSync(file, await demand("zcat", [path.join(root, `usr/share/man/${page}.gz`)]));
      const { status, output } = await run("mandoc", ["-T", "lint", "-W", "warning", file]);
      assert.equal(status, 0, output);
      const text = (await demand("mandoc", ["-T", "ascii", file])).replace(/.\x08/g, "");
      assert.ok(text.startsWith(title), text.slice(0, 80));
      if (title === "YUKIZURI.CONF(5)") for (const name of settings) assert.match(text, new RegExp(`^ *${name}\\b`, "m"), name);
      if (title.startsWith("YUKIZURI-R")) assert.match(text.replace(/\s+/g, " "), /one after the other/);
    }
  });

  await t.test("bash completes the options", async () => {
    const script = `. "$1"; eval "$(complete -p yukizuri | sed 's/^complete/compgen/; s/ yukizuri$//') -- --redis-p"`;
    const said = await demand("bash", ["-euc", script, "bash", path.join(root, "usr/share/bash-completion/completions/yukizuri")]);
    assert.deepEqual(said.trim().split(/\s+/).sort(), ["--redis-password-file", "--redis-prefix"]);
  });

  await t.test("the configuration is valid, names the shared Redis, and its comments show valid settings with their defaults", async () => {
    const conf = read(root, "etc/yukizuri/yukizuri.conf");
    const set = conf.split("\n").filter((line) => /^[^#]/.test(line));
    assert.deepEqual(set, ["redis = unix://yukizuri@/run/redis-yukizuri/redis.sock", "redis-password-file = /etc/yukizuri/redis-password"]);
    const examples = conf.split("\n").filter((line) => /^#[a-z]/.test(line)).map((line) => line.slice(1));
    assert.ok(examples.length >= 6);
    const defaults = new Map([...(await demand(binary, ["--help=markdown"])).matchAll(/^\| `--([a-z-]+)[^`]*` \| `YUKIZURI_\w+` \| (?:`([^`]*)`)? ?\|/gm)].map(([, name, value]) => [name, value]));
    const all = path.join(temporaryDirectory(t), "yukizuri.conf");
    const password = path.join(temporaryDirectory(t), "password");
    fs.writeFileSync(all, [...set, ...examples].join("\n"));
    fs.writeFileSync(password, "secret\n");
    for (const file of [all, path.join(root, "etc/yukizuri/yukizuri.conf")]) await demand(binary, ["--check-config", "--config", file], { env: { YUKIZURI_REDIS_PASSWORD_FILE: password } });
    for (const example of examples) {
      const [name, value] = example.split(" = ");
      assert.ok(defaults.has(name), name);
      if (defaults.get(name)) assert.equal(value, defaults.get(name), name);
    }
  });

  await t.test("the user, the group for nginx, and the directory of the logs come from declarations that postinst applies", async () => {
    const postinst = read(root, "DEBIAN/postinst");
    assert.match(postinst, /systemd-sysusers .*yukizuri\.conf/);
    assert.match(postinst, /systemd-tmpfiles .*--create yukizuri\.conf/);
    assert.match(postinst, /deb-systemd-helper enable 'yukizuri\.target'/);
    const place = temporaryDirectory(t);
    fs.mkdirSync(path.join(place, "etc"));
    fs.writeFileSync(path.join(place, "etc/passwd"), "root:x:0:0::/root:/bin/sh\nwww-data:x:33:33::/var/www:/usr/sbin/nologin\n");
    fs.writeFileSync(path.join(place, "etc/group"), "root:x:0:\nadm:x:4:\nwww-data:x:33:\n");
    await demand("systemd-sysusers", [`--root=${place}`, path.join(root, "usr/lib/sysusers.d/yukizuri.conf")]);
    assert.match(read(place, "etc/passwd"), /^yukizuri:x:\d+:\d+:Yukizuri chat:\/:\/usr\/sbin\/nologin$/m);
    assert.match(read(place, "etc/group"), /^yukizuri:x:\d+:www-data$/m);
  });

  await t.test("the scripts of the package are clean, fetch nothing, and start and restart nothing behind postinst's back", async () => {
    for (const name of ["postinst", "prerm", "postrm"]) {
      await demand("shellcheck", ["--shell=sh", path.join(top, `debian/yukizuri.${name}`)]);
      const script = read(root, "DEBIAN", name);
      assert.doesNotMatch(script, /\b(curl|wget|git|apt|apt-get|npm|pip)\b/);
      assert.doesNotMatch(script, /_dh_action/);
      assert.doesNotMatch(script, /#DEBHELPER#/);
    }
    assert.match(read(root, "DEBIAN/triggers"), /^interest-noawait yukizuri-start$/m);
    assert.match(read(root, "DEBIAN/triggers"), /^interest-noawait \/lib\/systemd\/system\/redis-server@\.service$/m);
  });

  await t.test("the copyright file names every holder and the licence", () => {
    const copyright = read(root, "usr/share/doc/yukizuri/copyright");
    const holders = [...read(top, "LICENSE").matchAll(/^Copyright \(c\) (.*)$/gm)].map(([, holder]) => holder);
    assert.ok(holders.length > 0);
    for (const holder of holders) assert.ok(copyright.includes(`\nCopyright: ${holder}\n`), holder);
    assert.match(copyright, /^Format: https:\/\/www\.debian\.org\/doc\/packaging-manuals\/copyright-format\/1\.0\/$/m);
    const text = (licence) => licence.replace(/\s+\.?\s*/g, " ").trim();
    const [, ours] = read(top, "LICENSE").match(/\n(Permission is hereby granted[^]*?OTHER DEALINGS IN THE\s+SOFTWARE\.)/);
    assert.ok(text(copyright.slice(copyright.lastIndexOf("License: Expat") + 14)).replaceAll(" . ", " ") === text(ours), "the text of the licence");
  });

  await t.test("README.Debian names files and options that exist", async () => {
    const readme = read(root, "usr/share/doc/yukizuri/README.Debian");
    for (const [name] of readme.matchAll(/\/usr\/share\/yukizuri\/[\w./-]*\w/g)) assert.ok(fs.existsSync(path.join(root, name)), name);
    assert.ok(readme.includes(`apt install ./${path.basename(built.deb).replace(/_\w+\.deb$/, "_")}`), "the file of this version");
    const help = await demand(path.join(root, "usr/share/yukizuri/nginx/render.sh"), ["--help"]);
    for (const [block] of readme.matchAll(/render\.sh (?:.*\\\n)*.*/g)) for (const [option] of block.matchAll(/--[a-z-]+/g)) assert.ok(help.includes(option), option);
  });
});
