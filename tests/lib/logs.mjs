// The log and the metrics of a gateway.
import { get } from "./http.mjs";
import { until } from "./until.mjs";

/** The lines of a log as objects. */
export function parseLog(text) {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => Object.fromEntries(line.split("\t").map((field) => [field.slice(0, field.indexOf(":")), field.slice(field.indexOf(":") + 1)])));
}

export const ofKind = (gateway, kind) => gateway.log.filter((line) => line.kind === kind);

/** Waits for a line of this kind, and returns all of them. */
export async function untilLogged(gateway, kind) {
  await until(`a line of kind ${kind}`, () => ofKind(gateway, kind).length > 0);
  return ofKind(gateway, kind);
}

/** All of /metrics: { name: value }, with labels as they are written. */
export async function metrics(gateway) {
  const { body } = await get(`${gateway.origin}/metrics`);
  return Object.fromEntries(body.split("\n").filter((line) => line !== "" && !line.startsWith("#")).map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ") + 1))]));
}

/** One metric, by its name without "yukizuri_". A counter that is absent is 0. */
export const metric = async (gateway, name) => (await metrics(gateway))[`yukizuri_${name}`] ?? 0;

/** A counter with one label: { value of the label: count }, without those that are 0. */
export async function counts(gateway, name) {
  const { body } = await get(`${gateway.origin}/metrics`);
  const lines = [...body.matchAll(new RegExp(`^yukizuri_${name}\\{\\w+="([^"]*)"\\} (\\d+)$`, "gm"))];
  return Object.fromEntries(lines.map(([, word, count]) => [word, Number(count)]).filter(([, count]) => count > 0));
}
