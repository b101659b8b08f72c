// A sentence that is looked for where it must not be.
import fs from "node:fs";
import { filesBelow } from "./files.mjs";

export const CANARY = "the canary sang at dawn";

/** The files below these directories that have the canary in them. */
export const filesWithCanary = (...directories) => directories.flatMap(filesBelow).filter((file) => fs.readFileSync(file).includes(CANARY));
