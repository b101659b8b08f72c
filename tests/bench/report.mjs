// Makes tables (tables.md) and plots (*.svg, by gnuplot) from results.jsonl. The figures are medians of all rounds. For
// docs/bench, the tables go between two marks in docs/benchmarks.md, and a short one between two marks in README.md.
//
//   node report.mjs DIRECTORY
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { top } from "../lib/files.mjs";

function median(numbers) {
  const sorted = numbers.filter((n) => typeof n === "number").sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return sorted.length === 0 ? undefined : (sorted[Math.floor(middle)] + sorted[Math.ceil(middle) - 1]) / 2;
}

const number = (value, digits = 0) => (value === undefined ? "–" : value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits }));

/** A Markdown table: the first column is words, the others numbers. */
function table(head, rows) {
  const line = (cells) => `| ${cells.join(" | ")} |`;
  return [line(head), `|---|${"---:|".repeat(head.length - 1)}`, ...rows.map(line)].join("\n");
}

/** The runs of a directory: `of` some of them, `mid` the median of a figure. */
function read(directory) {
  const lines = fs.readFileSync(path.join(directory, "results.jsonl"), "utf8").trim().split("\n").map((line) => JSON.parse(line));
  const of = (experiment, where = {}) => lines.filter((l) => l.experiment === experiment && Object.entries(where).every(([k, v]) => l[k] === v));
  const mid = (experiment, where, field) => median(of(experiment, where).map((l) => l[field]));
  return { lines, of, mid };
}

/** The README's table: five systems, with one room of 1,000 members who talk, and with 5,000 idle members. The way of sending
 *  makes no difference to idle members, so only one way was measured with them. */
export function summary(directory) {
  const { mid } = read(directory);
  const systems = [
    ["Yukizuri", "Yukizuri"],
    ["a bare loop that writes ready-made frames", "floor: io_uring, one per iteration", "floor: one send per delivery"],
    ["nchan + Redis", "nchan + Redis"],
    ["Node.js ws + ioredis, one frame for all", "Node ws + ioredis, shared frame", "Node ws + ioredis"],
    ["Socket.IO + Redis adapter", "Socket.IO + Redis adapter"],
  ];
  return table(
    ["system", "CPU ns per delivery", "p99 ms", "bytes per idle member", "CPU µs per handshake"],
    systems.map(([title, system, idle = system]) => [
      title,
      number(mid("fixed", { system }, "cpu_ns_per_delivery")),
      number(mid("fixed", { system }, "p99_ms"), 1),
      number(mid("idle", { system: idle, members: 5000 }, "bytes_per_member")),
      number(mid("idle", { system: idle, members: 5000 }, "handshake_cpu_us"), 1),
    ]),
  );
}

/** The distinct values of a field, and the numbers of members that were measured. */
function looker({ of }) {
  const distinct = (experiment, field) => [...new Set(of(experiment).map((l) => l[field]))].filter((value) => value !== undefined); // failed runs have no values
  return { distinct, sizes: distinct("members", "members") };
}

