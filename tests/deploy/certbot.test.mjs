// certbot obtains and renews certificates from a real authority for tests (pebble), and nginx serves them.
import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import test from "node:test";
import { promisify } from "node:util";
import { Process, atEnd, freePort, get, startRedis, temporaryDirectory, top, until, untilOpen } from "../lib/harness.mjs";
import { NAME, Nginx, startGateways } from "./lib/site.mjs";
import { talkTogether } from "./lib/talkers.mjs";
import { getOverTls, makeCertificate, to } from "./lib/tls.mjs";

const run = promisify(execFile);
const here = path.join(top, "deploy/certbot");

/** An authority that asks for its answers at this port of this machine, whatever the name. */
async function startAuthority(t, httpPort) {
  const directory = temporaryDirectory(t);
  const { ca, caFile, certificate, key } = makeCertificate(directory, ["localhost"]);
  const [listen, management, dns, dnsManagement] = [await freePort(), await freePort(), await freePort(), await freePort()];
  const resolver = new Process(t, "pebble-challtestsrv", ["-dns01", `127.0.0.1:${dns}`, "-http01", "", "-https01", "", "-tlsalpn01", "", "-management", `127.0.0.1:${dnsManagement}`, "-defaultIPv6", ""]);
  const pebble = { listenAddress: `127.0.0.1:${listen}`, managementListenAddress: `127.0.0.1:${management}`, certificate, privateKey: key, httpPort, tlsPort: await freePort(), ocspResponderURL: "", externalAccountBindingRequired: false };
  fs.writeFileSync(path.join(directory, "pebble.json"), JSON.stringify({ pebble }));
  const authority = new Process(t, "pebble", ["-config", path.join(directory, "pebble.json"), "-dnsserver", `127.0.0.1:${dns}`], { env: { ...process.env, PEBBLE_VA_NOSLEEP: "1", PEBBLE_WFE_NONCEREJECT: "0" } });
  atEnd(t, () => authority.stop("SIGTERM"));
  atEnd(t, () => resolver.stop("SIGTERM"));
  await Promise.all([listen, management, dnsManagement].map((port) => untilOpen({ port, host: "127.0.0.1" })));
  const root = (await getOverTls(`https://localhost:${management}/roots/0`, { ca })).body;
  return { url: `https://localhost:${listen}/dir`, caFile, root };
}

