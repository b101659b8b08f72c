// The manifests in deploy/kubernetes, as kubectl prints them: their types, and the rules that a cluster would enforce too late.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import test, { before } from "node:test";
import { fileURLToPath } from "node:url";
import YAML from "yaml";
import { binary, get, startGateway, startRedis, temporaryDirectory, top, until, Process, freePort } from "../lib/harness.mjs";

const kubectl = process.env.KUBECTL ?? "kubectl";
const render = path.join(top, "deploy/redis/render.sh");
const password = "a password of the cluster";
let objects = [];
let files; // the copied folder

/** A copy with secrets, made as docs/operations.md says. */
function copyWithSecrets(t) {
  files = path.join(temporaryDirectory(t), "kubernetes");
  fs.cpSync(path.join(top, "deploy/kubernetes"), files, { recursive: true });
  const secrets = path.join(files, "overlays/example/secrets");
  fs.writeFileSync(path.join(secrets, "password"), `${password}\n`);
  fs.writeFileSync(path.join(secrets, "admin"), "another password\n");
  const printed = execFileSync(render, ["--password-file", path.join(secrets, "password"), "--admin-password-file", path.join(secrets, "admin")], { encoding: "utf8" });
  fs.writeFileSync(path.join(secrets, "users.conf"), printed.split("\n").filter((line) => line.startsWith("user ")).join("\n") + "\n");
  return printed;
}

const of = (kind, name) => objects.find((object) => object.kind === kind && (!name || object.metadata.name === name));
const gateway = () => of("Deployment", "yukizuri").spec.template.spec;
const container = () => gateway().containers[0];
const settings = () => objects.find(({ kind, metadata }) => kind === "ConfigMap" && metadata.name.startsWith("yukizuri-settings")).data;
const seconds = (name) => Number(settings()[name]);

