// fluentd's configuration: a reader of its grammar, and a check against the parameters that its plugins have.
//
// The parameters are those of fluentd 1.16 and later (https://docs.fluentd.org: configuration/config-file, parse-section, buffer-section, inject-section;
// input/tail, input/monitor_agent; filter/grep; output/relabel, output/file, output/secondary_file; parser/ltsv) and of fluent-plugin-bigquery 3
// (its README, and out_bigquery_base.rb and out_bigquery_insert.rb). fluentd only warns about a parameter that it does not know, and ignores it.
import fs from "node:fs";
import path from "node:path";

class Element {
  parameters = new Map();
  children = [];

  constructor(name, argument, where) {
    Object.assign(this, { name, argument, where });
  }

  get type() {
    return this.parameters.get("@type");
  }

  get(name) {
    return this.parameters.get(name);
  }

  /** The elements of this name directly in it. */
  all(name) {
    return this.children.filter((child) => child.name === name);
  }

  one(name) {
    return this.all(name)[0];
  }
}

/** Reads a file, and the files that it includes. */
export function readFluentd(file, root = new Element("", "", file)) {
  const open = [root];
  for (const [i, raw] of fs.readFileSync(file, "utf8").split("\n").entries()) {
    const line = raw.trim();
    const where = `${path.basename(file)}:${i + 1}`;
    const inside = open.at(-1);
    if (line === "" || line.startsWith("#")) continue;
    const begin = /^<(\w+)(?:\s+(\S[^>]*))?>$/.exec(line);
    const end = /^<\/(\w+)>$/.exec(line);
    const parameter = /^(@?\w+)(?:\s+(.*))?$/.exec(line);
    if (begin) {
      const element = new Element(begin[1], begin[2] ?? "", where);
      inside.children.push(element);
      open.push(element);
    } else if (end) {
      if (open.length === 1 || inside.name !== end[1]) throw new Error(`${where}: </${end[1]}> ends nothing`);
      open.pop();
    } else if (!parameter) throw new Error(`${where}: not of fluentd's grammar: ${line}`);
    else if (parameter[1] === "@include") readFluentd(path.resolve(path.dirname(file), parameter[2]), inside);
    else if (inside.parameters.has(parameter[1])) throw new Error(`${where}: ${parameter[1]} is given twice`);
    else inside.parameters.set(parameter[1], parameter[2] ?? "");
  }
  if (open.length > 1) throw new Error(`${open.at(-1).where}: <${open.at(-1).name}> does not end`);
  return root;
}

const string = /./;
const bool = /^(true|false)$/;
const integer = /^\d+$/;
const time = /^\d+(\.\d+)?[smhd]?$/;
const size = /^\d+[kmgt]?$/i;
const oneOf = (...words) => new RegExp(`^(${words.join("|")})$`);

const formats = { time_type: oneOf("float", "unixtime", "string"), time_format: string, localtime: bool, utc: bool, timezone: string };
const anyPlugin = { "@type": string, "@id": /^\w+$/, "@log_level": oneOf("fatal", "error", "warn", "info", "debug", "trace"), "@label": /^@[A-Z]\w*$/ };
const inject = { hostname_key: string, hostname: string, worker_id_key: string, tag_key: string, time_key: string, ...formats };
const buffer = {
  "@type": oneOf("file", "memory"),
  path: string,
  timekey: time,
  timekey_wait: time,
  timekey_use_utc: bool,
  timekey_zone: string,
  chunk_limit_size: size,
  chunk_limit_records: integer,
  total_limit_size: size,
  queued_chunks_limit_size: integer,
  chunk_full_threshold: string,
  compress: oneOf("text", "gzip"),
  flush_at_shutdown: bool,
  flush_mode: oneOf("default", "lazy", "interval", "immediate"),
  flush_interval: time,
  flush_thread_count: integer,
  flush_thread_interval: time,
  flush_thread_burst_interval: time,
  delayed_commit_timeout: time,
  overflow_action: oneOf("throw_exception", "block", "drop_oldest_chunk"),
  retry_timeout: time,
  retry_forever: bool,
  retry_max_times: integer,
  retry_secondary_threshold: string,
  retry_type: oneOf("exponential_backoff", "periodic"),
  retry_wait: time,
  retry_exponential_backoff_base: string,
  retry_max_interval: time,
  retry_randomize: bool,
  disable_chunk_backup: bool,
};
const ltsv = {
  types: /^\w+:(string|bool|integer|float)(,\w+:(string|bool|integer|float))*$/,
  time_key: string,
  keep_time_key: bool,
  estimate_current_event: bool,
  null_value_pattern: string,
  null_empty_string: bool,
  timeout: time,
  delimiter: string,
  delimiter_pattern: string,
  label_delimiter: string,
  ...formats,
};
const tail = {
  tag: string,
  path: string,
  exclude_path: string,
  path_key: string,
  pos_file: string,
  pos_file_compaction_interval: time,
  read_from_head: bool,
  refresh_interval: time,
  rotate_wait: time,
  follow_inodes: bool,
  encoding: string,
  from_encoding: string,
  max_line_size: size,
  emit_unmatched_lines: bool,
  enable_watch_timer: bool,
  open_on_every_update: bool,
  ignore_repeated_permission_error: bool,
};
const file = {
  path: string,
  append: bool,
  add_path_suffix: bool,
  path_suffix: string,
  compress: oneOf("text", "gz", "gzip"),
  recompress: bool,
  symlink_path: string,
};
const bigquery = {
  auth_method: oneOf("private_key", "json_key", "compute_engine", "application_default"),
  json_key: string,
  location: string,
  project: string,
  dataset: string,
  table: string,
  auto_create_table: bool,
  ignore_unknown_values: bool,
  skip_invalid_rows: bool,
  schema_path: string,
  insert_id_field: string,
  add_insert_timestamp: string,
  allow_retry_insert_errors: bool,
  template_suffix: string,
  request_timeout_sec: time,
  request_open_timeout_sec: time,
  time_partitioning_type: oneOf("hour", "day"),
  time_partitioning_field: string,
  time_partitioning_expiration: time,
  require_partition_filter: bool,
};

