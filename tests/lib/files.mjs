// Paths of the project, and directories that are removed after the test.
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { atEnd } from "./endings.mjs";
import { giveToGateway } from "./user.mjs";

export const top = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");
export const binary = process.env.TEST_BINARY ?? path.join(top, "build/asan/yukizuri");

export function temporaryDirectory(t, prefix = path.join(os.tmpdir(), "yukizuri-test-")) {
  const directory = fs.mkdtempSync(prefix);
  fs.chmodSync(directory, 0o755);
  giveToGateway(directory);
  atEnd(t, () => fs.rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** A directory with a short path, as sockets need. */
export const shortDirectory = (t) => temporaryDirectory(t, "/tmp/yz-");

/** Every file below a directory. (Node.js' own recursive reading differs between releases.) */
export function filesBelow(directory) {
  return fs.readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const name = path.join(directory, entry.name);
    if (entry.isDirectory()) return filesBelow(name);
    return entry.isFile() ? [name] : [];
  });
}
