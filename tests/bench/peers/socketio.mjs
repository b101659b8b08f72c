// Socket.IO with its Redis adapter, WebSocket alone.
//
//   node socketio.mjs PORT REDIS-SOCKET
import { createServer } from "node:http";
import { createAdapter } from "@socket.io/redis-adapter";
import Redis from "ioredis";
import { Server } from "socket.io";

const [port, socket] = process.argv.slice(2);
const server = createServer();
const subscriber = new Redis(socket);
await new Promise((done) => subscriber.once("ready", done));
const io = new Server(server, {
  transports: ["websocket"],
  perMessageDeflate: false,
  adapter: createAdapter(new Redis(socket), subscriber),
});
io.on("connection", (client) => {
  const { room } = client.handshake.query;
  client.join(room);
  client.on("say", (text) => io.to(room).emit("say", text));
});
server.listen({ port: Number(port), host: "127.0.0.1", backlog: 4096 });
