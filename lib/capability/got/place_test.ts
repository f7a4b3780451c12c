import assert from "node:assert/strict";
import { join } from "node:path";
import fc from "fast-check";
import { isError, testGround } from "./ground_for_tests.ts";
import { confirmPlace, defaultOutput, outputSegments, removeMade, takePlace } from "./place.ts";

Deno.test("an output is refused if it is absolute, climbs, is empty in parts, or means something else on Windows", () => {
  const refused = [
    ..."/etc/passwd|../x|a/../x|a/..|./x|a//b|a/|/|..|.|C:/x|c:x|a\\b|\\\\host\\share|//host/share".split("|"),
    ..."NUL|nul.txt|a/CON|aux.tar.gz|COM1|lpt9.log|com¹|CONIN$|NUL .txt|a.|a |a/b./c|x:stream|a*b|a?b|<a>".split("|"),
    "a|b",
    "",
    "a\0b",
    "a\nb",
    "\u007f",
    "\ud800",
    "x".repeat(201),
    "a/".repeat(600) + "a",
  ];
  for (const output of refused) assert.throws(() => outputSegments(output), isError("invalid"), JSON.stringify(output));
  for (const output of ["a", "bin/tool", ".env", "console", "nulls", "comma1", "ä/ö", "a b", "...x", "-rf"]) {
    assert.deepEqual(outputSegments(output), output.split("/"));
  }
});

Deno.test("whatever the name, an output that is accepted stays under the folder", () => {
  const nasty = fc.constantFrom(
    "..",
    ".",
    "",
    "/",
    "\\",
    "C:",
    "a",
    "\0",
    "NUL",
    "~",
    "%2e%2e",
    "．．",
    "..\u200b",
    "a.",
    " ",
  );
  const name = fc.oneof(
    fc.string(),
    fc.string({ unit: "binary" }),
    fc.array(nasty).map((all) => all.join("/")),
    fc.array(nasty).map((all) => all.join("")),
  );
  fc.assert(
    fc.property(name, (output) => {
      let segments: readonly string[];
      try {
        segments = outputSegments(output);
      } catch (error) {
        return isError("invalid")(error);
      }
      const path = join("/node", ...segments);
      assert(path.startsWith("/node/") && path.length > "/node/".length, path);
      assert.equal(path, `/node/${output}`, "a path that join() changes has a second reading");
    }),
    { numRuns: 2000 },
  );
});

Deno.test("the output is the last part of the URL where none is given, and never a way out", () => {
  const of = (url: string, extract = false) => defaultOutput(new URL(url), { extract });
  assert.equal(of("https://h/a/tool.tar.gz?x=1#y"), "tool.tar.gz");
  assert.equal(of("https://h/a/tool.tar.gz", true), "tool");
  assert.equal(of("https://h/a/tool.TGZ", true), "tool");
  assert.equal(of("https://h/a%20b"), "a b");
  for (
    const url of [
      "https://h",
      "https://h/",
      "https://h/a/",
      "https://h/..%2fx",
      "https://h/%5cx",
      "https://h/%00",
      "https://h/%zz",
      "https://h/NUL",
    ]
  ) {
    assert.throws(() => of(url), isError("invalid"), url);
  }
  assert.throws(() => of("https://h/.zip", true), isError("invalid"));
});

Deno.test("missing folders are made, and removed again as far as they are empty", async () => {
  await using ground = await testGround();
  const place = await takePlace(ground.dir, "a/b/c");
  assert.deepEqual({ ...place, made: place.made.length }, {
    path: "a/b/c",
    name: "c",
    folder: join(ground.dir, "a", "b"),
    made: 2,
  });
  await Deno.writeTextFile(join(ground.dir, "a", "other"), "");
  await removeMade(place.made);
  assert.deepEqual(await ground.files(), ["a", "a/other"]);
});

Deno.test({
  name: "a symlinked folder is followed inside the node's folder and refused where it leads out",
  // Making links needs a privilege on Windows.
  ignore: Deno.build.os === "windows",
  async fn() {
    await using ground = await testGround();
    await Deno.mkdir(join(ground.dir, "real"));
    await Deno.symlink("real", join(ground.dir, "inside"));
    await Deno.symlink(ground.outside, join(ground.dir, "out"));
    await Deno.symlink("..", join(ground.dir, "up"));
    await Deno.symlink("nowhere", join(ground.dir, "dangling"));
    assert.equal((await takePlace(ground.dir, "inside/x")).folder, join(ground.dir, "real"));
    for (const output of ["out/x", "up/x", "out/new/x", "up/outside/x", "inside/../out/x"]) {
      await assert.rejects(takePlace(ground.dir, output), isError("invalid"), output);
    }
    await assert.rejects(takePlace(ground.dir, "dangling/x"), isError("invalid"));
    assert.deepEqual([...Deno.readDirSync(ground.outside)], [], "nothing may be made outside");
  },
});

Deno.test({
  name: "a folder that is swapped for a link after it was checked is noticed",
  ignore: Deno.build.os === "windows",
  async fn() {
    await using ground = await testGround();
    const place = await takePlace(ground.dir, "a/x");
    await Deno.writeTextFile(join(place.folder, "x"), "");
    await confirmPlace(place, join(place.folder, "x"));
    await Deno.rename(place.folder, join(ground.dir, "away"));
    await Deno.symlink(ground.outside, join(ground.dir, "a"));
    await Deno.writeTextFile(join(ground.outside, "x"), "");
    await assert.rejects(confirmPlace(place, join(place.folder, "x")), isError("conflict"));
  },
});

Deno.test("a file where a folder is needed is a conflict", async () => {
  await using ground = await testGround();
  await Deno.writeTextFile(join(ground.dir, "file"), "");
  await assert.rejects(takePlace(ground.dir, "file/x"), isError("conflict"));
  await assert.rejects(takePlace(ground.dir, "file/more/x"), isError("invalid"));
  assert.deepEqual(await ground.files(), ["file"]);
});
