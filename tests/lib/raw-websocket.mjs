// A WebSocket at the level of bytes, for frames that no client library would send.
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { atEnd } from "./endings.mjs";

/** The request of RFC 6455 section 1.3. */
export const UPGRADE = "GET /room HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/** A socket after a successful handshake; it sends nothing by itself. */
export async function rawWebSocket(t, gateway, upgrade = UPGRADE) {
  const socket = net.connect(gateway.port, "127.0.0.1");
  atEnd(t, () => socket.destroy());
  socket.on("error", () => {});
  socket.write(upgrade);
  const [answer] = await once(socket, "data");
  assert.match(answer.toString("latin1"), /^HTTP\/1\.1 101 /);
  assert.match(answer.toString("latin1"), /Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=\r\n/);
  return socket;
}

/** A short frame of a client, masked with these bytes. */
export function maskedFrame(opcode, text, { fin = true, mask = [0, 0, 0, 0] } = {}) {
  const payload = Buffer.from(text);
  return Buffer.concat([Buffer.from([(fin ? 0x80 : 0) | opcode, 0x80 | payload.length, ...mask]), payload.map((byte, i) => byte ^ mask[i % 4])]);
}

/** Everything that a socket receives, as a growing list; `bytes()` returns it as one buffer. */
export function keepBytes(socket) {
  const parts = [];
  socket.on("data", (part) => parts.push(part));
  return () => Buffer.concat(parts);
}
