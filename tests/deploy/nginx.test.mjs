// nginx with the rendered configuration: TLS, limits, log, closed paths, reloads, and Debian's own site beside it.
import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import test from "node:test";
import tls from "node:tls";
import { Member, childrenOf, freePort, get, joined, joinedFrom, metric, parseLog, rawText, startRedis, temporaryDirectory, top, until } from "../lib/harness.mjs";
import { NAME, Nginx, options, render, startGateways, startSite, testConfiguration } from "./lib/site.mjs";
import { talkTogether } from "./lib/talkers.mjs";
import { getOverTls, makeCertificate, statusOverHttp2, to } from "./lib/tls.mjs";

const behindProxy = ["--trusted-proxy", "127.0.0.1"]; // so that a test can come from any address
const from = (address) => ({ headers: { "X-Forwarded-For": address } });
const OPS = ["/metrics", "/api/stats", "/status"];

test("every form is a valid configuration", (t) => {
  const directory = temporaryDirectory(t);
  const { certificate, key } = makeCertificate(directory, [NAME]);
  const upstream = ["--upstream", "unix:/run/yukizuri/1/gateway.sock", "--upstream", "192.0.2.1:8081", "--upstream", "[2001:db8::1]:8081"];
  const secure = ["--name", NAME, "--name", "www.example.org", "--certificate", certificate, "--certificate-key", key, ...upstream];
  const all = ["--hsts", "31536000", "--acme", "/var/www/acme", "--status", "127.0.0.1:8888", "--access-log", path.join(directory, "access.log"), "--allow-ops", "192.0.2.0/24", "--allow-ops", "2001:db8::/32", "--trusted-proxy", "192.0.2.1", "--trusted-proxy", "unix:"];
  for (const form of [
    ["--listen", "8080", ...upstream],
    ["--listen", "127.0.0.1:8080", "--listen", "[::1]:8080", "--name", NAME, ...upstream],
    ["--listen", `unix:${directory}/http.sock`, ...upstream, ...all.slice(2)],
    secure,
    [...secure, ...all],
    [...secure, "--listen", "8080", "--listen-tls", "8443", ...all],
    [...secure, "--connections-per-address", "0"],
    [...secure, "--requests-per-address", "0"],
    [...secure, "--requests-per-address", "0", "--connections-per-address", "0"],
    ["--name", NAME, "--acme", "/var/www/acme", "--acme-only"],
  ]) {
    const { stdout, stderr } = render(...form, "--whole", directory, "--user", os.userInfo().username);
    assert.equal(stderr, "");
    assert.doesNotMatch(stdout, /@[A-Z_]+@|^ *@/m);
    fs.writeFileSync(path.join(directory, "nginx.conf"), stdout);
    const checked = testConfiguration(directory);
    assert.equal(checked.status, 0, `${form}: ${checked.stderr}`);
    assert.doesNotMatch(checked.stderr, /\[(warn|emerg)\]/);
  }
});

