// The user that gateways become, if the environment names one (YUKIZURI_USER). Tests run as root then.
import { execFileSync } from "node:child_process";
import fs from "node:fs";

const name = process.env.YUKIZURI_USER;
const [uid, gid] = name ? ["-u", "-g"].map((id) => Number(execFileSync("id", [id, name]))) : [-1, -1];

/** Gives this user a file or directory that a gateway opens, or in which it makes and removes files. */
export const giveToGateway = (file) => fs.chownSync(file, uid, gid);

/** Runs a command as this user, for what root without all its capabilities may not do to another user's process; returns its output. */
export function runAsGateway(command, args) {
  const become = name ? ["setpriv", "--reuid", String(uid), "--regid", String(gid), "--init-groups"] : [];
  const [first, ...rest] = [...become, command, ...args];
  return execFileSync(first, rest, { encoding: "utf8" });
}