/** A server as it is before the chat has a certificate: nginx runs with an empty directory of sites. */
async function startServer(t) {
  const directory = temporaryDirectory(t);
  const [port, tlsPort] = [await freePort(), await freePort()];
  fs.mkdirSync(path.join(directory, "sites-enabled"));
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path ${directory}/${name};`).join(" ");
  fs.writeFileSync(
    path.join(directory, "nginx.conf"),
    `user ${os.userInfo().username}; worker_processes 1; pid ${directory}/nginx.pid; error_log ${directory}/nginx-error.log; events {}\n` +
      `http { access_log off; ${temporary} include ${directory}/sites-enabled/*; }\n`,
  );
  const authority = await startAuthority(t, port);
  const nginx = new Nginx(t, directory);
  await until(() => `nginx runs: ${nginx.complaints}`, () => fs.existsSync(path.join(directory, "nginx.pid")) && fs.readFileSync(path.join(directory, "nginx.pid"), "utf8").trim() !== "");
  const site = path.join(directory, "site");
  const letsencrypt = path.join(directory, "letsencrypt");
  const certbotOptions = ["--server", authority.url, "--work-dir", path.join(directory, "work"), "--logs-dir", path.join(directory, "logs")];
  const env = {
    ...process.env,
    REQUESTS_CA_BUNDLE: authority.caFile,
    NGINX_OPTIONS: nginx.args.join(" "),
    CERTBOT_OPTIONS: certbotOptions.join(" "),
  };
  const first = (...options) =>
    run(
      path.join(here, "first-certificate"),
      ["--name", NAME, "--email", "admin@example.org", "--webroot", path.join(directory, "acme"), "--site", site, "--enabled", path.join(directory, "sites-enabled/yukizuri"), "--letsencrypt", letsencrypt]
        .concat(["--", "--listen", `127.0.0.1:${port}`, "--listen-tls", `127.0.0.1:${tlsPort}`], options),
      { env },
    );
  const renew = () => run("certbot", ["renew", "--force-renewal", "--no-random-sleep-on-renew", "--non-interactive", "--config-dir", letsencrypt, ...certbotOptions], { env });
  const secureOrigin = `https://${NAME}:${tlsPort}`;
  // A reload takes effect after the order for it has returned.
  const answered = () => getOverTls(`${secureOrigin}/healthz`, { ca: authority.root }).catch(({ code }) => assert.equal(code, "ECONNREFUSED"));
  const served = async () => (await until("nginx answers over TLS", answered)).certificate.serialNumber;
  return { nginx, site, letsencrypt, env, first, renew, served, port, secureOrigin, root: authority.root, url: `wss://${NAME}:${tlsPort}/room` };
}

const failure = (promise) => promise.then(() => assert.fail("it succeeded"), (error) => error);

test("from no certificate to a chat over TLS, and through renewals while people talk", { timeout: 180000 }, async (t) => {
  const [gateway] = await startGateways(t, await startRedis(t), 1);
  const server = await startServer(t);
  const { stdout } = await server.first("--upstream", gateway.upstream);
  assert.match(stdout, new RegExp(`https://${NAME.replaceAll(".", "\\.")}/ serves the chat`));
  const before = await server.served();
  const { people, hear, settle } = await talkTogether(t, Array(3).fill(server.url), to(NAME, server.root));
  assert.ok(fs.statSync(path.join(server.letsencrypt, "renewal-hooks/deploy/reload-nginx")).mode & 0o100);

  await server.renew();
  await until("a new connection gets the new certificate", async () => (await server.served()) !== before);
  await hear(6);
  assert.deepEqual(people.map(({ connections }) => connections), [1, 1, 1], "the open connections go on");

  // It may be run again: the certificate is kept, and the site stays.
  const renewed = await server.served();
  await server.first("--upstream", gateway.upstream);
  assert.equal(await server.served(), renewed);
  await hear(6);
  await settle();
});

test("a renewal with a broken configuration of nginx says so, and nginx goes on with the old certificate", { timeout: 180000 }, async (t) => {
  const [gateway] = await startGateways(t, await startRedis(t), 1);
  const server = await startServer(t);
  await server.first("--upstream", gateway.upstream);
  const before = await server.served();
  const good = fs.readFileSync(server.site, "utf8");
  fs.writeFileSync(server.site, `${good}\nsome nonsense;\n`);
  const { stderr, stdout } = await server.renew().catch((error) => error);
  assert.match(stderr + stdout, /reload-nginx: nginx goes on with the old certificate, because its configuration has an error:/);
  assert.match(stderr + stdout, /unknown directive "some"/);
  assert.equal(await server.served(), before);
  fs.writeFileSync(server.site, good);
  assert.equal(spawnSync(path.join(here, "reload-nginx"), { env: server.env }).status, 0);
  await until("the new certificate is served", async () => (await server.served()) !== before);
});

test("before the certificate the site answers only the authority; a wrong option changes nothing", { timeout: 120000 }, async (t) => {
  const server = await startServer(t);
  const wrong = await failure(server.first("--upstream", "nowhere"));
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /^render\.sh: --upstream: "nowhere" is not HOST:PORT or unix:PATH\n$/);
  assert.equal(fs.existsSync(server.site), false);
  const nobody = await failure(run(path.join(here, "first-certificate"), ["--name", NAME], { env: server.env }));
  assert.deepEqual([nobody.code, nobody.stderr], [2, "first-certificate: --email is needed: where the authority writes if a certificate is about to expire\n"]);

  assert.match((await run(path.join(here, "first-certificate"), ["--help"])).stdout, /^obtains the first.*CERTBOT_OPTIONS and NGINX_OPTIONS are [^\n]*\n$/is);

  // certbot does not trust the authority's own certificate here, and ends. The site of the first step stays.
  server.env.REQUESTS_CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt";
  const refused = await failure(server.first("--upstream", "unix:/run/y.sock"));
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /first-certificate: no certificate; certbot says above why/);
  const visit = await until("the site answers", () => get(`http://127.0.0.1:${server.port}/`, { headers: { Host: NAME } }).catch(() => null));
  assert.equal(visit.status, 503);
  assert.equal((await get(`http://127.0.0.1:${server.port}/.well-known/acme-challenge/x`, { headers: { Host: NAME } })).status, 404);
});

test("a nginx that does not run is told", async (t) => {
  const directory = temporaryDirectory(t);
  fs.writeFileSync(path.join(directory, "nginx.conf"), `pid ${directory}/nginx.pid; error_log ${directory}/error.log; events {}\n`);
  const { status, stderr } = spawnSync(path.join(here, "reload-nginx"), { encoding: "utf8", env: { ...process.env, NGINX_OPTIONS: `-e ${directory}/error.log -p ${directory} -c ${directory}/nginx.conf` } });
  assert.equal(status, 1);
  assert.match(stderr, /^reload-nginx: nginx was not reloaded; does it run\? /);
});
