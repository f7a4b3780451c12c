import assert from "node:assert/strict";
import fc from "fast-check";
import { XtaskError } from "../protocol/error.ts";
import { inside } from "./inside.ts";

interface Place {
  readonly dir: string;
  readonly outside: string;
}

/** A node's folder `dir` beside a folder `outside`, with symlinks of every kind in it. */
async function withPlace(test: (place: Place) => Promise<void>): Promise<void> {
  const base = await Deno.realPath(await Deno.makeTempDir());
  const dir = `${base}/node`;
  const outside = `${base}/node-outside`;
  try {
    await Deno.mkdir(`${dir}/a/b`, { recursive: true });
    await Deno.mkdir(outside);
    await Deno.writeTextFile(`${dir}/file`, "");
    await Deno.writeTextFile(`${outside}/secret`, "");
    await Deno.symlink("../..", `${dir}/a/up`);
    await Deno.symlink("b", `${dir}/a/to-b`);
    await Deno.symlink(outside, `${dir}/out`);
    await Deno.symlink(`${outside}/new`, `${dir}/dangling`);
    await Deno.symlink("loop", `${dir}/loop`);
    await test({ dir, outside });
  } finally {
    await Deno.remove(base, { recursive: true });
  }
}

function refuses(dir: string, path: string): Promise<void> {
  return assert.rejects(
    inside(dir, path),
    (error) => error instanceof XtaskError && error.code === "invalid",
    `'${path}' is refused`,
  );
}

Deno.test("inside() resolves what lies below, existing or not", () =>
  withPlace(async ({ dir }) => {
    const expected = [
      [".", ""],
      ["", ""],
      ["a", "/a"],
      ["a/../a/b/", "/a/b"],
      ["a/to-b", "/a/b"],
      ["a/to-b/new/deep", "/a/b/new/deep"],
      ["not/yet", "/not/yet"],
      ["..named", "/..named"],
      [`${dir}/a`, "/a"],
      ["out/../a", "/a"],
    ] as const;
    for (const [path, want] of expected) assert.equal(await inside(dir, path), `${dir}${want}`, path);
  }));

Deno.test("inside() refuses every way out", () =>
  withPlace(async ({ dir, outside }) => {
    const ways = [
      "..",
      "../node-outside",
      "a/../..",
      "/",
      "/etc/passwd",
      outside,
      "out",
      "out/secret",
      "out/not-there",
      "a/up",
      "a/up/node-outside/secret",
      "dangling",
      "dangling/x",
      "loop",
      "loop/x",
      "file/below",
      "a\0b",
    ];
    for (const way of ways) await refuses(dir, way);
  }));

Deno.test("inside() works where the node's folder is itself reached by a symlink", () =>
  withPlace(async ({ dir }) => {
    const link = `${dir}-link`;
    await Deno.symlink(dir, link);
    assert.equal(await inside(link, "a"), `${dir}/a`);
    assert.equal(await inside(link, `${link}/a`), `${dir}/a`);
    assert.equal(await inside(link, `${dir}/a`), `${dir}/a`);
    await refuses(link, "../node-outside");
  }));

Deno.test("inside() never answers with a path outside, whatever the path is made of", () =>
  withPlace(async ({ dir, outside }) => {
    const part = fc.constantFrom(
      "..",
      ".",
      "",
      "a",
      "b",
      "up",
      "to-b",
      "out",
      "dangling",
      "loop",
      "file",
      "node",
      "new",
    );
    const path = fc.tuple(fc.constantFrom("", "/", `${dir}/`, `${outside}/`), fc.array(part, { maxLength: 8 }));
    await fc.assert(
      fc.asyncProperty(path, async ([start, parts]) => {
        const asked = start + parts.join("/");
        let answer: string;
        try {
          answer = await inside(dir, asked);
        } catch (error) {
          assert.ok(error instanceof XtaskError && error.code === "invalid", `${asked}: ${error}`);
          return;
        }
        assert.ok(answer === dir || answer.startsWith(`${dir}/`), `${asked} became ${answer}`);
        const exists = await Deno.realPath(answer).catch(() => undefined);
        if (exists !== undefined) assert.equal(exists, answer, "no symlink is left in the answer");
      }),
      { numRuns: 300 },
    );
  }));
