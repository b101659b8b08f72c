// A stand-in for a Sentinel that answers what a test wants: an old master for ever, an unknown name, an error, nothing.
import { once } from "node:events";
import net from "node:net";
import { atEnd } from "./endings.mjs";
import { parse } from "./resp.mjs";

const bulk = (word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`;
const array = (items) => `*${items.length}\r\n${items.join("")}`;

class SentinelStandIn {
  /** The master that it names, { host, port }; null: the name is unknown to it. */
  master;
  /** By which other Sentinels know it; null: it does not tell. */
  id = null;
  /** The other Sentinels of which it tells, { host, port, id }. */
  others = [];
  /** The commands so far, as arrays of words. */
  asked = [];
  /** The answer in RESP to each command of this name (in upper case), in the place of the usual one. */
  answers = {};
  /** Takes connections and answers nothing. */
  silent = false;
  #subscribers = new Set();
  #sockets = new Set();
  #server;

  constructor(master) {
    this.master = master;
  }

  async listen(t) {
    this.#server = net.createServer((socket) => this.#serve(socket));
    await once(this.#server.listen(0, "127.0.0.1"), "listening");
    this.port = this.#server.address().port;
    atEnd(t, () => (this.#server.close(), this.cut()));
    return this;
  }

  #serve(socket) {
    let rest = Buffer.alloc(0);
    this.#sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => (this.#sockets.delete(socket), this.#subscribers.delete(socket)));
    socket.on("data", (data) => {
      rest = Buffer.concat([rest, data]);
      for (let item; rest.length > 0 && (item = parse(rest, 0)); rest = rest.subarray(item[1])) this.#answer(socket, item[0]);
    });
  }

  #answer(socket, words) {
    this.asked.push(words);
    if (!this.silent) socket.write(this.answers[words[0].toUpperCase()] ?? this.#usual(socket, words));
  }

  #usual(socket, [command, second = "", ...more]) {
    switch (`${command} ${command.toUpperCase() === "SENTINEL" ? second : ""}`.trim().toUpperCase()) {
      case "AUTH":
      case "CLIENT":
        return "+OK\r\n";
      case "PING":
        return this.#subscribers.has(socket) ? array([bulk("pong"), bulk("")]) : "+PONG\r\n";
      case "ROLE":
        return array([bulk("sentinel"), array([bulk(more[0] ?? "yukizuri")])]);
      case "SENTINEL GET-MASTER-ADDR-BY-NAME":
        return this.master === null ? "*-1\r\n" : array([bulk(this.master.host), bulk(String(this.master.port))]);
      case "SENTINEL MYID":
        return this.id === null ? "-NOPERM it is a secret\r\n" : bulk(this.id);
      case "SENTINEL SENTINELS":
        return array(this.others.map(({ host, port, id }) => array(["name", id, "ip", host, "port", String(port), "runid", id].map(bulk))));
      case "SENTINEL REPLICAS":
        return array([]);
      case "SUBSCRIBE":
        this.#subscribers.add(socket);
        return [second, ...more].map((channel, i) => array([bulk("subscribe"), bulk(channel), `:${i + 1}\r\n`])).join("");
      case "UNSUBSCRIBE":
        this.#subscribers.delete(socket);
        return array([bulk("unsubscribe"), bulk(second), ":0\r\n"]);
      default:
        return `-ERR unknown command '${command}'\r\n`;
    }
  }

  /** How often it was asked this of a Sentinel, in upper case. */
  timesAsked(question) {
    return this.asked.filter(([, second = ""]) => second.toUpperCase() === question).length;
  }

  /** The number of connections that have subscribed. */
  get subscribers() {
    return this.#subscribers.size;
  }

  /** Tells all subscribers that the master moved from one port to another, true or not. */
  announce(name, from, to) {
    this.#publish("+switch-master", `${name} 127.0.0.1 ${from} 127.0.0.1 ${to}`);
  }

  /** Tells all subscribers that a replica is about to be promoted. */
  promise(name, from) {
    this.#publish("+failover-state-send-slaveof-noone", `slave 127.0.0.1:1 127.0.0.1 1 @ ${name} 127.0.0.1 ${from}`);
  }

  #publish(channel, text) {
    const message = array([bulk("message"), bulk(channel), bulk(text)]);
    for (const socket of this.#subscribers) socket.write(message);
  }

  /** Closes all connections. */
  cut() {
    for (const socket of this.#sockets) socket.destroy();
  }
}

/** Starts one on a free port that names the port `masterPort`, or no master (null). */
export function startSentinelStandIn(t, masterPort) {
  return new SentinelStandIn(masterPort === null ? null : { host: "127.0.0.1", port: masterPort }).listen(t);
}
