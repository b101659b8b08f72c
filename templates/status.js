// The figures of /api/stats for operators, drawn anew every two seconds. Behind a balancer each answer may be another
// gateway's: each has its own line, and the numbers beside a chart are of all that answered lately.
const EVERY_MS = 2000;
const KEPT_MS = 5 * 60000;
const LATELY_MS = 30000;
const SVG = "http://www.w3.org/2000/svg";

const language = document.documentElement.lang;
const words = {
  en: {
    ok: (gateways) => `Up to date. ${gateways === 1 ? "One gateway answers." : `${gateways} gateways answer.`}`,
    notReady: "A gateway is not ready: nobody can come in there.",
    refused: "Only operators may read the figures (ops-allow).",
    failed: "The figures cannot be read. Trying again.",
    none: "none", yes: "yes", no: "no", unknown: "not known",
    redis: { up: "connected", redis_refuses: "refuses what members need", redis_writes_to_disk: "writes to disk", redis_evicts: "may evict keys", redis_lost: "connections lost", redis_timeouts: "commands without a reply", redis_commands: "commands" },
    drops: { slow_readers: "slow readers closed", log_dropped: "lines of the log", gaps: "gaps told to members", foreign: "foreign publications" },
  },
  ja: {
    ok: (gateways) => `最新です。${gateways} 台のゲートウェイが答えています。`,
    notReady: "準備のできていないゲートウェイがあります。そこには誰も入れません。",
    refused: "数字を読めるのは運用者だけです（ops-allow）。",
    failed: "数字を読めません。もう一度試しています。",
    none: "なし", yes: "はい", no: "いいえ", unknown: "不明",
    redis: { up: "接続している", redis_refuses: "必要な命令を断る", redis_writes_to_disk: "ディスクに書く", redis_evicts: "キーを追い出しうる", redis_lost: "切れた接続", redis_timeouts: "返事のない命令", redis_commands: "命令" },
    drops: { slow_readers: "読むのが遅く閉じた接続", log_dropped: "ログの行", gaps: "知らせた抜け", foreign: "よそからの発行" },
  },
};
const t = words[language];

const number = (value, digits = 0) => value.toLocaleString(language, { maximumFractionDigits: digits });
const span = (seconds) => (seconds < 1 ? `${number(seconds * 1000, 1)} ms` : `${number(seconds, 1)} s`);

/** Of each gateway: what it answered in the last minutes, the oldest first. */
const answers = new Map();

const samples = (name) => answers.get(name);
const latest = () => [...answers.values()].map((list) => list.at(-1)).filter(({ at }) => at >= performance.now() - LATELY_MS);
const sum = (list) => list.reduce((total, value) => total + value, 0);

/** Messages a second, from the answer before to this one; 0 after a restart. */
function rate(list, i) {
  if (i === 0) return 0;
  const [before, now] = [list[i - 1], list[i]];
  return Math.max(0, (now.stats.says - before.stats.says) / ((now.at - before.at) / 1000));
}

const charts = {
  messages: { of: rate, all: sum, say: (value) => number(value, 1) },
  delivery: { of: (list, i) => list[i].stats.say_to_shown.p99_seconds, all: (values) => Math.max(...values), say: span },
  lag: { of: (list, i) => list[i].stats.probe_lag.last_seconds, all: (values) => Math.max(...values), say: span },
  connections: { of: (list, i) => list[i].stats.connections, all: sum, say: number },
};

// --- Drawing ---

function element(parent, kind, text) {
  const node = parent.appendChild(document.createElement(kind));
  node.textContent = text;
  return node;
}

