import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { parse } from "../../protocol/parse.ts";
import { newCommandId } from "../../protocol/id.ts";
import { createHost, type Host } from "../host.ts";
import { tarGz } from "./archives_for_tests.ts";
import got from "./got.ts";
import { BYTES_MAX_DEFAULT, BYTES_MAX_LIMIT } from "./shapes.ts";
import { type Ground, isError, testGround } from "./ground_for_tests.ts";
import { selfSigned } from "./self_signed_for_tests.ts";

const download = got.verbs["download"];
assert(download !== undefined);

function hostOf(ground: Ground): Host {
  const { node } = ground.context();
  return createHost({ factsFor: () => node, protectedPids: () => [Deno.pid] });
}

/** Runs the verb as a node does: in a Worker that has the permissions of the definition and no others. */
async function inWorker(host: Host, input: Record<string, unknown>) {
  return await host.invoke({
    capability: got,
    verb: "download",
    input: parse(download!.input, input, "input"),
    command: newCommandId(),
    signal: new AbortController().signal,
    output: () => Promise.resolve(),
  });
}

function sha256Of(content: string | Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}

Deno.test("the input is checked at the door", () => {
  const accepted = {
    url: "http://h/x",
    sha256: "AB".repeat(32),
    mode: "755",
    extract: false,
    maxBytes: BYTES_MAX_LIMIT,
  };
  assert.deepEqual(parse(download.input, accepted, "input"), { ...accepted, sha256: "ab".repeat(32) });
  assert.deepEqual(parse(download.input, { url: "u" }, "input"), { url: "u", maxBytes: BYTES_MAX_DEFAULT });
  const refused = [
    {},
    { url: "" },
    { url: "u", output: "" },
    { url: "u", sha256: "abc" },
    { url: "u", mode: "4755" },
    { url: "u", mode: "rwx" },
    { url: "u", maxBytes: 0 },
    { url: "u", maxBytes: BYTES_MAX_LIMIT + 1 },
    { url: "u", other: 1 },
  ];
  for (const input of refused) assert.throws(() => parse(download.input, input, "input"), isError("invalid"));
});

Deno.test("a Worker with the permissions of the definition downloads, finds what is there, and extracts", async () => {
  await using ground = await testGround();
  await using host = hostOf(ground);
  const archive = await tarGz([{ name: "bin/run", content: "#!", mode: 0o755 }]);
  const base = ground.serve((request) => new Response(request.url.endsWith("gz") ? archive : "hello"));
  const sha256 = sha256Of("hello");
  for (const cached of [false, true]) {
    const outcome = await inWorker(host, { url: `${base}/a/file`, output: "new/file", sha256, mode: "600" });
    assert.deepEqual(outcome, { data: { path: "new/file", bytes: 5, sha256, cached } });
  }
  assert.deepEqual(await inWorker(host, { url: `${base}/tool.tar.gz`, extract: true }), {
    data: { path: "tool", bytes: archive.length, sha256: sha256Of(archive), cached: false, entries: 1 },
  });
  assert.deepEqual(await ground.files(), ["new", "new/file", "tool", "tool/bin", "tool/bin/run"]);
});

Deno.test("in the Worker too a certificate is checked, a metadata address refused, and nothing left", async () => {
  await using ground = await testGround();
  await using host = hostOf(ground);
  const { cert, key } = await selfSigned();
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, cert, key, onListen: () => {} },
    () => new Response("x"),
  );
  const untrusted = await inWorker(host, { url: `https://localhost:${server.addr.port}/x` });
  assert.equal(untrusted.error?.code, "forbidden");
  assert.match(untrusted.error?.message ?? "", /certificate/);
  assert.equal((await inWorker(host, { url: "http://2852039166/x" })).error?.code, "forbidden");
  assert.deepEqual(await ground.files(), []);
});
