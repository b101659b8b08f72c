// A throw-away certificate authority, and requests over TLS that trust it.
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import http2 from "node:http2";
import https from "node:https";
import path from "node:path";
import { DEADLINE_MS } from "../../lib/until.mjs";

const openssl = (...args) => execFileSync("openssl", args, { stdio: ["ignore", "pipe", "pipe"] });

/** Makes a certificate authority, and with it a certificate for these names: { ca, caFile, certificate, key }. */
export function makeCertificate(directory, names) {
  const file = (name) => path.join(directory, name);
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  openssl("req", "-x509", ...curve, "-keyout", file("ca.key"), "-out", file("ca.pem"), "-days", "2", "-subj", "/CN=an authority for tests");
  openssl("req", ...curve, "-keyout", file("privkey.pem"), "-out", file("request.pem"), "-subj", `/CN=${names[0]}`);
  fs.writeFileSync(file("names.cnf"), `subjectAltName=${names.map((name) => `DNS:${name}`).join(",")}\n`);
  openssl("x509", "-req", "-in", file("request.pem"), "-CA", file("ca.pem"), "-CAkey", file("ca.key"), "-CAcreateserial", "-days", "2", "-extfile", file("names.cnf"), "-out", file("fullchain.pem"));
  return { ca: fs.readFileSync(file("ca.pem")), caFile: file("ca.pem"), certificate: file("fullchain.pem"), key: file("privkey.pem") };
}

/** What a client needs to reach `name` at a port of this machine, and to trust only `ca`. */
export const to = (name, ca) => ({ ca, servername: name, lookup: (_, { all }, done) => (all ? done(null, [{ address: "127.0.0.1", family: 4 }]) : done(null, "127.0.0.1", 4)) });

/** Sends a request over TLS and HTTP/1.1, and returns { status, headers, body, certificate }. */
export function getOverTls(url, { ca, headers = {} }) {
  return new Promise((resolve, reject) => {
    const request = https.request(url, { ...to(new URL(url).hostname, ca), headers, agent: false, timeout: DEADLINE_MS }, (response) => {
      const certificate = response.socket.getPeerX509Certificate();
      let body = "";
      response.on("data", (part) => (body += part));
      response.on("end", () => resolve({ status: response.statusCode, headers: response.headers, body, certificate }));
    });
    request.on("error", reject);
    request.on("timeout", () => request.destroy(new Error("no answer in time")));
    request.end();
  });
}

/** The status of a page that is asked for over HTTP/2. */
export function statusOverHttp2(url, { ca }) {
  return new Promise((resolve, reject) => {
    const { origin, hostname, pathname } = new URL(url);
    const session = http2.connect(origin, to(hostname, ca));
    session.on("error", reject);
    const request = session.request({ ":path": pathname });
    request.on("response", (headers) => (resolve(headers[":status"]), session.destroy()));
    request.on("error", reject);
  });
}