test("wrong input is one clear line and status 2", () => {
  const upstream = ["--upstream", "unix:/run/y.sock"];
  const http = ["--listen", "80", ...upstream];
  for (const [args, line] of [
    [[], "at least one --upstream is needed"],
    [upstream, "at least one --listen is needed"],
    [["--listen"], "--listen needs a value"],
    [["--listen", "0", ...upstream], '--listen: "0" is not PORT, ADDRESS:PORT, [IPV6]:PORT or unix:PATH'],
    [["--listen", "80; include /etc/passwd", ...upstream], '--listen: "80; include /etc/passwd" is not PORT, ADDRESS:PORT, [IPV6]:PORT or unix:PATH'],
    [["--listen", "80\n81", ...upstream], '--listen: "80?81" is not PORT, ADDRESS:PORT, [IPV6]:PORT or unix:PATH'],
    [["--listen", "80", "--upstream", "gateway"], '--upstream: "gateway" is not HOST:PORT or unix:PATH'],
    [[...http, "--name", "chat_.example.org"], '--name: "chat_.example.org" is not a host name'],
    [[...http, "--access-log", "access.log"], '--access-log: "access.log" is not an absolute path of letters, digits and ._:@%+,~/-'],
    [[...http, "--allow-ops", "everybody"], '--allow-ops: "everybody" is not an address or a CIDR such as 192.0.2.0/24'],
    [[...http, "--trusted-proxy", "balancer"], '--trusted-proxy: "balancer" is not an address or a CIDR such as 192.0.2.0/24'],
    [[...http, "--requests-per-address", "50"], '--requests-per-address: "50" is not RATE:BURST or 0'],
    [[...http, "--connections-per-address", "many"], '--connections-per-address: "many" is not a number'],
    [[...http, "--certificate", "/c.pem"], "--certificate needs --certificate-key"],
    [[...http, "--certificate-key", "/k.pem"], "--certificate-key needs --certificate"],
    [[...http, "--certificate", "/c.pem", "--certificate-key", "/k.pem"], "--certificate needs --name, the host name that the certificate has"],
    [[...http, "--hsts", "60"], "--listen-tls and --hsts need --certificate and --certificate-key"],
    [["--acme-only", "--acme", "/var/www/acme"], "--acme-only needs --name and --acme"],
    [[...http, "--frobnicate", "1"], "unknown argument --frobnicate; see --help"],
  ]) {
    const { status, stdout, stderr } = render(...args);
    assert.deepEqual({ status, stdout, stderr }, { status: 2, stdout: "", stderr: `render.sh: ${line}\n` });
  }
  const help = render("--help");
  assert.equal(help.status, 0);
  assert.match(help.stdout, /--upstream ADDRESS/);
});

