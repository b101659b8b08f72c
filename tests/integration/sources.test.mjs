// The sources: the style rules, and Node.js 18.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import test from "node:test";
import { pathToFileURL } from "node:url";

import { binary, filesBelow, temporaryDirectory, top } from "../lib/harness.mjs";

test("functions stay short, files small, and each library has one owner", () => {
  execFileSync("bash", [path.join(top, "tests/check-style.sh")], { stdio: "pipe" });
});

/** Newer releases inspect a file to detect its type. With this option they go by its name, as Node.js 18 does. */
function byNameAlone() {
  const flag = "--experimental-detect-module";
  return process.allowedNodeEnvironmentFlags.has(flag) ? ["--no-experimental-detect-module"] : [];
}

test("the page's client is a module with named exports to a Node.js that goes by a file's name", () => {
  const client = pathToFileURL(path.join(top, "templates/client.js"));
  const program = `import { Client } from ${JSON.stringify(client.href)}; console.log(typeof Client);`;
  const { stdout, stderr } = spawnSync(process.execPath, [...byNameAlone(), "--input-type=module", "-e", program], { encoding: "utf8" });
  assert.equal(stdout, "function\n", stderr);
});

/** Every script below tests/ and templates/. */
function scripts() {
  const all = ["tests", "templates"].flatMap((directory) => filesBelow(path.join(top, directory)));
  return all.map((name) => path.relative(top, name)).filter((name) => /\.m?js$/.test(name) && !name.includes("node_modules"));
}

test("every .js file that Node.js reads lies under a package.json that declares its type", () => {
  for (const name of scripts().filter((script) => script.endsWith(".js"))) {
    let directory = path.dirname(path.join(top, name));
    while (!fs.existsSync(path.join(directory, "package.json")) && directory !== top) directory = path.dirname(directory);
    const file = path.join(directory, "package.json");
    assert.ok(fs.existsSync(file) && JSON.parse(fs.readFileSync(file, "utf8")).type === "module", `${name} would be taken for CommonJS`);
  }
});

test("the page's client works without a global crypto, as in Node.js 18", () => {
  const client = pathToFileURL(path.join(top, "templates/client.js"));
  const program = `delete globalThis.crypto;
    const { Client } = await import(${JSON.stringify(client.href)});
    const speaker = new Client("ws://127.0.0.1:9/room", {}, () => ({}));
    console.log(new Set([speaker.say("one"), speaker.say("two")]).size);`;
  const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", program], { encoding: "utf8" });
  assert.equal(stdout, "2\n", stderr);
});

test("no script uses features that Node.js 18 lacks or newer releases removed", () => {
  const foreign = /import\.meta\.(dirname|filename)|Promise\.withResolvers|Object\.groupBy|Map\.groupBy|Array\.fromAsync|AbortSignal\.any|\.(toSorted|toReversed|toSpliced)\(|(?<![.\w])crypto\.\w|readdirSync\([^)]*recursive|\b(Dirent|file|entry)\.(path|parentPath)\b/;
  for (const name of scripts()) {
    if (name === "tests/integration/sources.test.mjs") continue;
    const found = fs.readFileSync(path.join(top, name), "utf8").match(foreign);
    assert.equal(found?.[0], undefined, name);
  }
});

test("no test waits for a fixed time or asserts a duration", () => {
  const clocks = /\bsetTimeout\(|\bDate\.now\(|\bperformance\.now\(|(?<!\.)\bpause\(/; // use until, lapse and stopwatch in their place
  for (const name of scripts().filter((script) => /^tests\/(integration|browser)\//.test(script) && !script.endsWith("sources.test.mjs")))
    assert.equal(fs.readFileSync(path.join(top, name), "utf8").match(clocks)?.[0], undefined, name);
});

const embed = path.join(path.dirname(binary), "embed");

/** What the build makes of this script. */
function embedded(t, text) {
  const file = path.join(temporaryDirectory(t), "one.js");
  fs.writeFileSync(file, text);
  const code = execFileSync(embed, ["assets", file], { encoding: "utf8" });
  const [, bytes] = code.match(/plain_0\[\] = \{([^}]*)\}/);
  return Buffer.from(bytes.split(",").map(Number).slice(0, -1)).toString();
}

test("a script in the binary has lost its comments and none of its code", { skip: !fs.existsSync(embed) }, (t) => {
  const cases = [
    ["// one\nf();\n", "f();\n"],
    ["/* one */\nf();\n", "f();\n"],
    ["/**\n * one\n */\nf();\n", "f();\n"],
    ["  f(); // one\n", "f();\n"],
    ["/* one */ f();\n", "/* one */ f();\n"],
    ["/*/ one */\nf();\n", "f();\n"],
    ["/*/ one */ f();\n", "/*/ one */ f();\n"],
    ["/*/\nf();\n/* two */\ng();\n", "g();\n"],
  ];
  for (const [text, left] of cases) assert.equal(embedded(t, text), left, text);
});
