// Of results.jsonl: tables (tables.md) and plots (*.svg, by gnuplot). Medians of all rounds. Of docs/bench the tables go
// into docs/benchmarks.md instead, and a short one into README.md, each between two marks.
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

/** The README's table: five systems, each with one room of 1,000 members, and with 5,000 who say nothing. How a frame goes
 *  out makes no difference to the latter: they were measured with one way of sending only. */
export function summary(directory) {
  const { mid } = read(directory);
  const systems = [
    ["Yukizuri", "Yukizuri"],
    ["a bare loop that writes ready-made frames", "floor: io_uring, one per turn", "floor: one send per delivery"],
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

/** What differs between experiments and systems. */
function looker({ of }) {
  const distinct = (experiment, field) => [...new Set(of(experiment).map((l) => l[field]))].filter((value) => value !== undefined); // of runs that failed there is nothing
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
    const crowds = distinct(experiment, "rooms").map((rooms) => ({ rooms, members: of(experiment, { rooms })[0].members }));
    const title = ({ rooms, members }) => `${rooms === 1 ? "one room" : `${number(rooms)} rooms`} of ${number(members / rooms)}`;
    return table(
      ["system", ...crowds.map(title), ...crowds.map((crowd) => `p99 ms, ${title(crowd)}`)],
      distinct(experiment, "system").map((system) => [marked(system, experiment), ...crowds.map(({ rooms }) => number(mid(experiment, { system, rooms }, "cpu_ns_per_delivery"))), ...crowds.map(({ rooms }) => number(mid(experiment, { system, rooms }, "p99_ms"), 1))]),
    );
  };

  const sections = [];
  for (const machine of machines) {
    const versions = Object.entries(machine.versions).map(([name, v]) => `${name} ${v}`).join(", ");
    const what = machines.length > 1 ? ` (${machine.experiments.join(", ")})` : "";
    sections.push(`Measured${what} on ${machine.date} at commit ${machine.commit}: ${machine.cpu}, ${machine.cores} cores, ${machine.memory_gib} GiB, Linux ${machine.kernel}; ${versions}.`);
  }
  sections.push(`Medians; frames of ${number(mid("envelope", {}, "frame_bytes"))} bytes for 100 bytes of text.`);
  const stolen = lines.map((l) => l.stolen_percent).filter((n) => n !== undefined);
  if (stolen.length > 0)
    sections.push(`Of what run.sh measured, ${stolen.length} runs say how much of the cores' time the machine's host had for others meanwhile: ${number(median(stolen), 1)} % (median), ${number(Math.max(...stolen), 1)} % at most.`);

  sections.push("### One room of 1,000 members\n\nThe server has one core; Redis and the load generator share the other. CPU is that of the server's process.");
  sections.push(
    table(
      ["system", "CPU ns per delivery, 100 msg/s", "p99 ms", "CPU ns, all at once", "deliveries/s, all at once", "bytes per idle member", "CPU µs per handshake", "CPU µs per join"],
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
  sections.push("¹ lost messages, or did not finish.");

  sections.push("How far its rounds lie apart: lowest and highest of them, 100 messages a second:");
  const range = (system, field, digits) => {
    const values = of("fixed", { system }).map((l) => l[field]).filter((n) => typeof n === "number");
    return values.length === 0 ? "–" : `${number(Math.min(...values), digits)} to ${number(Math.max(...values), digits)}`;
  };
  sections.push(table(["system", "rounds", "CPU ns per delivery", "p99 ms"], distinct("fixed", "system").map((system) => [system, number(of("fixed", { system }).length), range(system, "cpu_ns_per_delivery"), range(system, "p99_ms", 1)])));

  sections.push("### 1,000,000 deliveries a second wanted (1,000 messages to 1,000 members)");
  sections.push(
    table(
      ["system", "deliveries/s", "p50 ms", "p99 ms", "CPU %", "lost"],
      distinct("million", "system").map((system) => [
        system,
        ...[["deliveries_per_s"], ["p50_ms", 1], ["p99_ms", 1], ["cpu_percent"], ["lost"]].map(([field, digits]) => number(mid("million", { system }, field), digits)),
      ]),
    ),
  );

  sections.push("### How the cost grows\n\n100,000 deliveries a second to one room, CPU ns per delivery:");
  sections.push(membersTable("members"));
  sections.push("19,000 members in rooms of different size, each room always with one message under way:");
  sections.push(table(["rooms", "members each", "CPU ns per delivery", "deliveries/s"], distinct("rooms", "rooms").map((rooms) => [number(rooms), number(19000 / rooms), number(mid("rooms", { rooms }, "cpu_ns_per_delivery")), number(mid("rooms", { rooms }, "deliveries_per_s"))])));

  sections.push("The same people with a fixed load, 70,000 deliveries a second, and one room of 1,000 alone; CPU ns per delivery:");
  sections.push(roomsTable("rate"));

  sections.push("### The gateway's half alone\n\nOn loopback the sender's system call does the receiver's half of the kernel's work too, with the memory of the receiver's socket; between machines that is another machine's work. Here the kernel does it on the load generator's core (receive packet steering). 40,000 deliveries a second to one room, CPU ns per delivery:");
  sections.push(membersTable("apart"));
  sections.push("And to many rooms; CPU ns per delivery:");
  sections.push(roomsTable("apart rooms"));

  sections.push("### Several gateways on one Redis\n\nRedis and the load generator share a core, all gateways have the other. “As many as go” is 200 members with 400 messages always under way.");
  sections.push(
    table(
      ["gateways", "Redis CPU µs per message, 100 msg/s", "Redis CPU µs per message, as many as go", "messages/s that would fill Redis' core", "messages/s reached here"],
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

/** Between the two marks of a document. */
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
