import assert from "node:assert/strict";
import { LISTED_MAX, readContainers, readImages, readInfo } from "./answers.ts";

Deno.test("readInfo reads docker and podman", () => {
  const docker = {
    ServerVersion: "28.2.2",
    OSType: "linux",
    Architecture: "aarch64",
    NCPU: 4,
    MemTotal: 8_000_000_000,
    Containers: 3,
    ContainersRunning: 1,
    Images: 9,
    Plugins: { Volume: ["local"] },
  };
  const told = { os: "linux", cpus: 4, memoryBytes: 8_000_000_000, containers: 3, running: 1, images: 9 };
  assert.deepEqual(readInfo(JSON.stringify(docker)), { client: "docker", version: "28.2.2", arch: "arm64", ...told });
  const podman = {
    host: { arch: "amd64", os: "linux", cpus: 4, memTotal: 8_000_000_000, hostname: "h" },
    store: { containerStore: { number: 3, paused: 0, running: 1, stopped: 2 }, imageStore: { number: 9 } },
    version: { APIVersion: "4.9.3", Version: "4.9.3" },
  };
  assert.deepEqual(readInfo(JSON.stringify(podman)), { client: "podman", version: "4.9.3", arch: "amd64", ...told });
});

Deno.test("readInfo refuses an answer that is none", () => {
  for (const text of ["", "{}", "[]", '{"ServerVersion":""}']) assert.throws(() => readInfo(text), { code: "invalid" });
});

Deno.test("readContainers reads docker's lines", () => {
  const line = {
    Command: '"nginx -g"',
    CreatedAt: "2026-01-27 00:26:22 +0100 CET",
    ID: "3f0c",
    Image: "nginx:1",
    Labels: "a=b",
    Names: "web",
    Ports: "0.0.0.0:80->80/tcp, [::]:80->80/tcp",
    State: "running",
    Status: "Up 2 hours",
  };
  const text = `${JSON.stringify(line)}\n${
    JSON.stringify({ ...line, ID: "4", Names: "old", Ports: "", State: "exited" })
  }\n`;
  const [first, second] = readContainers(text);
  assert.deepEqual(first, {
    id: "3f0c",
    name: "web",
    image: "nginx:1",
    state: "running",
    status: "Up 2 hours",
    ports: ["0.0.0.0:80->80/tcp", "[::]:80->80/tcp"],
    createdAt: "2026-01-26T23:26:22.000Z",
  });
  assert.deepEqual([second?.name, second?.ports, second?.state], ["old", [], "exited"]);
  assert.deepEqual(readContainers(""), []);
});

Deno.test("readContainers reads podman's list and lines", () => {
  const entry = {
    Command: ["nginx"],
    Created: 1_769_470_000,
    CreatedAt: "2 hours ago",
    Id: "3f0c",
    Image: "docker.io/library/nginx:1",
    Names: ["web"],
    Ports: [
      { host_ip: "", container_port: 80, host_port: 8080, range: 1, protocol: "tcp" },
      { host_ip: "127.0.0.1", container_port: 90, host_port: 90, range: 2, protocol: "udp" },
    ],
    State: "running",
    Status: "Up 2 hours",
  };
  const expected = {
    id: "3f0c",
    name: "web",
    image: "docker.io/library/nginx:1",
    state: "running",
    status: "Up 2 hours",
    ports: ["0.0.0.0:8080->80/tcp", "127.0.0.1:90-91->90-91/udp"],
    createdAt: "2026-01-26T23:26:40.000Z",
  };
  assert.deepEqual(readContainers(JSON.stringify([entry])), [expected]);
  assert.deepEqual(readContainers(JSON.stringify(entry)), [expected]);
  const bare = { ...entry, Ports: null, Created: "2026-01-26T23:26:40Z" };
  assert.deepEqual(readContainers(JSON.stringify([bare])), [{ ...expected, ports: [] }]);
  assert.deepEqual(readContainers("[]"), []);
});

Deno.test("readImages reads docker's sizes and podman's names", () => {
  const docker = { ID: "sha256:1", Repository: "alpine", Tag: "3.19", Size: "7.38MB", CreatedAt: "never" };
  assert.deepEqual(readImages(JSON.stringify(docker)), [
    { id: "sha256:1", name: "alpine", tag: "3.19", sizeBytes: 7_380_000 },
  ]);
  const untagged = { ...docker, Repository: "<none>", Tag: "<none>", Size: "0B" };
  assert.deepEqual(readImages(JSON.stringify(untagged)), [{ id: "sha256:1", sizeBytes: 0 }]);
  const podman = { Id: "1", Names: ["localhost:5000/a/b:c"], Size: 12, Created: 0 };
  assert.deepEqual(readImages(JSON.stringify([podman, { ...podman, Names: null }])), [
    { id: "1", name: "localhost:5000/a/b", tag: "c", sizeBytes: 12, createdAt: "1970-01-01T00:00:00.000Z" },
    { id: "1", sizeBytes: 12, createdAt: "1970-01-01T00:00:00.000Z" },
  ]);
  assert.throws(() => readImages(JSON.stringify({ ...docker, Size: "big" })), { code: "internal" });
});

Deno.test("Lists are cut at their bound", () => {
  const line = JSON.stringify({ ID: "1", Repository: "a", Tag: "b", Size: "1kB" });
  assert.equal(readImages(`${line}\n`.repeat(LISTED_MAX + 10)).length, LISTED_MAX);
});
