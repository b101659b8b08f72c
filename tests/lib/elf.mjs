// What a binary has against those who find a hole in it, read from its headers.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";

const read = (command, args) => execFileSync(command, args, { encoding: "utf8", maxBuffer: 1 << 28, env: { ...process.env, LC_ALL: "C" } });

/** `fortified`: sanitizers check these calls in another way. */
export function assertHardened(binary, { fortified }) {
  const headers = read("readelf", ["-hlW", binary]);
  assert.match(headers, /Type:\s+DYN \(Position-Independent Executable file\)/, "it is a PIE");
  assert.match(headers, /GNU_RELRO/);
  assert.match(headers, /GNU_STACK(\s+0x[0-9a-f]+){5}\s+RW /, "the stack is not executable");
  const dynamic = read("readelf", ["-dW", binary]);
  assert.match(dynamic, /FLAGS_1.*\bNOW\b.*\bPIE\b/, "all symbols are bound at the start");
  assert.doesNotMatch(dynamic, /TEXTREL|RPATH|RUNPATH/);
  const symbols = read("readelf", ["--dyn-syms", "-W", binary]);
  assert.match(symbols, /__stack_chk_fail/);
  if (fortified) assert.match(symbols, /__(memcpy|snprintf|vsnprintf|read|recv)_chk/);
  if (process.arch !== "x64") return;
  const endbr = read("objdump", ["-d", "--no-show-raw-insn", "-j", ".text", binary]).match(/endbr64/g);
  assert.ok(endbr?.length > 100, "its functions begin with endbr64");
}
