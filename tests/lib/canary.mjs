// A sentence that must not appear in certain places.
import fs from "node:fs";
import { filesBelow } from "./files.mjs";

export const CANARY = "the canary sang at dawn";

/** The files below these directories that contain the canary. */
export const filesWithCanary = (...directories) => directories.flatMap(filesBelow).filter((file) => fs.readFileSync(file).includes(CANARY));
