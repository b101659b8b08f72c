// ws and ioredis, combined as in a tutorial: every message of a client is published, and every
// publication is sent to each client.
//
//   node ws.mjs plain|shared PORT REDIS-SOCKET
//
// shared: a frame is encoded once, and all frames of an iteration go to a client in one write.
import { WebSocketServer } from "ws";
import Redis from "ioredis";

const [how, port, socket] = process.argv.slice(2);
const publisher = new Redis(socket);
const subscriber = new Redis(socket);
const rooms = new Map();
await new Promise((done) => subscriber.once("ready", done)); // its own check would meet the subscription

function frame(text) {
  const payload = Buffer.from(text);
  const head = payload.length < 126 ? Buffer.from([0x81, payload.length]) : Buffer.from([0x81, 126, payload.length >> 8, payload.length & 255]);
  return Buffer.concat([head, payload]);
}

let waiting = new Map();
function flush() {
  const iteration = waiting;
  waiting = new Map();
  for (const [room, frames] of iteration) {
    const bytes = Buffer.concat(frames);
    for (const client of rooms.get(room) ?? []) client._socket.write(bytes);
  }
}

subscriber.on("message", (room, text) => {
  if (how === "plain") {
    for (const client of rooms.get(room) ?? []) client.send(text);
    return;
  }
  if (waiting.size === 0) setImmediate(flush);
  if (!waiting.has(room)) waiting.set(room, []);
  waiting.get(room).push(frame(text));
});

const server = new WebSocketServer({ port: Number(port), host: "127.0.0.1", perMessageDeflate: false, backlog: 4096 });
server.on("connection", (client, request) => {
  const room = request.url;
  if (!rooms.has(room)) {
    rooms.set(room, new Set());
    subscriber.subscribe(room);
  }
  rooms.get(room).add(client);
  client.on("message", (data) => publisher.publish(room, data));
  client.on("close", () => rooms.get(room).delete(client));
  client.on("error", () => client.terminate());
});