let printed;
before((t) => {
  printed = copyWithSecrets(t);
  const rendered = execFileSync(kubectl, ["kustomize", path.join(files, "overlays/example")], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  objects = YAML.parseAllDocuments(rendered).map((document) => document.toJS());
});

test("every object has the fields of its type and no others", { timeout: 300000 }, (t) => {
  const directory = fs.mkdtempSync(path.join(top, "tests/deploy/types-")); // where the packages are found
  t.after(() => fs.rmSync(directory, { recursive: true }));
  const source = objects.map((object, i) => {
    const group = object.apiVersion;
    return `import type { I${object.kind} as T${i} } from "kubernetes-models/${group}/${object.kind}";\nexport const o${i}: T${i} = ${JSON.stringify(object, null, 1)};`;
  });
  fs.writeFileSync(path.join(directory, "objects.ts"), source.join("\n"));
  const tsc = fileURLToPath(new URL("../node_modules/typescript/bin/tsc", import.meta.url));
  const check = () => spawnSync(process.execPath, [tsc, "--noEmit", "--strict", "--skipLibCheck", "--module", "nodenext", "--moduleResolution", "nodenext", path.join(directory, "objects.ts")], { encoding: "utf8" });
  const { status, stdout } = check();
  assert.equal(status, 0, stdout);
  fs.appendFileSync(path.join(directory, "objects.ts"), `\nimport type { IService as Wrong } from "kubernetes-models/v1/Service";\nexport const wrong: Wrong = { apiVersion: "v1", kind: "Service", spec: { prots: [] } };\n`);
  assert.match(check().stdout, /prots/, "a field that does not exist is found");
});

test("the base, the overlay and the names in them fit together", () => {
  assert.deepEqual(objects.map(({ kind }) => kind).sort(), ["ConfigMap", "ConfigMap", "Deployment", "Deployment", "HorizontalPodAutoscaler", "Ingress", "Namespace", "NetworkPolicy", "NetworkPolicy", "NetworkPolicy", "PodDisruptionBudget", "Secret", "Service", "Service"]);
  for (const { kind, metadata } of objects) if (kind !== "Namespace") assert.equal(metadata.namespace, "yukizuri", `${kind} ${metadata.name}`);
  for (const name of ["yukizuri", "redis"]) {
    const { template, selector } = of("Deployment", name).spec;
    for (const labels of [selector.matchLabels, of("Service", name).spec.selector, of("NetworkPolicy", name).spec.podSelector.matchLabels]) assert.deepEqual(labels, template.metadata.labels, name);
    const port = template.spec.containers[0].ports[0];
    assert.equal(of("Service", name).spec.ports[0].targetPort, port.name);
    assert.equal(of("NetworkPolicy", name).spec.ingress[0].ports[0].port, port.containerPort);
    for (const volume of template.spec.volumes) {
      const needed = volume.secret?.secretName ?? volume.configMap?.name;
      if (needed) assert.ok(objects.some(({ metadata }) => metadata.name === needed), `there is a ${needed}`);
      for (const { key } of volume.secret?.items ?? []) assert.ok(of("Secret").data[key], key);
    }
  }
  assert.deepEqual(of("PodDisruptionBudget").spec.selector, of("Deployment", "yukizuri").spec.selector);
  const { minReplicas, maxReplicas, scaleTargetRef } = of("HorizontalPodAutoscaler").spec;
  assert.deepEqual([scaleTargetRef.kind, scaleTargetRef.name], ["Deployment", "yukizuri"]);
  assert.ok(minReplicas >= 2 && maxReplicas > minReplicas && container().resources.requests.cpu, "there is another one while one drains");
  const route = of("Ingress").spec.rules[0];
  assert.equal(route.http.paths[0].backend.service.name, "yukizuri");
  assert.deepEqual(of("Ingress").spec.tls[0].hosts, [route.host]);
  assert.equal(settings().YUKIZURI_ORIGIN, `https://${route.host}`);
  const annotations = of("Deployment", "yukizuri").spec.template.metadata.annotations;
  assert.equal(annotations["prometheus.io/port"], String(container().ports[0].containerPort));
});

test("a pod has the time to drain, and a proxy waits longer than a ping", () => {
  const pause = Number(container().lifecycle.preStop.exec.command[1]);
  assert.ok(gateway().terminationGracePeriodSeconds > pause + seconds("YUKIZURI_DRAIN_DELAY") + seconds("YUKIZURI_DRAIN") + 6);
  const { maxUnavailable, maxSurge } = of("Deployment", "yukizuri").spec.strategy.rollingUpdate;
  assert.deepEqual([maxUnavailable, maxSurge], [0, 1]);
  for (const which of ["read", "send"]) assert.ok(Number(of("Ingress").metadata.annotations[`nginx.ingress.kubernetes.io/proxy-${which}-timeout`]) > 35);
  assert.match(of("Ingress").metadata.annotations["nginx.ingress.kubernetes.io/proxy-next-upstream"], /http_503/);
});

test("the settings are the program's, and the probes and the scrape ask what a gateway answers", async (t) => {
  const help = execFileSync(binary, ["--help=markdown"], { encoding: "utf8" });
  for (const name of [...Object.keys(settings()), ...container().env.map(({ name }) => name)]) assert.ok(help.includes(`\`${name}\``), name);
  assert.equal(gateway().enableServiceLinks, false, "or YUKIZURI_PORT is set");
  const directory = temporaryDirectory(t);
  fs.writeFileSync(path.join(directory, "password"), Buffer.from(of("Secret").data.password, "base64"));
  const redis = await startClusterRedis(t, directory);
  const env = { PATH: process.env.PATH, ...settings(), YUKIZURI_GATEWAY_ID: "yukizuri-0", YUKIZURI_ADDR: "", YUKIZURI_REDIS: settings().YUKIZURI_REDIS.replace("redis:6379", `127.0.0.1:${redis}`), YUKIZURI_REDIS_PASSWORD_FILE: path.join(directory, "password"), YUKIZURI_OPS_ALLOW: "127.0.0.1" };
  delete env.YUKIZURI_ADDR;
  const { origin } = await startGateway(t, { env });
  const { startupProbe, readinessProbe, livenessProbe } = container();
  const metrics = of("Deployment", "yukizuri").spec.template.metadata.annotations["prometheus.io/path"];
  for (const where of [startupProbe, readinessProbe, livenessProbe].map(({ httpGet }) => httpGet.path).concat(metrics)) assert.equal((await get(origin + where)).status, 200, where);
  assert.deepEqual([startupProbe, readinessProbe, livenessProbe].map(({ httpGet }) => httpGet.path), ["/healthz", "/readyz", "/healthz"]);
  assert.equal(settings().YUKIZURI_ADDR, `:${container().ports[0].containerPort}`);
  assert.equal(path.dirname(settings().YUKIZURI_REDIS_PASSWORD_FILE), container().volumeMounts[0].mountPath);
});

/** Redis with the files of the cluster, which a gateway with the settings of the cluster can use. Returns its port. */
async function startClusterRedis(t, directory) {
  const users = path.join(directory, "users.conf");
  fs.writeFileSync(users, Buffer.from(of("Secret").data["users.conf"], "base64"));
  const map = objects.find(({ kind, metadata }) => kind === "ConfigMap" && metadata.name.startsWith("redis-configuration"));
  const { template } = of("Deployment", "redis").spec;
  const mounts = template.spec.containers[0].volumeMounts.map(({ mountPath }) => mountPath);
  const include = /^include (.*)$/m.exec(map.data["redis.conf"])[1];
  assert.ok(mounts.includes(path.dirname(include)) && template.spec.containers[0].command[1] === path.join(mounts[0], "redis.conf"));
  fs.writeFileSync(path.join(directory, "redis.conf"), map.data["redis.conf"].replace(include, users));
  const port = await freePort();
  const redis = new Process(t, "redis-server", [path.join(directory, "redis.conf"), "--bind", "127.0.0.1", "--port", String(port), "--dir", directory]);
  await until(() => `Redis is up: ${redis.output}`, () => redis.output.includes("Ready to accept connections"));
  return port;
}

test("Redis has the shipped configuration, for a network", () => {
  const data = objects.find(({ kind, metadata }) => kind === "ConfigMap" && metadata.name.startsWith("redis-configuration")).data["redis.conf"];
  const lines = (text) => text.split("\n").filter((line) => line !== "" && !/^(#|user |bind |include )/.test(line));
  assert.deepEqual(lines(data), lines(printed));
  assert.match(data, /^bind \* -::\*$/m);
  const users = Buffer.from(of("Secret").data["users.conf"], "base64").toString();
  assert.deepEqual(users.trim().split("\n"), printed.split("\n").filter((line) => line.startsWith("user ")));
  assert.doesNotMatch(JSON.stringify(objects.filter(({ kind }) => kind !== "Secret")), new RegExp(password));
});

test("pods keep the restricted Pod Security Standard, on a read-only file system", () => {
  assert.equal(of("Namespace").metadata.labels["pod-security.kubernetes.io/enforce"], "restricted");
  for (const name of ["yukizuri", "redis"]) {
    const pod = of("Deployment", name).spec.template.spec;
    const { runAsNonRoot, runAsUser, seccompProfile } = pod.securityContext;
    assert.deepEqual([runAsNonRoot, runAsUser > 0, seccompProfile.type], [true, true, "RuntimeDefault"], name);
    assert.equal(pod.automountServiceAccountToken, false);
    for (const field of ["hostNetwork", "hostPID", "hostIPC"]) assert.equal(pod[field], undefined);
    for (const { hostPath } of pod.volumes) assert.equal(hostPath, undefined);
    for (const { securityContext, resources } of pod.containers) {
      const { allowPrivilegeEscalation, readOnlyRootFilesystem, capabilities, privileged } = securityContext;
      assert.deepEqual([allowPrivilegeEscalation, readOnlyRootFilesystem, capabilities, privileged], [false, true, { drop: ["ALL"] }, undefined], name);
      assert.ok(resources.limits.memory && resources.requests.memory, name);
    }
  }
  assert.deepEqual(of("NetworkPolicy", "nobody").spec, { podSelector: {}, policyTypes: ["Ingress", "Egress"] });
});
