// A Redis cluster: masters and their replicas, with the shipped configuration. A test can move slots, fail over, and break it.
import assert from "node:assert/strict";
import { freePort, freePortPair } from "./ports.mjs";
import { Redis } from "./redis.mjs";
import { Servers, urlOf } from "./servers.mjs";
import { stopwatch, until } from "./until.mjs";

export const SLOTS = 16384;

/** CRC16 as the specification of Redis Cluster defines it (XMODEM). */
function crc16(bytes) {
  let crc = 0;
  for (const byte of bytes) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = ((crc << 1) ^ (crc & 0x8000 ? 0x1021 : 0)) & 0xffff;
  }
  return crc;
}

/** The slot of a key: that of its hash tag, if it has one. */
function slotOf(key) {
  const tag = /^[^{]*\{([^}]+)\}/.exec(key)?.[1];
  return crc16(Buffer.from(tag ?? key)) % SLOTS;
}

class ClusterNode extends Redis {
  portOfNodes = this.port; // where other nodes and gateways connect

  /** The cluster as this node sees it: [{ id, port, me, master, epoch, of (the id of its master), slots: [[first, last]] }]; empty without an answer. */
  view() {
    const lines = (this.tryToRun("CLUSTER", "NODES") ?? "").split("\n").filter((line) => line !== "");
    return lines.map((line) => {
      const [id, address, flags, of, , , epoch, , ...slots] = line.split(" ");
      const flag = (name) => flags.split(",").includes(name);
      const ranges = slots.filter((slot) => !slot.startsWith("[")).map((range) => range.split("-").map(Number));
      return { id, port: Number(/:(\d+)@/.exec(address)[1]), me: flag("myself"), master: flag("master"), epoch: Number(epoch), of, slots: ranges.map(([first, last = first]) => [first, last]) };
    });
  }

  /** This node, as it sees itself; undefined without an answer. */
  self() {
    return this.view().find(({ me }) => me);
  }

  get isMaster() {
    return this.self()?.master === true;
  }

  state() {
    return /cluster_state:(\w+)/.exec(this.tryToRun("CLUSTER", "INFO") ?? "")?.[1];
  }

  /** As `run`, for a command that answers OK. */
  demand(...words) {
    assert.equal(this.run(...words), "OK", words.join(" "));
  }
}

const has = (each, slot) => each.slots.some(([first, last]) => first <= slot && slot <= last);

class Cluster extends Servers {
  #tlsPorts = new Map(); // port → port with TLS

  constructor(t, { masters, replicas, nodeTimeout, settings, certificate }) {
    super(t, settings);
    Object.assign(this, { masters, replicas, nodeTimeout, certificate });
  }

  /** In the order of their start: the first masters, then the first replicas. */
  get nodes() {
    return this.servers;
  }

  async begin() {
    const count = this.masters * (1 + this.replicas);
    for (let i = 0; i < count; i++) {
      const port = await freePortPair();
      if (this.certificate !== null) this.#tlsPorts.set(port, await freePort());
      this.nodes.push(this.#startNode(port));
    }
    await this.untilUp();
    for (const node of this.nodes) node.id = node.run("CLUSTER", "MYID");
    this.#giveSlots();
    this.#introduce();
    await until("the nodes know each other", () => this.nodes.every((node) => node.view().filter(({ port }) => this.at(port)?.id).length === count && node.view().every(({ id, port }) => this.at(port)?.id === id)));
    this.nodes.slice(this.masters).forEach((node, i) => node.demand("CLUSTER", "REPLICATE", this.nodes[i % this.masters].id));
    await this.settled();
    return this;
  }

  #startNode(port) {
    const lines = ["cluster-enabled yes", `cluster-port ${port + 1}`, `cluster-node-timeout ${this.nodeTimeout}`, ...this.#tlsLines(port)];
    const node = this.startServer(port, lines, ClusterNode);
    node.portOfNodes = this.#tlsPorts.get(port) ?? port;
    return node;
  }

  /** All but the tests talk to it with TLS. */
  #tlsLines(port) {
    if (this.certificate === null) return [];
    const { cert, key } = this.certificate;
    return [`tls-port ${this.#tlsPorts.get(port)}`, "tls-cluster yes", "tls-replication yes", "tls-auth-clients no", `tls-cert-file ${cert}`, `tls-key-file ${key}`, `tls-ca-cert-file ${cert}`];
  }