function svg(parent, kind, attributes) {
  const node = parent.appendChild(document.createElementNS(SVG, kind));
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

/** A line for each gateway, from five minutes ago to now. */
function draw(figure, { of, all, say }) {
  const now = performance.now();
  const lines = [...answers.values()].map((list) => list.map((one, i) => [one.at, of(list, i)]));
  const lately = lines.map((line) => line.at(-1)).filter(([at]) => at >= now - LATELY_MS);
  const value = lately.length > 0 ? say(all(lately.map(([, last]) => last))) : "–";
  figure.querySelector("b").textContent = value;
  figure.querySelector("svg")?.remove();
  const most = Math.max(...lines.flat().map(([, y]) => y), Number.EPSILON);
  const chart = svg(figure, "svg", { viewBox: "0 0 300 100", preserveAspectRatio: "none", role: "img", "aria-label": `${figure.querySelector("figcaption").firstChild.textContent.trim()}: ${value}` });
  lines.forEach((line, i) => {
    const points = line.map(([at, y]) => `${(300 * (1 - (now - at) / KEPT_MS)).toFixed(1)},${(98 - (94 * y) / most).toFixed(1)}`);
    svg(chart, "polyline", { points: points.join(" "), class: hue(i) });
  });
}

/** The colour of the gateway that answered as the so-and-so-manyth. */
const hue = (i) => `h${1 + ((i * 3) % 11)}`;

/** Rows of cells; a cell may be [text, class]. */
function fill(id, rows) {
  const body = document.getElementById(id);
  body.replaceChildren();
  if (rows.length === 0) element(element(body, "tr", ""), "td", t.none).colSpan = 9;
  for (const cells of rows) {
    const row = element(body, "tr", "");
    for (const [text, kind = ""] of cells.map((cell) => [cell].flat())) element(row, "td", text).className = kind;
  }
}

/** { name: number } of several answers, added up; the biggest first. */
function addUp(objects) {
  const totals = new Map();
  for (const object of objects) for (const [name, value] of Object.entries(object)) totals.set(name, (totals.get(name) ?? 0) + value);
  return [...totals].sort((a, b) => b[1] - a[1]);
}

function drawGateways(now) {
  const ages = new Map();
  for (const { at, stats } of now)
    for (const [id, seconds] of Object.entries(stats.gateways ?? {})) ages.set(id, Math.min(ages.get(id) ?? Infinity, seconds + (performance.now() - at) / 1000));
  const rows = [...ages].sort(([a], [b]) => (a < b ? -1 : 1)).map(([id, age]) => [[id, samples(id) ? `key ${hue([...answers.keys()].indexOf(id))}` : ""], [span(age), age > lease ? "late" : ""], ...["connections", "pressure"].map((name) => (samples(id) ? number(samples(id).at(-1).stats[name] ?? 0) : ""))]);
  fill("gateways", rows);
}

const yesOrNo = (values, all) => (values.includes(undefined) ? t.unknown : (all ? values.every(Boolean) : values.some(Boolean)) ? t.yes : t.no);

function drawRedis(now) {
  const values = (name) => now.map(({ stats }) => stats[name]);
  fill("redis", Object.entries(t.redis).map(([name, label]) => {
    if (name === "up") return [label, yesOrNo(values("redis_up"), true)];
    return [label, /_(refuses|writes_to_disk|evicts)$/.test(name) ? yesOrNo(values(name)) : number(sum(values(name)))];
  }));
}

function drawAll() {
  const now = latest();
  const of = (field) => now.map(({ stats }) => field(stats));
  for (const figure of document.querySelectorAll("[data-chart]")) draw(figure, charts[figure.dataset.chart]);
  drawGateways(now);
  drawRedis(now);
  fill("rooms", addUp(of((stats) => stats.room_members)).map(([room, members]) => [room, number(members)]));
  fill("closes", addUp(of((stats) => stats.closes)).map(([code, count]) => [code, number(count)]));
  fill("drops", Object.entries(t.drops).map(([name, label]) => [label, number(sum(of((stats) => (name === "foreign" ? sum(Object.values(stats.dropped_events)) : stats[name]))))]));
  const ready = now.every(({ stats }) => stats.ready === 1);
  if (now.length === 0) tell(t.failed, true); // only gateways of older versions answer
  else tell(ready ? t.ok(now.length) : t.notReady, !ready);
}

function tell(sentence, bad) {
  const state = document.getElementById("state");
  if (state.textContent !== sentence) state.textContent = sentence;
  state.classList.toggle("error", bad);
}

// --- Asking ---

let lease = Infinity; // in seconds

async function ask() {
  if (lease === Infinity) ({ lease } = await (await fetch("/api/about")).json());
  const answer = await fetch("/api/stats", { cache: "no-store" });
  if (answer.status === 403) throw new Error(t.refused);
  const stats = await answer.json();
  const header = answer.headers.get("Yukizuri-Gateway");
  if (header === null) return; // a gateway of an older version
  const name = decodeURIComponent(header);
  const at = performance.now();
  for (const [other, list] of answers) {
    while (list.length > 0 && list[0].at < at - KEPT_MS) list.shift();
    if (list.length === 0) answers.delete(other);
  }
  if (!answers.has(name)) answers.set(name, []);
  answers.get(name).push({ at, stats });
}

async function goOn() {
  try {
    await ask();
    drawAll();
  } catch (error) {
    tell(error.message === t.refused ? t.refused : t.failed, true);
  }
  setTimeout(goOn, EVERY_MS);
}

goOn();