/** section:type → { its parameters, the required ones, the sections in it }. */
const plugins = {
  "source:tail": { own: tail, required: ["tag", "path", "pos_file"], inside: ["parse"] },
  "source:monitor_agent": { own: { bind: string, port: integer, tag: string, emit_interval: time, include_config: bool, include_retry: bool } },
  "parse:ltsv": { own: ltsv },
  "filter:grep": { own: {}, inside: ["exclude", "regexp"] },
  "match:relabel": { own: {}, required: ["@label"] },
  "match:file": { own: file, required: ["path"], inside: ["format", "inject", "buffer", "secondary"] },
  "match:bigquery_insert": { own: bigquery, required: ["project", "dataset", "table"], inside: ["inject", "buffer", "secondary"] },
  "format:json": { own: { add_newline: bool } },
  "secondary:secondary_file": { own: { directory: string, basename: string, append: bool, compress: oneOf("text", "gzip") }, required: ["directory"] },
};
/** Sections without a type of their own. */
const rule = { own: { key: string, pattern: /^\/.*\/$/ }, required: ["key", "pattern"] };
const sections = { exclude: rule, regexp: rule, inject: { own: inject }, buffer: { own: buffer } };

function checkElement(element, allowed, complaints) {
  const { name, type, where } = element;
  if (!allowed.includes(name)) return complaints.push(`${where}: <${name}> has no place here`);
  const plugin = sections[name] ?? plugins[`${name}:${type}`];
  if (!plugin) return complaints.push(`${where}: <${name}> has an unknown @type ${type}`);
  const known = sections[name] ? plugin.own : { ...anyPlugin, ...plugin.own };
  for (const [parameter, value] of element.parameters) {
    if (!Object.hasOwn(known, parameter)) complaints.push(`${where}: ${type ?? name} has no parameter ${parameter}`);
    else if (!known[parameter].test(value)) complaints.push(`${where}: ${parameter} cannot be ${value}`);
  }
  for (const parameter of plugin.required ?? []) if (!element.parameters.has(parameter)) complaints.push(`${where}: ${type ?? name} needs ${parameter}`);
  for (const child of element.children) checkElement(child, plugin.inside ?? [], complaints);
}

/** What is wrong in a configuration, as sentences. */
export function complaintsAbout(root) {
  const complaints = [...root.parameters.keys()].map((name) => `${name} is outside of every section`);
  for (const child of root.children) {
    if (child.name !== "label") checkElement(child, ["source", "filter", "match"], complaints);
    else for (const grandchild of child.children) checkElement(grandchild, ["filter", "match"], complaints);
  }
  const labels = new Set(root.all("label").map(({ argument }) => argument));
  const everything = [...root.children, ...root.all("label").flatMap(({ children }) => children)];
  for (const element of everything) if (element.get("@label") && !labels.has(element.get("@label"))) complaints.push(`${element.where}: there is no label ${element.get("@label")}`);
  const ids = everything.map((element) => element.get("@id")).filter(Boolean);
  if (new Set(ids).size < ids.length) complaints.push(`an @id is used twice: ${ids}`);
  for (const element of everything) checkPlaceholders(element, complaints);
  return complaints;
}

/** What is named by the day needs chunks of a day. */
function checkPlaceholders(element, complaints) {
  const named = element.get("table") ?? (element.type === "file" ? element.get("path") : undefined);
  if (named === undefined || !named.includes("%")) return;
  const chunks = element.one("buffer");
  if (!chunks || !chunks.argument.split(",").includes("time") || chunks.get("timekey") !== "1d") complaints.push(`${element.where}: ${named} needs <buffer time> with timekey 1d`);
}

const matches = (pattern, tag) => new RegExp(`^${pattern.replaceAll(".", "\\.").replaceAll("**", ".+").replace(/(?<!\.)\*/g, "[^.]+")}$`).test(tag);

/** The <filter>s and the <match> through which the events of a source go. */
export function routeOf(root, source) {
  const tag = source.get("tag");
  const filters = [];
  let place = source.get("@label");
  for (let hops = 0; hops < 5; hops++) {
    const inside = place === undefined ? root : root.all("label").find(({ argument }) => argument === place);
    const fitting = inside.children.filter(({ name, argument }) => ["filter", "match"].includes(name) && argument.split(/\s+/).some((pattern) => matches(pattern, tag)));
    const end = fitting.findIndex(({ name }) => name === "match");
    if (end < 0) throw new Error(`nothing takes the events of ${tag} in ${place}`);
    filters.push(...fitting.slice(0, end));
    if (fitting[end].type !== "relabel") return { filters, match: fitting[end] };
    place = fitting[end].get("@label");
  }
  throw new Error(`the events of ${tag} go in a circle`);
}
