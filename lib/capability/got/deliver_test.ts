import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import fc from "fast-check";
import { tarGz, zip } from "./archives_for_tests.ts";
import { deliver } from "./deliver.ts";
import { BYTES_MAX_DEFAULT, type GotInput } from "./shapes.ts";
import { cutBody, type Ground, isError, testGround } from "./ground_for_tests.ts";

const OPTIONS = { backoffMs: 1 };

function get(ground: Ground, input: Partial<GotInput> & { readonly url: string }, signal?: AbortSignal) {
  return deliver({ maxBytes: BYTES_MAX_DEFAULT, ...input }, ground.context(signal), OPTIONS);
}

function sha256(content: string | Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}

Deno.test("a file arrives under its name, with its mode, and a last line says so", async () => {
  await using ground = await testGround();
  const base = ground.serve(() => new Response("hello"));
  const got = await get(ground, { url: `${base}/tool?token=secret`, mode: "750" });
  assert.deepEqual(got, { path: "tool", bytes: 5, sha256: sha256("hello"), cached: false });
  assert.equal(await Deno.readTextFile(`${ground.dir}/tool`), "hello");
  if (Deno.build.os !== "windows") assert.equal(((await Deno.stat(`${ground.dir}/tool`)).mode ?? 0) & 0o7777, 0o750);
  assert.match(ground.logs.at(-1) ?? "", /^got http:\/\/127\.0\.0\.1:\d+\/tool\?… -> tool, 5 bytes in \d+\.\d s$/);
  assert(!ground.logs.join().includes("secret"));
  await get(ground, { url: base, output: "deep/er/x" });
  assert.deepEqual(await ground.files(), ["deep", "deep/er", "deep/er/x", "tool"]);
});

Deno.test("what is there with the wanted sha256 is not downloaded again, and what differs is replaced", async () => {
  await using ground = await testGround();
  let requests = 0;
  const base = ground.serve(() => {
    requests++;
    return new Response("new");
  });
  await Deno.writeTextFile(`${ground.dir}/file`, "old");
  const input = { url: `${base}/file`, sha256: sha256("new"), mode: "700" };
  assert.equal((await get(ground, input)).cached, false);
  if (Deno.build.os !== "windows") await Deno.chmod(`${ground.dir}/file`, 0o600);
  const again = await get(ground, input);
  assert.deepEqual(again, { path: "file", bytes: 3, sha256: sha256("new"), cached: true });
  assert.equal(requests, 1);
  assert.match(ground.logs.at(-1) ?? "", /was there already/);
  if (Deno.build.os !== "windows") assert.equal(((await Deno.stat(`${ground.dir}/file`)).mode ?? 0) & 0o777, 0o700);
});

Deno.test("after a failure nothing is left behind, and what was there is untouched", async () => {
  await using ground = await testGround();
  const bytes = new Uint8Array(50_000);
  const lostHalfway = () => new Response(cutBody(bytes.slice(0, 20_000)), { headers: { "content-length": "50000" } });
  const answers: Record<string, () => Response> = {
    "/whole": () => new Response(bytes),
    "/missing": () => new Response(null, { status: 404 }),
    "/lost": lostHalfway,
  };
  const base = ground.serve((request) =>
    answers[new URL(request.url).pathname]?.() ?? new Response(null, { status: 500 })
  );
  await Deno.writeTextFile(`${ground.dir}/kept`, "kept");
  const failures = [
    { input: { url: `${base}/whole`, sha256: "0".repeat(64) }, code: "invalid" },
    { input: { url: `${base}/whole`, maxBytes: 49_999 }, code: "exhausted" },
    { input: { url: `${base}/whole`, extract: true }, code: "invalid" },
    { input: { url: `${base}/missing` }, code: "not_found" },
    { input: { url: `${base}/lost` }, code: "unavailable" },
    { input: { url: `${base}/broken` }, code: "unavailable" },
    { input: { url: "http://169.254.169.254/latest" }, code: "forbidden" },
    { input: { url: `${base}/whole`, extract: true, mode: "755" }, code: "invalid" },
  ] as const;
  for (const { input, code } of failures) {
    await assert.rejects(get(ground, { ...input, output: "new/er/x" }), isError(code), input.url);
    if (!("extract" in input)) {
      await assert.rejects(get(ground, { ...input, output: "kept" }), isError(code), input.url);
    }
    assert.deepEqual(await ground.files(), ["kept"], input.url);
  }
  assert.equal(await Deno.readTextFile(`${ground.dir}/kept`), "kept");
});

Deno.test("cancelling in the middle of a download leaves nothing", async () => {
  await using ground = await testGround();
  const abort = new AbortController();
  const reason = new Error("enough");
  const never = Promise.withResolvers<void>();
  const seen: string[][] = [];
  const base = ground.serve(() => {
    const body = new ReadableStream({
      start: (controller) => controller.enqueue(new Uint8Array(1000)),
      async pull() {
        seen.push(await ground.files());
        abort.abort(reason);
        return await never.promise;
      },
    });
    return new Response(body);
  });
  await assert.rejects(get(ground, { url: `${base}/x`, output: "a/x" }, abort.signal), reason);
  assert.match(seen[0]?.[1] ?? "", /^a\/\.x\.[0-9A-Z]{26}\.part$/, "it is written beside its place");
  assert.deepEqual(await ground.files(), []);
  never.resolve();
});

