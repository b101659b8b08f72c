// Clients that send too much, and clients that read too little.
import { until } from "./until.mjs";

/** Ways to send too much. */
export const FLOODS = {
  "lines": (member) => member.send({ type: "say", text: "hello" }),
  "JSON pings": (member) => member.send({ type: "ping" }),
  "typing": (member) => member.send({ type: "typing" }),
  "rubbish": (member) => member.send("rubbish"),
  "unknown types": (member) => member.send({ type: "teleport" }),
  "lists": (member) => member.send({ type: "members" }),
  "joins": (member) => member.send({ type: "join", name: "alice" }),
  "WebSocket pings": (member) => member.socket.ping("x"),
  "WebSocket pongs": (member) => member.socket.pong("x"),
};

/** Sends as fast as possible until the connection is closed. Returns the close code. */
export async function floodUntilClosed(member, send) {
  await until("it is closed", async () => {
    for (let i = 0; i < 50 && member.socket.readyState === 1; i++) send(member);
    return member.closed;
  });
  return member.closed.code;
}

export const LINE = "x".repeat(2000);

/** Says `atOnce` lines at a time until a member that does not read is too slow. Returns their number. */
export async function talkUntilSlow(gateway, talker, atOnce = 50) {
  let said = 0;
  let stats = await gateway.stats();
  const before = stats.slow_readers;
  await until(() => `the lazy one is too slow after ${said} lines: ${JSON.stringify(stats)}`, async () => {
    for (let i = 0; i < atOnce; i++) talker.send({ type: "say", text: LINE, nonce: `n${said++}` });
    await until("they are acknowledged", () => talker.find({ type: "ack", nonce: `n${said - 1}` }));
    stats = await gateway.stats();
    return stats.slow_readers === before + 1;
  }, 60000);
  return said;
}