test("people talk over wss; pages come over HTTP/1.1 and HTTP/2; http leads to https; old TLS is refused", async (t) => {
  const gateways = await startGateways(t, await startRedis(t), 2);
  const site = await startSite(t, gateways, { args: ["--hsts", "600"] });
  const { people, settle } = await talkTogether(t, Array(4).fill(site.url), to(NAME, site.ca));
  for (const gateway of gateways) assert.equal(await metric(gateway, "connections"), 2, "the connections are spread");
  assert.equal(people[0].socket._socket.getProtocol(), "TLSv1.3");
  const page = await getOverTls(`${site.secureOrigin}/r/den?lang=en`, site);
  assert.deepEqual([page.status, page.headers["strict-transport-security"]], [200, "max-age=600"]);
  assert.equal(await statusOverHttp2(`${site.secureOrigin}/`, site), 200);
  const visit = await get(`${site.origin}/r/den?lang=ja`, { headers: { Host: NAME } });
  assert.deepEqual([visit.status, visit.headers.location], [301, `${site.secureOrigin}/r/den?lang=ja`]);
  const old = tls.connect({ port: site.tlsPort, host: "127.0.0.1", servername: NAME, ca: site.ca, minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" });
  const outcome = await new Promise((done) => old.once("secureConnect", () => done("let in")).once("error", ({ code }) => done(code)));
  assert.equal(outcome, "ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION");
  await settle();
  assert.equal(site.order("-t").status, 0);
});

test("a page of the site may connect, and a page of another site may not", async (t) => {
  const site = await startSite(t, await startGateways(t, await startRedis(t), 1));
  const own = await new Member(t, site.url, { ...to(NAME, site.ca), origin: site.secureOrigin }).join("alice");
  assert.equal(own.welcome.me.name, "alice");
  const other = new Member(t, site.url, { ...to(NAME, site.ca), origin: "https://other.example.org" });
  await until("it is refused", () => other.error);
  assert.match(String(other.error), /403/);
});

test("answers to a certificate authority are served over http and https, and nothing else of the directory", async (t) => {
  const site = await startSite(t, await startGateways(t, await startRedis(t), 1));
  const challenges = path.join(site.acme, ".well-known/acme-challenge");
  fs.mkdirSync(challenges, { recursive: true });
  fs.writeFileSync(path.join(challenges, "token"), "token.thumbprint");
  fs.writeFileSync(path.join(site.acme, "secret"), "secret");
  const answer = await get(`${site.origin}/.well-known/acme-challenge/token`, { headers: { Host: NAME } });
  assert.deepEqual([answer.status, answer.body, answer.headers["content-type"]], [200, "token.thumbprint", "text/plain"]);
  assert.equal((await getOverTls(`${site.secureOrigin}/.well-known/acme-challenge/token`, site)).body, "token.thumbprint");
  for (const where of ["/.well-known/acme-challenge/other", "/.well-known/acme-challenge/", "/secret"]) {
    assert.notEqual((await getOverTls(site.secureOrigin + where, site)).status, 200, where);
  }
});

test("what tells about the service is closed from outside, however the path is written, and open to those who were named", async (t) => {
  const redis = await startRedis(t);
  const gateways = await startGateways(t, redis, 1, ["--ops-allow", "0.0.0.0/0"]); // nginx alone decides
  const site = await startSite(t, gateways, { args: [...behindProxy, "--allow-ops", "198.51.100.0/24"] });
  const statusOf = async (where, address) => (await getOverTls(site.secureOrigin + where, { ...site, headers: { "X-Forwarded-For": address } })).status;
  for (const where of OPS) {
    assert.equal(await statusOf(where, "192.0.2.7"), 403, where);
    assert.equal(await statusOf(where, "198.51.100.7"), 200, where);
    assert.equal(await statusOf(where, "127.0.0.1"), 200, where);
  }
  for (const where of ["//metrics", "/%6detrics", "/x/../metrics", "/metrics?", "/api/%73tats", "/api//stats", "/./status", "/status/"]) {
    assert.notEqual(await statusOf(where, "192.0.2.7"), 200, where);
  }
  assert.equal(await statusOf("/r/metrics", "192.0.2.7"), 200);
});

test("behind a proxy on this machine that was not named, what tells about the service is closed", async (t) => {
  const site = await startSite(t, await startGateways(t, await startRedis(t), 1), { tls: false });
  for (const where of OPS) {
    assert.equal((await get(site.origin + where)).status, 200, where);
    assert.equal((await get(site.origin + where, { headers: { "X-Forwarded-For": "192.0.2.7" } })).status, 403, where);
  }
});

test("the log has one line of LTSV for each request, and no client can forge a field or a line", async (t) => {
  const site = await startSite(t, await startGateways(t, await startRedis(t), 1), { tls: false });
  const hostile = 'a\ttime:0\tuser:"root" \\ \x1b[31m \x7f 雪';
  const bytes = Buffer.from(hostile).toString("latin1");
  const ask = (head) => rawText(site, Buffer.from(`${head}\r\nConnection: close\r\n\r\n`, "latin1"));
  await ask(`GET /r/den?token=secret HTTP/1.1\r\nHost: x\r\nUser-Agent: ${bytes}\r\nReferer: https://example.org/${bytes}?q=secret`);
  await ask(`GET /r/%09status:200%0Atime:0"'\x80 HTTP/1.1\r\nHost: "x"\thost:y\r\nUser-Agent: one`);
  await ask(`GET /r/\tstatus:200 HTTP/1.1\r\nHost: x\r\nUser-Agent: two`);
  await ask(`GET /r/ff HTTP/1.1\r\nHost: x\r\nUser-Agent: folded\r\n\ttime:0`);
  await ask(`GET /r/cr HTTP/1.1\r\nHost: x\r\nUser-Agent: cr\rtime:0\ttime:1`);
  await ask(`G\tET / HTTP/1.1\r\nHost: x\r\nUser-Agent: method`);
  const member = await new Member(t, `${site.url}/den`, { headers: { "User-Agent": "socket" } }).join("alice");
  member.socket.close();
  await member.waitClosed();
  const lines = await until("the socket's line", () => {
    const text = fs.readFileSync(site.log, "latin1");
    return text.includes("ua:socket") && text.split("\n").slice(1, -1); // the first one is of the start
  });
  assert.equal(lines.length, 7, lines.join("\n"));
  const labels = ["time", "host", "method", "uri", "protocol", "status", "size", "reqsize", "referer", "ua", "vhost", "reqtime", "apptime", "upstream"];
  for (const line of lines) {
    assert.deepEqual(line.split("\t").map((field) => field.slice(0, field.indexOf(":"))), labels);
    assert.match(line, /^[ -~\t]*$/);
    assert.doesNotMatch(line, /secret/);
  }
  const [first, ...rest] = parseLog(lines.join("\n"));
  const read = (value) => Buffer.from(value.replaceAll(/\\x([0-9A-F]{2})/g, (_, code) => String.fromCharCode(parseInt(code, 16))), "latin1").toString();
  assert.equal(read(first.ua), hostile);
  assert.equal(read(first.referer), `https://example.org/${hostile}`);
  assert.deepEqual([first.method, first.uri, first.protocol, first.host, first.vhost], ["GET", "/r/den", "HTTP/1.1", "127.0.0.1", "x"]);
  assert.match(first.time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d$/);
  for (const field of [first.size, first.reqsize, first.reqtime, first.apptime]) assert.match(field, /^[0-9.]+$/);
  assert.match(first.upstream, /^unix:\//);
  const socket = rest.at(-1);
  assert.deepEqual([socket.uri, socket.status, socket.referer], ["/room/den", "101", "-"]);
});

test("stub_status answers the agent", async (t) => {
  const site = await startSite(t, await startGateways(t, await startRedis(t), 1));
  await new Member(t, site.url, to(NAME, site.ca)).join("alice");
  const answer = await get(`http://127.0.0.1:${site.statusPort}/nginx_status`);
  assert.equal(answer.status, 200);
  assert.match(answer.body, /^Active connections: [2-9] \nserver accepts handled requests\n \d+ \d+ \d+ \nReading: \d+ Writing: \d+ Waiting: \d+ \n$/);
});

test("who asks too often or opens too many connections gets 429 and Retry-After; others do not, and an IPv6 /64 is one customer", async (t) => {
  const gateways = await startGateways(t, await startRedis(t), 1);
  const site = await startSite(t, gateways, { tls: false, args: [...behindProxy, "--requests-per-address", "1:5", "--connections-per-address", "2"] });
  const statusesOf = (addresses) => Promise.all(addresses.map((address) => get(`${site.origin}/healthz`, from(address))));
  const ofOne = [];
  const tooMany = await until("one is refused", async () => {
    ofOne.push(...(await statusesOf(["192.0.2.1"])));
    return ofOne.find(({ status }) => status === 429);
  });
  assert.equal(tooMany.headers["retry-after"], "5");
  assert.ok(ofOne.length > 5, "not before the burst");
  assert.deepEqual((await statusesOf(["192.0.2.2", "2001:db8:1:2::1"])).map(({ status }) => status), [200, 200]);
  let host = 0;
  await until("one of a /64 is refused", async () => (await statusesOf([`2001:db8:1:1:${(++host).toString(16)}::1`]))[0].status === 429);
  assert.deepEqual((await statusesOf(["2001:db8:1:3::1"])).map(({ status }) => status), [200]);
  assert.ok(!(await statusesOf(Array(20).fill("127.0.0.1"))).some(({ status }) => status === 429), "programs of this machine are not counted");

  await new Member(t, site.url, from("203.0.113.1")).join("a");
  const second = await new Member(t, site.url, from("203.0.113.1")).join("b");
  const third = await get(`${site.origin}/room`, from("203.0.113.1"));
  assert.deepEqual([third.status, third.headers["retry-after"]], [429, "5"]);
  await new Member(t, site.url, from("203.0.113.2")).join("c");
  second.socket.close();
  await until("there is room again", () => joinedFrom(t, site.url, "d", "203.0.113.1").then(() => true, () => false));
  const lines = parseLog(fs.readFileSync(site.log, "utf8"));
  assert.ok(lines.some(({ host, status }) => host === "203.0.113.1" && status === "429"));
});

test("a class of 64 that opens the page together from one address is not refused by the limits", async (t) => {
  const gateways = await startGateways(t, await startRedis(t), 2);
  const site = await startSite(t, gateways, { tls: false, args: behindProxy });
  const visitor = from("192.0.2.1");
  const page = await get(`${site.origin}/`, visitor);
  const files = [...new Set(page.body.match(/\/assets\/[\w.-]+/g))];
  assert.ok(files.length > 3);
  const visit = async (i) => {
    await Promise.all(["/", "/worker.js", "/offline", ...files].map(async (where) => assert.equal((await get(site.origin + where, visitor)).status, 200)));
    return new Member(t, site.url, visitor).join(`pupil-${i}`);
  };
  const pupils = await Promise.all(Array.from({ length: 64 }, (_, i) => visit(i)));
  pupils[0].send({ type: "say", text: "hello", nonce: "1" });
  for (const pupil of pupils) await pupil.waitFor({ type: "message", text: "hello" });
  t.diagnostic(`${files.length + 4} requests a visit`);
});

test("a gateway that is stopped or killed is passed over, and nobody is refused", async (t) => {
  const redis = await startRedis(t);
  const [first, second, third] = await startGateways(t, redis, 3);
  second.upstream = `127.0.0.1:${second.port}`;
  const site = await startSite(t, [first, second, third], { tls: false });
  const visit = async () => assert.equal((await get(`${site.origin}/readyz`)).status, 200);
  const visits = async () => {
    for (let i = 0; i < 20; i++) await Promise.all(Array.from({ length: 10 }, visit));
  };
  await Promise.all([visits(), first.stop("SIGTERM")]);
  await Promise.all([visits(), second.stop("SIGKILL")]);
  await visits();
  for (const name of ["a", "b", "c"]) await joined(t, site.url, name);
  assert.equal(await metric(third, "members"), 3);
});

test("nginx is reloaded while people talk: nobody misses a line, and the old workers end", async (t) => {
  const gateways = await startGateways(t, await startRedis(t), 2, ["--rate", "0"]);
  const site = await startSite(t, gateways, { args: ["--shutdown-timeout", "2s"] });
  const { people, hear, settle } = await talkTogether(t, Array(6).fill(site.url), to(NAME, site.ca));
  const before = childrenOf(site.pid);
  assert.equal(site.order("-s", "reload").status, 0);
  await until("there are new workers", () => childrenOf(site.pid).some((pid) => !before.includes(pid)));
  await hear(12);
  await until("the old workers have ended", () => !childrenOf(site.pid).some((pid) => before.includes(pid)));
  await until("everybody is back", () => people.every(({ connections, state }) => connections === 2 && state === "joined"));
  await hear(12);
  t.diagnostic(`${await settle()} lines`);
});

test("no timeout is below the ping, and main.conf bounds the life of old workers", (t) => {
  const { stdout } = render("--listen", "80", "--upstream", "unix:/run/y.sock", "--whole", temporaryDirectory(t));
  const [, ping] = fs.readFileSync(path.join(top, "docs/configuration.md"), "utf8").match(/`--ping SECONDS` \| `YUKIZURI_PING` \| `(\d+)`/);
  for (const name of ["proxy_read_timeout", "proxy_send_timeout"]) {
    const [, seconds] = stdout.match(new RegExp(`^ *${name} (\\d+)s;$`, "m"));
    assert.ok(Number(seconds) > Number(ping) + 10, name);
  }
  assert.match(stdout, /^worker_shutdown_timeout 10m;$/m);
});

/** Debian's own nginx.conf and default site, with other paths and ports, and this site among the enabled ones. */
async function besideDebian(t, site, port) {
  const directory = temporaryDirectory(t);
  for (const name of ["conf.d", "modules-enabled", "sites-enabled", "log"]) fs.mkdirSync(path.join(directory, name));
  const put = (name, text) => fs.writeFileSync(path.join(directory, name), text);
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path ${directory}/${name};`).join("\n");
  const debian = fs
    .readFileSync("/etc/nginx/nginx.conf", "utf8")
    .replaceAll(/\/etc\/nginx\/(conf\.d|modules-enabled|sites-enabled)/g, `${directory}/$1`)
    .replaceAll("/var/log/nginx", `${directory}/log`)
    .replace("/run/nginx.pid", `${directory}/nginx.pid`)
    .replace("user www-data", `user ${os.userInfo().username}`)
    .replace("worker_processes auto", "worker_processes 1")
    .replace("http {", `http {\n${temporary}`);
  put("nginx.conf", debian);
  put("sites-enabled/default", fs.readFileSync("/etc/nginx/sites-available/default", "utf8").replaceAll(/^(\s*listen (?:\[::\]:)?)80 /gm, `$1${port} `));
  put("sites-enabled/yukizuri", site);
  return directory;
}

test("the site answers beside Debian's default site by its name; without a name nginx says what is wrong", async (t) => {
  const gateways = await startGateways(t, await startRedis(t), 1);
  const port = await freePort();
  const where = ["--listen", String(port), "--listen", `[::]:${port}`, ...options("--upstream", gateways.map(({ upstream }) => upstream))];
  const named = await besideDebian(t, render("--name", NAME, ...where).stdout, port);
  const nginx = new Nginx(t, named);
  await until(() => `it answers: ${nginx.complaints}`, () => get(`http://127.0.0.1:${port}/`).then(() => true, () => false));
  const answer = async (name) => (await get(`http://127.0.0.1:${port}/`, { headers: { Host: name } })).body;
  assert.match(await answer(NAME), /yukizuri/i);
  assert.doesNotMatch(await answer("other.example.org"), /yukizuri/i);
  await joined(t, `ws://127.0.0.1:${port}/room`, "alice").then(() => assert.fail("another name"), () => {});
  await new Member(t, `ws://127.0.0.1:${port}/room`, { headers: { Host: NAME } }).join("alice");
  await nginx.stop();

  const nameless = await besideDebian(t, render(...where).stdout, port);
  const refused = testConfiguration(nameless);
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /a duplicate default server for 0\.0\.0\.0:\d+ in .*sites-enabled\/yukizuri/);
  fs.rmSync(path.join(nameless, "sites-enabled/default"));
  assert.equal(testConfiguration(nameless).status, 0);
});

test("500 people do not fit into Debian's 768 connections, and they do with main.conf and the command in it", async (t) => {
  const gateways = await startGateways(t, await startRedis(t), 1, ["--max-connections-per-address", "0"]);
  const port = await freePort();
  const directory = await besideDebian(t, render("--name", NAME, "--listen", String(port), "--upstream", gateways[0].upstream).stdout, port);
  const visit = async () => {
    const nginx = new Nginx(t, directory);
    await until(() => `it answers: ${nginx.complaints}`, () => get(`http://127.0.0.1:${port}/`).then(() => true, () => false));
    const people = Array.from({ length: 500 }, () => new Member(t, `ws://127.0.0.1:${port}/room`, { headers: { Host: NAME } }));
    await until("each is connected or refused", () => people.every(({ socket, error }) => socket.readyState === 1 || error));
    const refused = people.filter(({ error }) => error).length;
    for (const { socket } of people) socket.terminate();
    await nginx.stop();
    return { refused, complaints: fs.readFileSync(path.join(directory, "log/error.log"), "utf8") };
  };
  const before = await visit();
  assert.ok(before.refused > 0, "some are refused");
  assert.equal(before.complaints, "", "nginx does not tell at Debian's level of the log");
  const main = fs.readFileSync(path.join(top, "deploy/nginx/main.conf"), "utf8");
  fs.writeFileSync(path.join(directory, "modules-enabled/90-yukizuri.conf"), main);
  const [, command] = main.match(/^# +sed -i '(.*)' \/etc\/nginx\/nginx\.conf$/m);
  const [, old, other] = command.match(/^s\/(.*)\/(.*)\/$/);
  const file = path.join(directory, "nginx.conf");
  fs.writeFileSync(file, fs.readFileSync(file, "utf8").replace(old, other));
  fs.rmSync(path.join(directory, "log/error.log"));
  assert.deepEqual(await visit(), { refused: 0, complaints: "" });
});
