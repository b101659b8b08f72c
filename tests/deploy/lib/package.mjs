// The Debian package, built from a copy of this tree, and what dpkg says about it.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { filesBelow, temporaryDirectory, top } from "../../lib/files.mjs";

const execute = promisify(execFile);

/** Runs a program that must succeed, and returns its standard output. */
export async function demand(command, args = [], options = {}) {
  const { stdout } = await execute(command, args, { maxBuffer: 1 << 26, encoding: "utf8", ...options }).catch((error) => assert.fail(`${command} ${args.join(" ")}: ${error.stderr}${error.stdout}`.slice(-4000)));
  return stdout;
}

/** Runs a program, and returns { status, output, errors }. */
export async function run(command, args = [], options = {}) {
  return execute(command, args, { maxBuffer: 1 << 26, encoding: "utf8", ...options }).then(
    ({ stdout, stderr }) => ({ status: 0, output: stdout, errors: stderr }),
    (error) => ({ status: error.code, output: error.stdout, errors: error.stderr }),
  );
}

/** Copies the files that belong to the repository, committed or not. */
async function copySources(to) {
  const list = (await demand("git", ["-C", top, "ls-files", "-co", "--exclude-standard", "-z"])).split("\0").filter((file) => file && fs.existsSync(path.join(top, file)));
  for (const file of list) {
    fs.mkdirSync(path.join(to, path.dirname(file)), { recursive: true });
    fs.copyFileSync(path.join(top, file), path.join(to, file));
  }
}

export class DebianPackage {
  /** A build of this tree: one that is there already, in the directory that TEST_PACKAGE names, or a new one. */
  static get(t) {
    return process.env.TEST_PACKAGE ? DebianPackage.#at(process.env.TEST_PACKAGE, "yukizuri") : DebianPackage.build(t);
  }

  static #at(directory, folder) {
    const find = (suffix) => path.join(directory, fs.readdirSync(directory).find((name) => name.startsWith("yukizuri_") && name.endsWith(suffix)));
    return Object.assign(new DebianPackage(), { directory, sources: path.join(directory, folder), deb: find(".deb"), changes: find(".changes") });
  }

  /** Builds source and binary packages in a directory that ends with the test. */
  static async build(t, { folder = "yukizuri", umask = "022", environment = {} } = {}) {
    const directory = temporaryDirectory(t, "/var/tmp/yukizuri-package-");
    const sources = path.join(directory, folder);
    await copySources(sources);
    const env = { ...process.env, ...environment };
    for (const name of ["CFLAGS", "LDFLAGS", "DEB_BUILD_OPTIONS", "SOURCE_DATE_EPOCH"]) if (!(name in environment)) delete env[name];
    await demand("sh", ["-c", `umask ${umask}; exec nice -n 10 dpkg-buildpackage --no-sign`], { cwd: sources, env });
    return DebianPackage.#at(directory, folder);
  }

  /** Every built file by name, but for those that describe the build. */
  get results() {
    return fs.readdirSync(this.directory).filter((name) => /\.(deb|tar\.xz)$/.test(name)).sort();
  }

  async field(name) {
    return (await demand("dpkg-deb", ["--field", this.deb, name])).trim();
  }

  /** What the package installs: { path, type, mode, owner }. */
  async contents() {
    const lines = (await demand("dpkg-deb", ["--contents", this.deb])).trim().split("\n");
    return lines.map((line) => {
      const [, type, mode, owner, name] = line.match(/^(.)(\S{9}) (\S+) +\d+ \S+ \S+ \.(\/\S*)/);
      return { path: name, type, mode, owner };
    });
  }

  /** Unpacks it, with the control files in DEBIAN, and returns the directory. */
  async unpack(t) {
    const directory = path.join(temporaryDirectory(t), "unpacked");
    await demand("dpkg-deb", ["--raw-extract", this.deb, directory]);
    return directory;
  }

  /** The same package as another version, after `change(directory)`. Returns its file. */
  async again(t, version, change = () => {}) {
    const directory = await this.unpack(t);
    const control = path.join(directory, "DEBIAN/control");
    fs.writeFileSync(control, fs.readFileSync(control, "utf8").replace(/^Version: .*$/m, `Version: ${version}`));
    change(directory);
    const sums = [];
    for (const file of filesBelow(directory).map((name) => path.relative(directory, name)).filter((name) => !/^(DEBIAN|etc)\//.test(name))) sums.push(await demand("md5sum", [file], { cwd: directory }));
    fs.writeFileSync(path.join(directory, "DEBIAN/md5sums"), sums.join(""));
    const deb = path.join(temporaryDirectory(t), `yukizuri_${version}_${await this.field("Architecture")}.deb`);
    await demand("dpkg-deb", ["--root-owner-group", "--build", directory, deb]);
    return deb;
  }
}
