// HTTP requests, both regular and malformed.
import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import { atEnd } from "./endings.mjs";
import { DEADLINE_MS, until } from "./until.mjs";

/** Sends a request and returns { status, headers, body }. */
export function get(url, { headers = {}, method = "GET", socketPath } = {}) {
  return new Promise((resolve, reject) => {
    const request = http.request(url, { method, headers, agent: false, socketPath, timeout: DEADLINE_MS }, (response) => {
      const parts = [];
      response.on("data", (part) => parts.push(part));
      response.on("end", () => {
        const raw = Buffer.concat(parts);
        resolve({ status: response.statusCode, headers: response.headers, body: raw.toString(), raw });
      });
    });
    request.on("error", reject);
    request.on("timeout", () => request.destroy(new Error("no answer in time")));
    request.end();
  });
}

const originOf = (where) => (typeof where === "number" ? `http://127.0.0.1:${where}` : where.origin);

/** The answer to /readyz of a gateway, or of the listener on a port. Without a listener it has no status. */
export const readyz = (where) => get(`${originOf(where)}/readyz`).catch(() => ({ status: undefined, body: "" }));

export const isReady = async (where) => (await readyz(where)).status === 200;

export const untilReady = (where, ms) => until(() => `it is ready${where.errors ? `: ${where.errors}` : ""}`, () => isReady(where), ms);

/** Sends bytes unchanged and returns everything that the peer sends until it closes. */
export async function rawExchange(port, bytes, { ms = DEADLINE_MS, stopAt } = {}) {
  const socket = net.connect(port, "127.0.0.1");
  const parts = [];
  const done = new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no end in ${ms} ms after ${Buffer.concat(parts)}`)), ms);
    const finish = () => {
      clearTimeout(timer);
      resolve(Buffer.concat(parts));
    };
    socket.on("data", (part) => {
      parts.push(part);
      if (stopAt && Buffer.concat(parts).includes(stopAt)) finish();
    });
    socket.on("close", finish);
    socket.on("error", () => {});
  });
  socket.write(bytes);
  try {
    return await done;
  } finally {
    socket.destroy();
  }
}

/** Sends text unchanged and returns the answer as text, byte for byte. */
export const rawText = async (gateway, text, options) => (await rawExchange(gateway.port, text, options)).toString("latin1");

/** A connection that stores everything it receives. */
export async function connect(t, port, host = "127.0.0.1") {
  const socket = net.connect(port, host);
  const client = { socket, received: "", ended: false };
  socket.on("data", (data) => (client.received += data));
  socket.on("error", (error) => (client.error = error));
  socket.on("end", () => (client.ended = true));
  socket.on("close", () => (client.ended = true));
  atEnd(t, () => socket.destroy());
  await once(socket, "connect");
  return client;
}

export const question = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
export const answers = (client) => client.received.split("HTTP/1.1 200 OK").length - 1;

/** A connection on which one request has been answered. */
export async function asked(t, port) {
  const client = await connect(t, port);
  client.socket.write(question);
  await until("an answer", () => answers(client) === 1);
  return client;
}
