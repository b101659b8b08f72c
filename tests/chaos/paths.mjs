// Network paths that can be stalled. As with an unplugged cable, nothing arrives, and no error is reported.
//
// In a network namespace of its own, nftables drops every packet of an address. Each gateway reaches
// Redis, and nginx reaches each gateway, over an address of that path alone. Without the permissions for this,
// a proxy that stops passing bytes simulates it.
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import net from "node:net";

const nft = (...words) => execFileSync("nft", words.join(" ").split(" "), { stdio: ["ignore", "ignore", "pipe"] });

export class DroppedPackets {
  kind = "nftables drops the packets";

  constructor() {
    nft("add table ip chaos");
    nft("add set ip chaos stalled { type ipv4_addr; }");
    nft("add chain ip chaos out { type filter hook output priority 0; }");
    nft("add rule ip chaos out ip saddr @stalled drop");
    nft("add rule ip chaos out ip daddr @stalled drop");
  }

  /** The path to the listener on `port` of all 127.0.0.x, over an address of its own. */
  async open(address, port) {
    return { address, port };
  }

  stall({ address }) {
    nft(`add element ip chaos stalled { ${address} }`);
  }

  heal({ address }) {
    nft(`delete element ip chaos stalled { ${address} }`);
  }

  close() {
    nft("delete table ip chaos");
  }
}

export class Proxies {
  kind = "proxies that stop passing bytes";
  #servers = [];
  #sockets = new Set();

  async open(address, port) {
    const path = { address: "127.0.0.1", stalled: false, pairs: new Set(), orphans: [] };
    const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true }, (near) => this.#join(path, near, port));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    this.#servers.push(server);
    path.port = server.address().port;
    return path;
  }

  #join(path, near, port) {
    const far = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    const pair = { near, far };
    path.pairs.add(pair);
    for (const [from, to] of [[near, far], [far, near]]) {
      this.#sockets.add(from);
      from.on("data", (data) => to.write(data) || from.pause());
      to.on("drain", () => path.stalled || from.resume());
      from.on("end", () => to.end());
      from.on("error", () => to.destroy());
      from.on("close", () => {
        this.#sockets.delete(from);
        path.pairs.delete(pair);
        if (path.stalled) path.orphans.push(to); // its end is not visible yet
        else to.destroy();
      });
    }
    if (path.stalled) far.pause();
    else near.resume();
  }

  stall(path) {
    path.stalled = true;
    for (const { near, far } of path.pairs) near.pause(), far.pause();
  }

  heal(path) {
    path.stalled = false;
    for (const socket of path.orphans.splice(0)) socket.destroy();
    for (const { near, far } of path.pairs) near.resume(), far.resume();
  }

  close() {
    for (const server of this.#servers) server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}
