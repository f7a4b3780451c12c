import assert from "node:assert/strict";
import fc from "fast-check";
import { XtaskError } from "./error.ts";
import { parseSelector, type Selectable, selectsOneNode } from "./selector.ts";

const NODE: Selectable = {
  id: "edge-7",
  hostname: "edge-7.example",
  platform: { os: "linux", arch: "arm64" },
  labels: { region: "eu-west-1", "team/name": "core.x", empty: "" },
  capabilities: [{ name: "task" }, { name: "which" }],
};

Deno.test("selectors mean what they say", () => {
  const cases: [string, boolean][] = [
    ["all", true],
    [" all ", true],
    ["edge-7", true],
    ["edge-?", true],
    ["edge-*|ci-*", true],
    ["edge", false],
    ["id=edge-7,node=edge-7", true],
    ["os=linux , arch=arm64", true],
    ["os=linux,arch=amd64", false],
    ["os=darwin|linux", true],
    ["os!=darwin", true],
    ["os!=darwin|linux", false],
    ["region=eu-*", true],
    ["region=*-1", true],
    ["region=*west*", true],
    ["region=eu", false],
    ["region=EU-*", false],
    ["team/name=core.x", true],
    ["team/name=core?x", true],
    ["has=task", true],
    ["has=docker", false],
    ["has!=docker", true],
    ["has!=task", false],
    ["tier=prod", false],
    ["tier!=prod", true],
    ["tier=*", false],
    ["empty=*", true],
    ["hostname=*.example", true],
    ["toString=*", false],
    ["constructor!=x", true],
  ];
  for (const [text, expected] of cases) assert.equal(parseSelector(text)(NODE), expected, text);
});

Deno.test("what cannot be read is refused with the term that is at fault", () => {
  const bad = [
    "",
    " ",
    ",",
    "os=",
    "os=linux,",
    "=x",

    "a b=c",
    "os>3",
    "Edge 7",
    "x!y",
    "é",
    "a.b",
    "os=linux,,arch=x",
    "x".repeat(1_001),
  ];
  for (const text of bad) {
    assert.throws(() => parseSelector(text), (error) => {
      assert.ok(error instanceof XtaskError && error.code === "invalid", `${text}: ${error}`);
      assert.ok(error.details.length > 0);
      return true;
    }, text);
  }
});

const selectorLike = fc.oneof(
  fc.string({ maxLength: 1_100 }),
  fc.array(
    fc.constantFrom(
      "os",
      "has",
      "=",
      "!=",
      "!",
      ",",
      "|",
      "*",
      "?",
      " ",
      "linux",
      "edge-7",
      "__proto__",
      "all",
      "\n",
      "\0",
      "é",
    ),
    { maxLength: 40 },
  ).map((parts) => parts.join("")),
);

Deno.test("any text is a selector or invalid, and a selector answers yes or no for any node", () => {
  const node = fc.record({
    id: fc.string(),
    hostname: fc.string(),
    platform: fc.record({ os: fc.string(), arch: fc.string() }),
    labels: fc.dictionary(fc.string(), fc.string()),
    capabilities: fc.array(fc.record({ name: fc.string() })),
  });
  fc.assert(
    fc.property(selectorLike, node, (text, any) => {
      let selector;
      try {
        selector = parseSelector(text);
      } catch (error) {
        assert.ok(error instanceof XtaskError && error.code === "invalid", String(error));
        return;
      }
      assert.equal(typeof selector(any), "boolean");
    }),
    { numRuns: 1_000 },
  );
});

Deno.test("globs match as the same regular expression does", () => {
  const glob = fc.stringMatching(/^[ab*?]{1,12}$/);
  fc.assert(
    fc.property(glob, fc.stringMatching(/^[ab]{0,12}$/), (pattern, value) => {
      const expression = new RegExp(`^${pattern.replaceAll("*", "[^]*").replaceAll("?", "[^]")}$`);
      assert.equal(
        parseSelector(`x=${pattern}`)({ ...NODE, labels: { x: value } }),
        expression.test(value),
        `${pattern} ${value}`,
      );
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("a negated term holds exactly where the plain one does not", () => {
  fc.assert(
    fc.property(
      fc.constantFrom("os", "has", "region", "none"),
      fc.stringMatching(/^[a-z*?|-]{1,12}$/),
      (key, value) => {
        assert.notEqual(parseSelector(`${key}=${value}`)(NODE), parseSelector(`${key}!=${value}`)(NODE));
      },
    ),
  );
});

Deno.test("hostile globs cost no more than their length times that of the value", () => {
  const node = { ...NODE, hostname: "a".repeat(2_000), labels: { x: "a".repeat(128) } };
  const hostile = [
    "*".repeat(990),
    "*a".repeat(490),
    `${"a*".repeat(490)}b`,
    `${"?*".repeat(490)}b`,
    "*|".repeat(490) + "b",
  ];
  for (const glob of hostile) {
    for (const key of ["hostname", "x"]) {
      const selector = parseSelector(`${key}=${glob}`);
      const begun = performance.now();
      selector(node);
      const tookMs = performance.now() - begun;
      // Backtracking would take longer than anybody waits; what is measured here stands for a busy machine as well.
      assert.ok(tookMs < 10_000, `${key}=${glob.slice(0, 10)}… took ${Math.round(tookMs)} ms`);
    }
  }
});

Deno.test("one node is meant exactly where the selector is its id", () => {
  for (const text of ["edge-7", " edge-7 "]) assert.equal(selectsOneNode(text), "edge-7");
  for (const text of ["all", "edge-*", "edge-7,os=linux", "id=edge-7", "hub", "", "a|b"]) {
    assert.equal(selectsOneNode(text), undefined, text);
  }
  fc.assert(fc.property(fc.stringMatching(/^[a-z0-9_-]{1,20}$/), (text) => {
    const id = selectsOneNode(text);
    if (id !== undefined) {
      assert.ok(parseSelector(text)({ ...NODE, id }) && !parseSelector(text)({ ...NODE, id: `${id}x` }));
    }
  }));
});