/** All tables, as Markdown. */
export function tables(directory) {
  const { lines, of, mid } = read(directory);
  const { distinct, sizes } = looker({ of });
  const machines = lines.filter(({ experiment }) => experiment === "machine");
  const incomplete = (experiment, where) => of(experiment, where).some((l) => l.failed || l.delivered === 0 || l.lost > 0 || l.disordered > 0);

  const marked = (system, ...names) => system + (names.some((experiment) => incomplete(experiment, { system })) ? " ¹" : "");
  const membersTable = (experiment) =>
    table(["system", ...sizes.map((n) => `${number(n)} members`)], distinct(experiment, "system").map((system) => [marked(system, experiment), ...sizes.map((members) => number(mid(experiment, { system, members }, "cpu_ns_per_delivery")))]));
  const roomsTable = (experiment) => {
    const loads = distinct(experiment, "rooms").map((rooms) => ({ rooms, members: of(experiment, { rooms })[0].members }));
    const title = ({ rooms, members }) => `${rooms === 1 ? "one room" : `${number(rooms)} rooms`} of ${number(members / rooms)}`;
    return table(
      ["system", ...loads.map(title), ...loads.map((load) => `p99 ms, ${title(load)}`)],
      distinct(experiment, "system").map((system) => [marked(system, experiment), ...loads.map(({ rooms }) => number(mid(experiment, { system, rooms }, "cpu_ns_per_delivery"))), ...loads.map(({ rooms }) => number(mid(experiment, { system, rooms }, "p99_ms"), 1))]),
    );
  };

  const sections = [];
  for (const machine of machines) {
    const versions = Object.entries(machine.versions).map(([name, v]) => `${name} ${v}`).join(", ");
    const what = machines.length > 1 ? ` (${machine.experiments.join(", ")})` : "";
    sections.push(`Measured${what} on ${machine.date} at commit ${machine.commit}: ${machine.cpu}, ${machine.cores} cores, ${machine.memory_gib} GiB, Linux ${machine.kernel}; ${versions}.`);
  }
  sections.push(`A message of 100 bytes of text makes a frame of ${number(mid("envelope", {}, "frame_bytes"))} bytes.`);
  const stolen = lines.map((l) => l.stolen_percent).filter((n) => n !== undefined);
  if (stolen.length > 0)
    sections.push(`Steal time is the share of CPU time that the host of a virtual machine gave to others. In ${stolen.length} runs it was ${number(median(stolen), 1)} % in the median and at most ${number(Math.max(...stolen), 1)} %.`);

  sections.push("### One room of 1,000 members\n\nIdle memory is measured with 19,000 members, handshakes and joins with 5,000.");
  sections.push(
    table(
      ["system", "CPU ns per delivery, 100 msg/s", "p99 ms", "CPU ns, closed loop", "deliveries/s, closed loop", "bytes per idle member", "CPU µs per handshake", "CPU µs per join"],
      distinct("fixed", "system").map((system) => [
        marked(system, "full", "fixed"),
        number(mid("fixed", { system }, "cpu_ns_per_delivery")),
        number(mid("fixed", { system }, "p99_ms"), 1),
        number(mid("full", { system }, "cpu_ns_per_delivery")),
        number(mid("full", { system }, "deliveries_per_s")),
        number(mid("idle", { system, members: 19000 }, "bytes_per_member")),
        number(mid("idle", { system, members: 5000 }, "handshake_cpu_us"), 1),
        number(mid("idle", { system, members: 5000 }, "join_cpu_us"), 1),
      ]),
    ),
  );
  if (sections.some((text) => text.includes(" ¹"))) sections.push("¹ The system lost messages or did not finish.");

  sections.push("The lowest and the highest round at 100 messages a second:");
  const range = (system, field, digits) => {
    const values = of("fixed", { system }).map((l) => l[field]).filter((n) => typeof n === "number");
    return values.length === 0 ? "–" : `${number(Math.min(...values), digits)} to ${number(Math.max(...values), digits)}`;
  };
  sections.push(table(["system", "rounds", "CPU ns per delivery", "p99 ms"], distinct("fixed", "system").map((system) => [system, number(of("fixed", { system }).length), range(system, "cpu_ns_per_delivery"), range(system, "p99_ms", 1)])));

  sections.push("### 1,000,000 deliveries a second\n\nThe load generator sends 1,000 messages a second to one room of 1,000 members.");
  sections.push(
    table(
      ["system", "deliveries/s", "p50 ms", "p99 ms", "CPU %", "lost"],
      distinct("million", "system").map((system) => [
        system,
        ...[["deliveries_per_s"], ["p50_ms", 1], ["p99_ms", 1], ["cpu_percent"], ["lost"]].map(([field, digits]) => number(mid("million", { system }, field), digits)),
      ]),
    ),
  );

  sections.push("### Cost and number of members\n\nCPU ns per delivery, at 100,000 deliveries a second to one room:");
  sections.push(membersTable("members"));
  sections.push("19,000 members in rooms of different sizes. Each room always has one message in flight:");
  sections.push(table(["rooms", "members each", "CPU ns per delivery", "deliveries/s"], distinct("rooms", "rooms").map((rooms) => [number(rooms), number(19000 / rooms), number(mid("rooms", { rooms }, "cpu_ns_per_delivery")), number(mid("rooms", { rooms }, "deliveries_per_s"))])));

  sections.push("CPU ns per delivery, at a fixed load of 70,000 deliveries a second. The first two columns have the same 19,000 members; the third has one room of 1,000 alone:");
  sections.push(roomsTable("rate"));

  sections.push("### Without the receiver's work\n\nOn loopback, the sender's system call also does the kernel's work for the receiver. Between two machines, the receiving machine does it. In these measurements the kernel does it on the core of the load generator (receive packet steering). CPU ns per delivery, at 40,000 deliveries a second to one room:");
  sections.push(membersTable("apart"));
  sections.push("CPU ns per delivery, with several rooms:");
  sections.push(roomsTable("apart rooms"));

  sections.push("### Several gateways on one Redis\n\nRedis and the load generator share one core; all gateways share the other. The “maximum” columns have 200 members and always 400 messages in flight.");
  sections.push(
    table(
      ["gateways", "Redis CPU µs per message, 100 msg/s", "Redis CPU µs per message, maximum", "messages/s that would use Redis' core fully", "messages/s reached here"],
      distinct("gateways", "gateways").map((gateways) => {
        const most = { gateways, kind: "most" };
        const us = mid("gateways", most, "redis_cpu_us_per_message");
        return [
          number(gateways),
          number(mid("gateways", { gateways, kind: "same load" }, "redis_cpu_us_per_message"), 1),
          number(us, 1),
          number(us && 1e6 / us),
          number(mid("gateways", most, "deliveries_per_s") / 200),
        ];
      }),
    ),
  );
  return sections.join("\n\n");
}

