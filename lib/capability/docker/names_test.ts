import assert from "node:assert/strict";
import fc from "fast-check";
import * as v from "valibot";
import { Container, Image, Port, Stage, Tag, Volume } from "./names.ts";

const DIGEST = `sha256:${"0a".repeat(32)}`;

const TABLE = [
  {
    schema: Image,
    takes: [
      "alpine",
      "alpine:3.19",
      "library/alpine",
      "ghcr.io/team/app:1.2-rc_1",
      "localhost:5000/a/b__c/d--e.f",
      `app@${DIGEST}`,
      `registry.example.com:5000/app:v1@${DIGEST}`,
      DIGEST,
    ],
    refuses: ["", "-v", "--privileged", "Alpine", "a b", "a:", "a//b", "a/-b", "/a", "a/", "a@b", "a:-x", "a\n", "a;b"],
  },
  { schema: Tag, takes: ["app", "team/app:1"], refuses: ["-t", `app@${DIGEST}`, "app:", "app,b"] },
  {
    schema: Container,
    takes: ["web", "web_1.a-b", "0123456789ab", "0"],
    refuses: ["", "-f", "_a", ".", "a b", "a/b", "a\n", "x".repeat(129)],
  },
  { schema: Stage, takes: ["build", "0"], refuses: ["-x", "", "a=b"] },
  {
    schema: Port,
    takes: ["80", "8080:80", "127.0.0.1:8080:80/udp", "[::1]:8080:80", "80/tcp"],
    refuses: ["", "-p", "80:", ":80", "80/icmp", "host:80:80", "1:2:3:4", "80,81", "80\n"],
  },
  {
    schema: Volume,
    takes: ["data:/data", "./a b:/x:ro", "a/b:/:rw"],
    refuses: ["data", "data:x", ":/x", "a:/x:rwx", "a,b:/x", 'a":/x', "a:/x,readonly", "a:/b:/c", "a\n:/x", "a:/x\n"],
  },
] as const;

Deno.test("Names take what the clients take and refuse the rest", () => {
  for (const { schema, takes, refuses } of TABLE) {
    for (const text of takes) assert.ok(v.is(schema, text), `takes ${JSON.stringify(text)}`);
    for (const text of refuses) assert.ok(!v.is(schema, text), `refuses ${JSON.stringify(text)}`);
  }
});

Deno.test("No name begins with a dash or holds what ends a line, whatever is tried", () => {
  const letter = fc.constantFrom(..."-a0/:@._,=\"' \n\0A[]");
  fc.assert(
    fc.property(fc.string({ unit: letter, maxLength: 12 }), (text) => {
      for (const { schema } of TABLE) {
        if (!v.is(schema, text)) continue;
        assert.ok(!/[\n\0,"]/.test(text), JSON.stringify(text));
        // The folder of a volume may: it becomes an absolute path before the client sees it.
        assert.ok(schema === Volume || !text.startsWith("-"), JSON.stringify(text));
      }
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("Names are told apart in time that does not explode with their length", () => {
  const startedAt = performance.now();
  for (const unit of ["a", "a-", "a_", "a.", "a/", "0"]) assert.ok(!v.is(Image, `${unit.repeat(240)}!`));
  assert.ok(performance.now() - startedAt < 1_000);
});
