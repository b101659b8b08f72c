// A connection to Redis in its protocol (RESP2). It can have thousands of commands in flight,
// which redis-cli cannot. Words and replies are strings of bytes (latin1). An error reply is a value,
// so that a pipeline continues after it.
import { once } from "node:events";
import net from "node:net";

export class RespError {
  constructor(text) {
    this.text = text;
  }
}

/** The reply, or the command, that begins at `at`, as [value, end]; null if it is incomplete. */
export function parse(bytes, at) {
  const line = bytes.indexOf("\r\n", at, "latin1");
  if (line < 0) return null;
  const text = bytes.latin1Slice(at + 1, line);
  const next = line + 2;
  switch (bytes[at]) {
    case 0x2b: // +
      return [text, next];
    case 0x2d: // -
      return [new RespError(text), next];
    case 0x3a: // :
      return [Number(text), next];
    case 0x24: // $
      return parseString(bytes, Number(text), next);
    default: // *
      return parseArray(bytes, Number(text), next);
  }
}

function parseString(bytes, length, at) {
  if (length < 0) return [null, at];
  return bytes.length < at + length + 2 ? null : [bytes.latin1Slice(at, at + length), at + length + 2];
}

function parseArray(bytes, length, at) {
  if (length < 0) return [null, at];
  const values = [];
  for (let i = 0; i < length; i++) {
    const item = parse(bytes, at);
    if (item === null) return null;
    values.push(item[0]);
    at = item[1];
  }
  return [values, at];
}

export class Resp {
  #waiting = [];
  #rest = Buffer.alloc(0);
  #socket;
  /** Called with (channel, message) for each publication on a subscribed pattern. */
  onMessage = null;

  static async connect(port) {
    const resp = new Resp();
    resp.#socket = net.connect(port, "127.0.0.1");
    resp.#socket.setNoDelay();
    resp.#socket.on("data", (data) => resp.#take(data));
    await once(resp.#socket, "connect");
    return resp;
  }

  #take(data) {
    const bytes = Buffer.concat([this.#rest, data]);
    let at = 0;
    for (let item; at < bytes.length && (item = parse(bytes, at)); at = item[1]) this.#give(item[0]);
    this.#rest = bytes.subarray(at);
  }

  #give(reply) {
    if (this.onMessage && Array.isArray(reply) && reply[0] === "pmessage") this.onMessage(reply[2], reply[3]);
    else this.#waiting.shift()(reply);
  }

  call(...words) {
    const text = words.map((word) => `$${String(word).length}\r\n${word}\r\n`).join("");
    this.#socket.write(`*${words.length}\r\n${text}`, "latin1");
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  close() {
    this.#socket.destroy();
  }
}
