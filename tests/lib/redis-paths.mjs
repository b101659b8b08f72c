// Paths to Redis that a test can redirect, stall, slow down or corrupt.
import { once } from "node:events";
import net from "node:net";
import { atEnd } from "./endings.mjs";

/** Listens on a free port. Calls `join(near, far)` with each accepted connection and one to the port that `target()` returns. */
async function listen(t, target, join, host = "127.0.0.1") {
  const sockets = new Set();
  const server = net.createServer((near) => {
    const far = net.connect(target(), "127.0.0.1");
    for (const [socket, other] of [[near, far], [far, near]]) {
      sockets.add(socket);
      socket.on("error", () => other.destroy());
      socket.on("close", () => sockets.delete(socket));
    }
    join(near, far);
  });
  await once(server.listen(0, host), "listening");
  const cut = () => sockets.forEach((socket) => socket.destroy());
  atEnd(t, () => (server.close(), cut()));
  return { port: server.address().port, cut };
}

const endTogether = (near, far) => {
  near.on("close", () => far.destroy());
  far.on("close", () => near.destroy());
};

/** A path to the port `target`, which may be changed. Existing connections stay with the old port until `cut`. */
export async function startAddress(t, target, host = "127.0.0.1") {
  const address = { target };
  const join = (near, far) => (near.pipe(far).pipe(near), endTogether(near, far));
  Object.assign(address, await listen(t, () => address.target, join, host));
  address.url = `redis://${host}:${address.port}`;
  return address;
}

/** A path that can be stalled. Data that is sent meanwhile arrives later, even if the connection was closed, as from a socket's
 *  buffer. Answers can be stalled separately: only answers to commands, and only of existing connections; `holdAnswersFrom` does so from the
 *  command on that matches. */
export async function startHeldPath(t, redis) {
  const late = [];
  let held = false;
  let answersHeld = false;
  let holdFrom = null;
  const asked = []; // since answers are held up
  const pass = (deliver) => (held ? late.push(deliver) : deliver());
  const { port } = await listen(t, () => redis.port, (near, far) => {
    let talks = !answersHeld; // a command's connection
    near.on("data", (bytes) => {
      talks &&= !bytes.includes("SUBSCRIBE");
      if (holdFrom?.test(bytes.toString("latin1"))) [answersHeld, holdFrom] = [true, null];
      if (answersHeld && talks) asked.push(bytes);
      pass(() => far.write(bytes));
    });
    near.on("close", () => pass(() => far.end()));
    const answer = (bytes) => near.destroyed || near.write(bytes);
    far.on("data", (bytes) => (answersHeld && talks ? late.push(() => answer(bytes)) : answer(bytes)));
    far.on("close", () => near.destroy());
  });
  return {
    port,
    url: redis.urlAt("127.0.0.1", port),
    hold: () => (held = true),
    holdAnswers: () => (answersHeld = true),
    holdAnswersFrom: (pattern) => (holdFrom = pattern),
    wasAsked: (word) => asked.some((bytes) => bytes.includes(word)),
    release() {
      held = answersHeld = false;
      for (const deliver of late.splice(0)) deliver();
    },
  };
}

/** A path with a delay of `path.ms` in each direction. */
export async function startSlowPath(t, redis) {
  const path = { ms: 0 };
  const { port } = await listen(t, () => redis.port, (near, far) => {
    for (const [from, to] of [[near, far], [far, near]]) from.on("data", (data) => setTimeout(() => to.writable && to.write(data), path.ms));
    endTogether(near, far);
  });
  path.url = redis.urlAt("127.0.0.1", port);
  return path;
}

/** A path that can insert bytes before the next answer (`spoil`), or replace a word in each answer (`change`). */
export async function startSpoiledPath(t, redis) {
  const path = { spoil: null, change: (bytes) => bytes };
  const { port } = await listen(t, () => redis.port, (near, far) => {
    near.on("data", (bytes) => far.write(bytes));
    far.on("data", (bytes) => {
      if (path.spoil !== null) near.write(path.spoil, "latin1");
      path.spoil = null;
      near.write(path.change(bytes));
    });
    endTogether(near, far);
  });
  path.url = redis.urlAt("127.0.0.1", port);
  return path;
}