export function report(directory) {
  const { of, mid } = read(directory);
  const { distinct, sizes } = looker({ of });
  if (path.resolve(directory) === path.join(top, "docs/bench")) {
    put("docs/benchmarks.md", tables(directory));
    put("README.md", summary(directory));
  } else {
    fs.writeFileSync(path.join(directory, "tables.md"), `${tables(directory)}\n`);
  }

  plot(directory, { name: "latency", title: "p99 latency against load (1,000 members)", x: "messages a second", y: "p99, ms", log: "xy", key: "rate", value: (system, rate) => mid(rate === 100 ? "fixed" : rate === 1000 ? "million" : "load", { system, rate }, "p99_ms"), systems: distinct("load", "system"), points: [20, 50, 100, 200, 500, 1000] });
  plot(directory, { name: "cpu", title: "CPU per delivery against members in the room", x: "members", y: "ns per delivery", log: "x", value: (system, members) => mid("members", { system, members }, "cpu_ns_per_delivery"), systems: distinct("members", "system"), points: sizes });
  plot(directory, { name: "memory", title: "Memory against idle members", x: "members", y: "MB (Pss)", log: "xy", value: (system, members) => mid("idle", { system, members }, "bytes_per_member") * members / 1e6, systems: distinct("idle", "system"), points: distinct("idle", "members") });
}

/** Replaces the text between the two marks of a document. */
function put(name, text) {
  const file = path.join(top, name);
  const before = fs.readFileSync(file, "utf8");
  fs.writeFileSync(file, before.replace(/(<!-- written by tests\/bench\/run\.sh -->\n)[^]*?(<!-- end -->)/, (_, begin, end) => `${begin}\n${text}\n\n${end}`));
}

/** One SVG, a line for each system. */
function plot(directory, { name, title, x, y, log, value, systems, points }) {
  if (systems.length === 0) return;
  const quoted = (text) => `"${text.replaceAll('"', "")}"`;
  const blocks = systems.map((system, i) => `$d${i} << EOD\n${points.map((p) => [p, value(system, p)]).filter(([, v]) => v > 0).map((pair) => pair.join(" ")).join("\n")}\nEOD`);
  const curves = systems.map((system, i) => `$d${i} using 1:2 with linespoints lw 2 pt 7 ps 0.6 title ${quoted(system)}`);
  const script = [
    `set terminal svg size 800,480 dynamic font "sans-serif,14" background "white"`,
    `set output ${quoted(path.join(directory, `${name}.svg`))}`,
    `set title ${quoted(title)}`,
    `set xlabel ${quoted(x)}`,
    `set ylabel ${quoted(y)}`,
    `set logscale ${log}`,
    "set grid",
    "set key outside bottom center vertical maxrows 4",
    log.includes("y") ? "" : "set yrange [0:*]",
    ...blocks,
    `plot ${curves.join(", ")}`,
  ].join("\n");
  execFileSync("gnuplot", { input: script });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) report(process.argv[2]);
