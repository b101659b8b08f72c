// Starts real programs on free ports and stops them by pid. Integration, browser and chaos tests import this file; bench imports
// single files, so that it needs no package.
import { topology } from "./topology-choice.mjs";

export { atEnd, onStage } from "./endings.mjs";
export { binary, filesBelow, shortDirectory, temporaryDirectory, top } from "./files.mjs";
export { Gateway, startGateway } from "./gateway.mjs";
export { answers, asked, connect, get, isReady, question, rawExchange, rawText, readyz, untilReady } from "./http.mjs";
export { counts, metric, metrics, ofKind, parseLog, untilLogged } from "./logs.mjs";
export { Member, MovingMember, joined, joinedFrom, memberThatIsIn } from "./member.mjs";
export { startNginx } from "./nginx.mjs";
export { freePort, freePortPair, untilOpen } from "./ports.mjs";
export { Process, childrenOf, descriptorsOf, isRunning, processes } from "./process.mjs";
export { UPGRADE, keepBytes, maskedFrame, rawWebSocket } from "./raw-websocket.mjs";
export { Redis, redisPassword, startRedis, startReplica } from "./redis.mjs";
export { topology, unfit } from "./topology-choice.mjs";
export { lapse, pause, stopwatch, until } from "./until.mjs";
export { giveToGateway, runAsGateway } from "./user.mjs";

// A topology outlasts a test, so it must be known outside of all tests that it ends with the file.
if (topology !== null) await import("./topologies.mjs");
