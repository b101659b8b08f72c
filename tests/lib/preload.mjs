// Gateways that do what no gateway does, or whose kernel does: see preload.c.
import { execFileSync } from "node:child_process";
import path from "node:path";
import { temporaryDirectory, top } from "./files.mjs";

/** An environment in which preload.c is loaded. */
export function preload(t, env) {
  const library = path.join(temporaryDirectory(t), "preload.so");
  execFileSync("cc", ["-shared", "-fPIC", "-pthread", "-o", library, path.join(top, "tests/lib/preload.c")]);
  const asan = [process.env.ASAN_OPTIONS, "verify_asan_link_order=0"].filter(Boolean).join(":");
  return { ...process.env, LD_PRELOAD: library, ASAN_OPTIONS: asan, ...env };
}
