// Certificates for tests of TLS.
import { execFileSync } from "node:child_process";
import path from "node:path";

/** Makes a certificate of this host ("DNS:localhost", "IP:127.0.0.1") in a directory. It is its own authority. */
export function makeCertificate(directory, name, host) {
  execFileSync("openssl", ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", `${name}.key`, "-out", `${name}.pem`, "-days", "2", "-subj", `/CN=${name}`, "-addext", `subjectAltName=${host}`], { cwd: directory, stdio: "pipe" });
  return { cert: path.join(directory, `${name}.pem`), key: path.join(directory, `${name}.key`) };
}
