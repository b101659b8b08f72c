// A view of this system in which the user yukizuri exists, and in which directories of the test stand in for some of the system's. So a shipped file that
// names users and paths is used unchanged. The user has a uid of this process alone: a signal to all its processes reaches those of the test.
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { temporaryDirectory } from "../../lib/harness.mjs";

export const USER = 700000 + (process.pid % 1000000);
export const ADM = 4; // the group adm, in every Debian
export const asUser = ["setpriv", `--reuid=${USER}`, `--regid=${USER}`, "--clear-groups"];

/** The reason why there can be no such view on this machine, or false. For the option `skip` of a test. */
export const whyNoStandIn = spawnSync("unshare", ["--mount", "true"]).status !== 0 && "this needs root and a namespace of mounts";

export class StandIn {
  #binds;

  /** `places` maps paths of the system to the paths that stand in for them there. */
  constructor(t, places) {
    this.home = temporaryDirectory(t);
    const withUser = (name, line) => {
      const file = path.join(this.home, name);
      fs.writeFileSync(file, `${fs.readFileSync(`/etc/${name}`, "utf8").replace(/^yukizuri:.*\n/m, "")}${line}\n`);
      return [`/etc/${name}`, file];
    };
    this.#binds = [
      withUser("passwd", `yukizuri:x:${USER}:${USER}::/nonexistent:/usr/sbin/nologin`),
      withUser("group", `yukizuri:x:${USER}:`),
      ...Object.entries(places),
    ];
  }

  /** The command that runs `command` in this view. It has the pid of `command`. */
  command(command) {
    const mount = 'while [ "$1" != -- ]; do mount --bind "$2" "$1"; shift 2; done; shift; exec "$@"';
    return ["unshare", "--mount", "sh", "-euc", mount, "sh", ...this.#binds.flat(), "--", ...command];
  }
}
