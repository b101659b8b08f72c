// Ways to Redis that a test can lead elsewhere, hold up, slow down or spoil.
import { once } from "node:events";
import net from "node:net";
import { atEnd } from "./endings.mjs";

/** Accepts on a free port; `join(near, far)` is called with each connection and the one to the target, which `target()` names. */
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

/** An address that leads to `target`, a port that may be changed: connections that are there stay where they are, until `cut`. */
export async function startAddress(t, target, host = "127.0.0.1") {
  const address = { target };
  const join = (near, far) => (near.pipe(far).pipe(near), endTogether(near, far));
  Object.assign(address, await listen(t, () => address.target, join, host));
  address.url = `redis://${host}:${address.port}`;
  return address;
}

/** A way that can be held up: what is sent meanwhile comes later, also of a connection that was closed, as from a socket's
 *  buffer. Answers are held up apart, only those to commands, and of connections that are there. */
export async function startHeldPath(t, redis) {
  const late = [];
  let held = false;
  let answersHeld = false;
  const asked = []; // since answers are held up
  const pass = (deliver) => (held ? late.push(deliver) : deliver());
  const { port } = await listen(t, () => redis.port, (near, far) => {
    let talks = !answersHeld; // a command's connection
    near.on("data", (bytes) => {
      talks &&= !bytes.includes("SUBSCRIBE");
      if (answersHeld && talks) asked.push(bytes);
      pass(() => far.write(bytes));
    });
    near.on("close", () => pass(() => far.end()));
    const answer = (bytes) => near.destroyed || near.write(bytes);
    far.on("data", (bytes) => (answersHeld && talks ? late.push(() => answer(bytes)) : answer(bytes)));
    far.on("close", () => near.destroy());
  });
  return {
    url: redis.urlAt("127.0.0.1", port),
    hold: () => (held = true),
    holdAnswers: () => (answersHeld = true),
    wasAsked: (word) => asked.some((bytes) => bytes.includes(word)),
    release() {
      held = answersHeld = false;
      for (const deliver of late.splice(0)) deliver();
    },
  };
}

/** A way on which everything takes `path.ms` in each direction. */
export async function startSlowPath(t, redis) {
  const path = { ms: 0 };
  const { port } = await listen(t, () => redis.port, (near, far) => {
    for (const [from, to] of [[near, far], [far, near]]) from.on("data", (data) => setTimeout(() => to.writable && to.write(data), path.ms));
    endTogether(near, far);
  });
  path.url = redis.urlAt("127.0.0.1", port);
  return path;
}

/** A way on which something else can be put before the next answer (`spoil`), or in each answer in a word's place (`change`). */
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