  /** Gives each master its part of the slots and an epoch of its own. */
  #giveSlots() {
    this.nodes.forEach((node, i) => node.demand("CLUSTER", "SET-CONFIG-EPOCH", String(i + 1)));
    const from = (i) => Math.floor((i * SLOTS) / this.masters);
    this.nodes.slice(0, this.masters).forEach((node, i) => node.demand("CLUSTER", "ADDSLOTSRANGE", String(from(i)), String(from(i + 1) - 1)));
  }

  /** Tells each node of all that started earlier, which is faster than to wait until word spreads. */
  #introduce() {
    this.nodes.forEach((node, i) => {
      const meet = this.nodes.slice(0, i).map(({ port, portOfNodes }) => `CLUSTER MEET 127.0.0.1 ${portOfNodes} ${port + 1}`);
      if (i > 0) node.runTogether(meet);
    });
  }

  /** Waits until all nodes that answer see the same masters with the same slots, all slots are served, and each replica has everything. */
  async settled() {
    const served = (node) => node.view().flatMap(({ id, slots }) => slots.map(([first, last]) => `${String(first).padStart(5, "0")}-${last} ${id}`)).sort().join();
    await until(() => `the cluster is of one mind: ${this.awake().map((node) => `${node.state()} ${served(node)}`).join("\n")}`, () =>
      this.awake().every((node) => node.state() === "ok") && new Set(this.awake().map(served)).size === 1);
    const replicas = this.awake().filter((node) => !node.isMaster);
    await until("the replicas are linked", () => replicas.every((replica) => replica.lines("ROLE")[3] === "connected"));
    for (const master of this.awake().filter((node) => node.isMaster)) {
      const count = replicas.filter((replica) => replica.self().of === master.id).length;
      await this.replicated(master, count);
    }
  }

  slotOf(key) {
    return slotOf(key);
  }

  /** The node that serves a slot: of those that think so themselves, the one with the newest claim. */
  masterOfSlot(slot) {
    const claims = this.awake().map((node) => ({ node, ...node.self() })).filter((each) => each.master && has(each, slot));
    return claims.sort((a, b) => b.epoch - a.epoch)[0]?.node;
  }

  masterOf(key) {
    return this.masterOfSlot(slotOf(key));
  }

  /** The nodes that are masters, by their own word, and serve slots. */
  currentMasters() {
    return this.awake().filter((node) => {
      const self = node.self();
      return self?.master && self.slots.length > 0;
    });
  }

  /** The replicas of a node that answer. */
  replicasOf(master) {
    return this.awake().filter((node) => {
      const self = node.self();
      return self !== undefined && !self.master && self.of === master.id;
    });
  }

  /** Moves a slot to a node as `redis-cli --cluster reshard` does, `keysAtOnce` keys at a time. Waits for `opened()` when the slot is on its way and no
   *  key has moved, `betweenKeys(moved)` after each step, and `moved()` when all keys have moved and the old node still has the slot. */
  async move(slot, to, { keysAtOnce = 10, opened = () => {}, betweenKeys = () => {}, moved = () => {} } = {}) {
    const from = this.masterOfSlot(slot);
    to.demand("CLUSTER", "SETSLOT", String(slot), "IMPORTING", from.id);
    from.demand("CLUSTER", "SETSLOT", String(slot), "MIGRATING", to.id);
    await opened();
    let count = 0;
    for (;;) {
      const keys = from.lines("CLUSTER", "GETKEYSINSLOT", String(slot), String(keysAtOnce));
      if (keys.length === 0) break;
      const said = from.run("MIGRATE", "127.0.0.1", String(to.portOfNodes), "", "0", "5000", "KEYS", ...keys);
      assert.match(said, /^(OK|NOKEY)$/); // NOKEY: it expired meanwhile
      await betweenKeys((count += keys.length));
    }
    await moved();
    const others = this.currentMasters().filter((node) => node !== to && node !== from);
    for (const node of [to, from, ...others]) node.demand("CLUSTER", "SETSLOT", String(slot), "NODE", to.id);
    return count;
  }

  /** Makes a replica the master of its slots; `how` is "FORCE" or "TAKEOVER" if the old master is not to agree. Waits until the replica
   *  is one; `settled` waits for the rest. Redis gives up after five seconds, as when it gets too few votes: then it is asked again. */
  async failover(replica, how) {
    let since = null;
    await until("the replica is a master", () => {
      if (replica.isMaster) return true;
      if (since === null || since() > 6) {
        replica.demand("CLUSTER", "FAILOVER", ...(how === undefined ? [] : [how]));
        since = stopwatch();
      }
      return false;
    });
  }

  /** Waits until a node other than `old` serves the slot, and returns it. */
  replaced(old, slot) {
    return until("another node serves the slot", () => {
      const now = this.masterOfSlot(slot);
      return now !== old && now;
    });
  }

  /** Starts a killed node again, empty, under its old id. Returns the new process, which takes its place in `nodes`. */
  restart(dead) {
    return this.replace(dead, Object.assign(this.#startNode(dead.port), { id: dead.id }));
  }

  /** Takes this slot from its master and from what others know, so that every node answers CLUSTERDOWN. Returns a function that gives it back. */
  async takeDown(slot) {
    const owner = this.masterOfSlot(slot);
    const others = this.awake().filter((node) => node !== owner);
    owner.demand("CLUSTER", "DELSLOTS", String(slot));
    const isDown = (node) => {
      if (node.state() === "fail") return true;
      node.tryToRun("CLUSTER", "DELSLOTS", String(slot)); // a message on its way may have told it of the owner again
      return false;
    };
    await until("all are down", () => [owner, ...others].map(isDown).every(Boolean));
    return async () => {
      owner.demand("CLUSTER", "ADDSLOTS", String(slot));
      await this.settled();
    };
  }

  /** The URL for gateways, by way of these ports as seeds. */
  urlThrough(ports) {
    return urlOf(this.certificate === null ? "redis-cluster" : "rediss-cluster", ports);
  }

  get url() {
    return this.urlThrough(this.nodes.slice(0, this.masters).map(({ portOfNodes }) => portOfNodes));
  }
}

/** Starts a cluster with `replicas` replicas of each master, and waits until all slots are served and all nodes agree. `settings`: more lines of every
 *  node's configuration. `certificate`: of every node, for TLS between nodes and with gateways (certificate.mjs). */
export async function startCluster(t, { masters = 3, replicas = 1, nodeTimeout = 1500, settings = [], certificate = null } = {}) {
  return new Cluster(t, { masters, replicas, nodeTimeout, settings, certificate }).begin();
}
