import assert from "node:assert/strict";
import fc from "fast-check";
import { CommandId, Id, isId, newCommandId, nodeIdFromHostname, RESERVED_IDS } from "./id.ts";
import { parse } from "./parse.ts";

const refuses = (schema: Parameters<typeof parse>[0], value: unknown) =>
  assert.throws(() => parse(schema, value, "id"), { code: "invalid" }, `${JSON.stringify(value)} was taken`);

Deno.test("an id is one lower-case subject token and no word of the subject space", () => {
  for (const id of ["a", "7", "edge-7", "dev_mac-01", "a".repeat(63), "ci--x-"]) {
    assert.equal(parse(Id, id, "id"), id);
    assert.ok(isId(id));
  }
  const bad = [
    "",
    "a.b",
    "a b",
    " a",
    "a\n",
    "*",
    ">",
    "a*",
    "a>",
    "A",
    "-a",
    "_a",
    "é",
    "a\0",
    "a/b",
    "..",
    "a".repeat(64),
  ];
  for (const id of [...bad, ...RESERVED_IDS]) {
    refuses(Id, id);
    assert.ok(!isId(id), `isId takes '${id}'`);
  }
  for (const value of [undefined, null, 7, ["a"], { id: "a" }]) refuses(Id, value);
});

Deno.test("isId and the schema agree, and what they take is a single literal token", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[a-z0-9_.*> -]{0,70}$/)), (text) => {
      let taken = true;
      try {
        parse(Id, text, "id");
      } catch {
        taken = false;
      }
      assert.equal(taken, isId(text));
      if (taken) assert.match(text, /^[^\s.*>\0]+$/);
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("every host name suggests an id that is taken", () => {
  const host = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.domain(),
    fc.constantFrom(...RESERVED_IDS),
    fc.stringMatching(/^[-_.]*[a-z-]{0,90}$/),
  );
  fc.assert(
    fc.property(host, (hostname) => assert.ok(isId(nodeIdFromHostname(hostname)), nodeIdFromHostname(hostname))),
  );
});

Deno.test("command ids are ULIDs in capitals, and sort by the time they were made", () => {
  const [early, late] = [newCommandId(1_000_000), newCommandId(1_000_001)];
  assert.ok(early < late);
  assert.equal(parse(CommandId, early, "id"), early);
  for (
    const id of [early.toLowerCase(), early.slice(1), `${early}0`, `${early.slice(1)}.`, `${early.slice(1)}*`, "", 7]
  ) {
    refuses(CommandId, id);
  }
  assert.equal(new Set(Array.from({ length: 1_000 }, () => newCommandId(5))).size, 1_000, "made in one millisecond");
});

Deno.test("an id is no key that every object has", () => {
  for (const name of Object.getOwnPropertyNames(Object.prototype)) assert.ok(!isId(name), name);
});