Deno.test("whatever the output, nothing appears but at that path under the folder", async () => {
  await using ground = await testGround();
  const base = ground.serve(() => new Response("x"));
  if (Deno.build.os !== "windows") await Deno.symlink(ground.outside, `${ground.dir}/out`);
  const part = fc.constantFrom("..", ".", "", "out", "a", "b.txt", "/", "\\", "C:", "NUL", "\0", "~");
  const output = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/"));
  await fc.assert(
    fc.asyncProperty(output, async (output) => {
      const before = await ground.files();
      try {
        const { path } = await get(ground, { url: base, output });
        assert.equal(path, output);
        assert.equal(await Deno.readTextFile(`${ground.dir}/${output}`), "x");
      } catch (error) {
        assert(
          error instanceof Error && "code" in error && (error.code === "invalid" || error.code === "conflict"),
          `${error}`,
        );
        assert.deepEqual(await ground.files(), before);
      }
      assert.deepEqual([...Deno.readDirSync(ground.outside)], []);
    }),
    { numRuns: 100 },
  );
});

Deno.test("two downloads at once to one output leave one of them, whole", async () => {
  await using ground = await testGround();
  const both = Promise.withResolvers<void>();
  let arrived = 0;
  const base = ground.serve(async (request) => {
    if (++arrived === 2) both.resolve();
    await both.promise;
    return new Response(new URL(request.url).pathname.slice(1).repeat(10_000));
  });
  const got = await Promise.all(["a", "b"].map((name) => get(ground, { url: `${base}/${name}`, output: "x" })));
  assert.deepEqual(await ground.files(), ["x"]);
  assert(got.some(({ sha256: hash }) => hash === sha256(Deno.readFileSync(`${ground.dir}/x`))));
});

Deno.test("an archive becomes a folder, in the place of none or of an empty one", async () => {
  await using ground = await testGround();
  const archives = {
    "/tool.tar.gz": await tarGz([{ name: "bin/run", content: "#!", mode: 0o755 }, { name: "doc/" }]),
    "/tool.zip": await zip([{ name: "bin/run", content: "#!" }, { name: "doc/" }]),
  };
  for (const [path, archive] of Object.entries(archives)) {
    const base = ground.serve(() => new Response(archive));
    await Deno.mkdir(`${ground.dir}/empty`);
    for (const output of [undefined, "empty"]) {
      const got = await get(ground, {
        url: base + path,
        extract: true,
        sha256: sha256(archive),
        ...(output === undefined ? {} : { output }),
      });
      assert.deepEqual(got, {
        path: output ?? "tool",
        bytes: archive.length,
        sha256: sha256(archive),
        cached: false,
        entries: 2,
      });
    }
    assert.deepEqual(
      await ground.files(),
      "empty empty/bin empty/bin/run empty/doc tool tool/bin tool/bin/run tool/doc".split(" "),
    );
    for (const name of ["empty", "tool"]) await Deno.remove(`${ground.dir}/${name}`, { recursive: true });
  }
});

Deno.test("an archive that is refused halfway leaves nothing", async () => {
  await using ground = await testGround();
  const bad = await tarGz([{ name: "good", content: "x" }, { name: "../evil", content: "x" }]);
  const url = ground.serve(() => new Response(bad));
  await assert.rejects(get(ground, { url, output: "a/b", extract: true }), isError("invalid", /evil/));
  assert.deepEqual(await ground.files(), []);
});

Deno.test("of two archives at once in one folder one comes and the other is a conflict", async () => {
  await using ground = await testGround();
  const archive = await tarGz([{ name: "file", content: "x" }]);
  const both = Promise.withResolvers<void>();
  let arrived = 0;
  const url = ground.serve(async () => {
    if (++arrived === 2) both.resolve();
    await both.promise;
    return new Response(archive);
  });
  const outcomes = await Promise.allSettled([1, 2].map(() => get(ground, { url, output: "x", extract: true })));
  const failed = outcomes.filter(({ status }) => status === "rejected");
  assert.equal(failed.length, 1);
  assert.throws(() => {
    if (failed[0]?.status === "rejected") throw failed[0].reason;
  }, isError("conflict"));
  assert.deepEqual(await ground.files(), ["x", "x/file"]);
});

Deno.test("what is there and is not of the same kind is a conflict before anything is asked for", async () => {
  await using ground = await testGround();
  let requests = 0;
  const url = ground.serve(() => {
    requests++;
    return new Response("x");
  });
  await Deno.mkdir(`${ground.dir}/folder`);
  await Deno.writeTextFile(`${ground.dir}/folder/file`, "kept");
  await assert.rejects(get(ground, { url, output: "folder" }), isError("conflict"));
  await assert.rejects(get(ground, { url, output: "folder", extract: true }), isError("conflict", /not empty/));
  await assert.rejects(get(ground, { url, output: "folder/file", extract: true }), isError("conflict"));
  if (Deno.build.os !== "windows") {
    await Deno.symlink(`${ground.outside}/target`, `${ground.dir}/link`);
    await assert.rejects(get(ground, { url, output: "link" }), isError("conflict"));
  }
  assert.equal(requests, 0);
  assert.equal(await Deno.readTextFile(`${ground.dir}/folder/file`), "kept");
});
