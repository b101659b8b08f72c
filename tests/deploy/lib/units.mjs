// The files of deploy/systemd in a tree.
import path from "node:path";
import { filesBelow, top } from "../../lib/files.mjs";

/** Packages with what the binary is linked to. */
export const libraries = ["libevent-core-2.1-7", "libevent-openssl-2.1-7", "libhiredis0.14", "libjansson4", "libjemalloc2", "libseccomp2", "libssl3", "libstdc++6", "liburing2", "libutf8proc2", "libwslay1"];

const units = path.join(top, "deploy/systemd");

/** The places of the files on a server. */
export function installUnits(tree) {
  for (const file of filesBelow(units)) {
    const name = path.relative(units, file);
    if (name.startsWith("sysusers.d/") || name.startsWith("tmpfiles.d/")) tree.copy(file, `/usr/lib/${name}`);
    else if (name === "yukizuri-rolling-restart") tree.copy(file, `/usr/sbin/${name}`);
    else tree.copy(file, `/etc/systemd/system/${name}`);
  }
}
