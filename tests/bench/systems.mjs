// The systems under test: how each is started on a port, and which dialect the load generator speaks to it.
import fs from "node:fs";
import path from "node:path";
import { top } from "../lib/files.mjs"; // not the whole harness: peers have their own packages
import { untilReady } from "../lib/http.mjs";
import { Process } from "../lib/process.mjs";

const built = (name) => path.join(top, "build/release", name);
const peer = (name) => path.join(top, "tests/bench/peers", name);

/** Starts a command on a core (taskset becomes the command). */
export const start = (t, core, command, args, options = {}) => new Process(t, "taskset", ["-c", String(core), command, ...args], { stdio: ["ignore", "ignore", "inherit"], ...options });

export const yukizuri = (send, command = built("yukizuri")) => ({
  dialect: "yukizuri",
  async start({ t, port, redis, core = 0 }) {
    const args = ["--addr", `127.0.0.1:${port}`, "--redis", `unix:${redis}`, "--rate", "0", "--drain", "0", "--send", send, "-logging=false"];
    const server = start(t, core, command, args);
    await untilReady(port);
    return server;
  },
});

const floor = (way) => ({
  dialect: "relay",
  start: ({ t, port }) => start(t, 0, built("floor"), [String(port), way]),
});

const node = (script, ...words) => ({
  start: ({ t, port, redis }) => start(t, 0, process.execPath, [peer(script), ...words, String(port), redis]),
});

/** nginx runs a master and a worker; the worker does the work. */
function startNchan({ t, port, redis, directory }) {
  const config = `
load_module /usr/lib/nginx/modules/ngx_nchan_module.so;
daemon off; master_process off; pid ${directory}/nginx.pid; error_log ${directory}/error.log error;
worker_rlimit_nofile 20000;
events { worker_connections 19900; }
http {
  access_log off; client_body_temp_path ${directory}; proxy_temp_path ${directory}; fastcgi_temp_path ${directory};
  uwsgi_temp_path ${directory}; scgi_temp_path ${directory}; nchan_shared_memory_size 512M;
  upstream redis { nchan_redis_server redis://127.0.0.1:${redis.port}; }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location ~ ^/room/(.+)$ { nchan_pubsub websocket; nchan_channel_id $1; nchan_redis_pass redis; nchan_message_buffer_length 100; nchan_message_timeout 120s; }
  }
}`;
  fs.writeFileSync(path.join(directory, "nchan.conf"), config);
  return start(t, 0, "/usr/sbin/nginx", ["-p", directory, "-e", path.join(directory, "error.log"), "-c", path.join(directory, "nchan.conf")]);
}

function startNats({ t, port, directory }) {
  fs.writeFileSync(path.join(directory, "nats.conf"), `listen: "127.0.0.1:${port + 1}"\nmax_connections: 65536\nwebsocket { listen: "127.0.0.1:${port}", no_tls: true }\n`);
  return start(t, 0, "nats-server", ["-c", path.join(directory, "nats.conf"), "-l", path.join(directory, "nats.log")], { env: { ...process.env, GOMAXPROCS: "1" } });
}

export const systems = {
  "floor: one send per delivery": floor("plain"),
  "floor: one writev per iteration": floor("writev"),
  "floor: io_uring, one per iteration": floor("uring"),
  "Yukizuri": yukizuri("auto"),
  "Yukizuri, --send writev": yukizuri("writev"),
  "nchan + Redis": { dialect: "relay", start: (context) => startNchan({ ...context, redis: { port: context.redisPort } }) },
  "Node ws + ioredis, shared frame": { dialect: "relay", ...node("ws.mjs", "shared") },
  "Node ws + ioredis": { dialect: "relay", ...node("ws.mjs", "plain") },
  "NATS WebSocket (no Redis)": { dialect: "nats", start: startNats },
  "Socket.IO + Redis adapter": { dialect: "socketio", ...node("socketio.mjs") },
};
