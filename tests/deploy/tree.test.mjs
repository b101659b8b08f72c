// The trees in which the other tests of this directory run.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import net from "node:net";
import path from "node:path";
import { test } from "node:test";
import { atEnd, isRunning, top, until } from "../lib/harness.mjs";
import { Network, Tree, whyNoTree } from "./lib/tree.mjs";

const skip = await whyNoTree();

test("a tree boots without failed units, has a name and a loopback device, and no network", { skip }, async (t) => {
  const tree = await Tree.start(t, { hostname: "chat" });
  assert.equal((await tree.demand(["systemctl", "is-system-running"])).trim(), "running");
  assert.equal((await tree.demand(["hostname"])).trim(), "chat");
  assert.deepEqual(JSON.parse(await tree.demand(["ip", "-json", "link"])).map(({ ifname, flags }) => [ifname, flags.includes("UP")]), [["lo", true]]);
  assert.equal((await tree.run(["test", "-e", "/usr/sbin/policy-rc.d"])).status, 1);
  assert.equal(await tree.demand(["cat"], { input: "what it reads" }), "what it reads");
  assert.equal((await tree.run(["sh", "-c", "exit 7"])).status, 7);
});

test("a package of the archive is installed without a network, and its service starts", { skip }, async (t) => {
  const tree = await Tree.start(t, { archive: ["redis-server"] });
  assert.equal((await tree.run(["redis-cli", "ping"])).status, 127);
  await tree.demand(["apt-get", "install", "-y", "redis-server"]);
  await tree.until(["redis-cli", "ping"]);
  const socket = net.connect(await tree.pathTo(t, 6379));
  socket.write("PING\r\n");
  assert.equal(String((await once(socket, "data"))[0]), "+PONG\r\n");
  socket.destroy();
});

test("trees in one network reach each other and are reached", { skip }, async (t) => {
  const network = await Network.start(t);
  const [one, two] = await Promise.all(["192.0.2.11", "192.0.2.12"].map((address, i) => Tree.start(t, { network, address, hostname: `host-${i + 1}` })));
  one.write("/run/page@.service", "[Service]\nExecStart=/bin/sed -u /^\\r$/q\nStandardInput=socket\n");
  one.write("/run/page.socket", "[Socket]\nListenStream=192.0.2.11:7\nAccept=yes\n");
  await one.demand(["systemctl", "link", "/run/page@.service", "/run/page.socket"]);
  await one.demand(["systemctl", "start", "page.socket"]);
  const ask = ["curl", "-s", "-m", "10", "--http0.9", "http://192.0.2.11:7/"]; // it says what it is asked
  assert.match(await two.demand(ask), /^GET/);
  assert.match(await network.demand(ask), /^GET/);
});

for (const signal of ["SIGTERM", "SIGKILL"]) {
  test(`a tree ends with its script: ${signal}`, { skip }, async (t) => {
    const script = path.join(top, "tests/deploy/lib/tree.sh");
    const holder = spawn(script, ["hold"], { stdio: ["pipe", "pipe", "inherit"] });
    atEnd(t, () => holder.kill("SIGTERM"));
    const [line] = await once(holder.stdout, "data");
    const [pid] = String(line).trim().split(" ");
    const groups = ["systemd", "unified", "."].map((hierarchy) => `/sys/fs/cgroup/${hierarchy}/yukizuri-tree-${holder.pid}`);
    holder.kill(signal);
    await until("its first process has ended", () => !isRunning(Number(pid)));
    if (signal === "SIGKILL") await (await Tree.start(t)).demand(["true"]); // the next one removes what the killed one left
    await until("nothing of it is left", () => !groups.some((group) => fs.existsSync(group)));
  });
}
