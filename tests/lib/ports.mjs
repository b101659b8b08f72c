// Free ports, and waiting for listeners.
import { once } from "node:events";
import net from "node:net";
import { until } from "./until.mjs";

/** A port that was free at the time of the call. */
export async function freePort(host = "127.0.0.1") {
  const server = net.createServer();
  server.listen(0, host);
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

const isFree = (port) =>
  new Promise((done) => {
    const server = net.createServer();
    server.once("error", () => done(false));
    server.listen(port, "127.0.0.1", () => server.close(() => done(true)));
  });

let lastPair = 21000 + Math.floor(Math.random() * 4000) * 2;

/** A free port whose successor is free too. Both are below the range that the kernel assigns to clients, of which there may be thousands. */
export async function freePortPair() {
  do lastPair += 2;
  while (!(await isFree(lastPair)) || !(await isFree(lastPair + 1)));
  return lastPair;
}

const isOpen = (where) =>
  new Promise((done) => {
    const socket = net.connect(where, () => done(true) || socket.destroy());
    socket.on("error", () => done(false));
  });

/** `where` as net.connect takes it. */
export const untilOpen = (where) => until(`somebody listens at ${JSON.stringify(where)}`, () => isOpen(where));
