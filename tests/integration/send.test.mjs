// --send: the two ways of writing to sockets give the same results.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import test from "node:test";
import { binary, joined, startGateway, startRedis, until } from "../lib/harness.mjs";

const uringIsHere = spawnSync(binary, ["--send", "uring", "--addr", "192.0.2.1:9", "--redis", "redis://127.0.0.1:1"], { encoding: "utf8", timeout: 10000 }).stderr.includes("cannot listen");

for (const way of ["writev", "uring", "auto"]) {
  test(`with --send ${way} every member gets every message in order, beside one that does not read and one that vanishes`, { timeout: 120000, skip: way === "uring" && !uringIsHere && "this kernel has no io_uring" }, async (t) => {
    const redis = await startRedis(t);
    const gateway = await startGateway(t, { redis, args: ["--rate", "0", "--backlog", "65536", "--send", way] });
    const members = await Promise.all(Array.from({ length: 80 }, (_, i) => joined(t, gateway.url, `m${i}`)));
    const lazy = await joined(t, gateway.url, "lazy");
    const gone = await joined(t, gateway.url, "gone");
    lazy.socket.pause();
    const text = "x".repeat(2000);
    let said = 0;
    await until("the lazy one is closed", async () => {
      for (let i = 0; i < 100; i++) members[said % 80].send({ type: "say", text, nonce: `n${said++}` });
      if (said === 300) gone.socket.terminate();
      await until("they are there", () => members.every((member) => member.messages().length === said));
      return (await gateway.stats()).slow_readers === 1;
    }, 60000);
    const order = members[0].messages().map(({ seq }) => seq);
    assert.equal(new Set(order).size, said);
    for (const member of members) assert.deepEqual(member.messages().map(({ seq }) => seq), order);
    lazy.socket.resume();
    assert.equal((await lazy.waitClosed()).code, 4408);
    const got = lazy.messages().map(({ seq }) => seq);
    assert.deepEqual(got, order.slice(0, got.length), "what it got is the beginning, without a hole");
  });
}

test("--send with an unknown value gives one clear line", () => {
  const { status, stderr } = spawnSync(binary, ["--send", "pigeon"], { encoding: "utf8" });
  assert.deepEqual([status, stderr], [2, 'yukizuri: --send: "pigeon" is none of auto|writev|uring\n']);
});
