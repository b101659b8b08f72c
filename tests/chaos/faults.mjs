// The injection and the end of each kind of fault. Each is a function of its target. It returns
// when the fault is over and everything that it stopped runs again.
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { pause } from "../lib/harness.mjs";

const COMMAND_MS = 2000;

/** Lasts `ms`, or until the run is over. */
const last = ({ ms, over }) => Promise.race([pause(ms), over]);

async function restartGateway(fault, signal) {
  const { system, gateway } = fault;
  const old = gateway.process;
  if (!old.running) system.ends.push({ gateway: gateway.number, ...(await old.ended) }); // by itself
  if (signal === "SIGKILL") await old.stop(signal);
  else system.ends.push({ gateway: gateway.number, ...(await old.stop(signal)) });
  await last(fault);
  gateway.process = await system.startGateway(gateway, { newId: fault.ms % 2 === 0 });
}

async function replaceGateway(fault) {
  const { system, gateway } = fault;
  const old = gateway.process;
  gateway.process = await system.startGateway(gateway, { newId: true });
  await last(fault);
  system.ends.push({ gateway: gateway.number, ...(await old.stop("SIGTERM")) });
}

async function freeze(fault, process) {
  process.signal("SIGSTOP");
  await last(fault);
  process.signal("SIGCONT");
}

async function stall(fault, path) {
  fault.system.paths.stall(path);
  await last(fault);
  fault.system.paths.heal(path);
}

/** Never blocks this thread: Redis may be frozen, and only this thread will thaw it. */
async function run(fault, ...command) {
  try {
    await promisify(execFile)("redis-cli", ["-p", String(fault.system.redis.port), ...command], { timeout: COMMAND_MS });
  } catch {
    fault.missed = true; // Redis is frozen or gone by another fault
  }
}

async function noMemory(fault) {
  await run(fault, "CONFIG", "SET", "maxmemory", "1");
  await last(fault);
  do {
    fault.missed = false;
    await run(fault, "CONFIG", "SET", "maxmemory", "0");
  } while (fault.missed);
}

async function deafen(fault) {
  const { socket } = fault.member;
  socket?.pause();
  await last(fault);
  socket?.resume();
}

export const actions = {
  "kill -9 a gateway": (fault) => restartGateway(fault, "SIGKILL"),
  "drain a gateway (SIGTERM)": (fault) => restartGateway(fault, "SIGTERM"),
  "replace a gateway (new beside old)": replaceGateway,
  "freeze a gateway": (fault) => freeze(fault, fault.gateway.process),
  "freeze Redis": (fault) => freeze(fault, fault.system.redis),
  "restart Redis empty": (fault) => fault.system.restartRedisEmpty(() => last(fault)),
  "restore-older": (fault) => fault.system.restoreOlder(fault, () => last(fault)),
  "failover-behind": (fault) => fault.system.failOverBehind(fault, () => last(fault)),
  "no memory left in Redis": noMemory,
  "CLIENT PAUSE": (fault) => run(fault, "CLIENT", "PAUSE", String(fault.ms), "ALL").then(() => last(fault)),
  "CLIENT KILL pubsub": (fault) => run(fault, "CLIENT", "KILL", "TYPE", "pubsub"),
  "CLIENT KILL normal": (fault) => run(fault, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"),
  "SCRIPT FLUSH": (fault) => run(fault, "SCRIPT", "FLUSH"),
  "stall gateway to Redis": (fault) => stall(fault, fault.gateway.toRedis),
  "stall nginx to gateway": (fault) => stall(fault, fault.gateway.fromNginx),
  "stall a member's path": (fault) => stall(fault, { address: fault.member.address }),
  "cut a member's socket": async (fault) => fault.member.socket?.terminate(),
  "a member stops reading": deafen,
};
