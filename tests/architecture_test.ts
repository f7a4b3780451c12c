import assert from "node:assert/strict";
import { relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { AREAS, offences, type Sources } from "./architecture.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** All sources of the repository. */
async function sources(): Promise<Sources> {
  const found: Record<string, string> = {};
  const visit = async (folder: string) => {
    for await (const { name, isDirectory } of Deno.readDir(folder)) {
      if (name.startsWith(".") || name === "node_modules" || name === "dist" || name === "examples") continue;
      const path = `${folder}${name}`;
      if (isDirectory) await visit(`${path}${sep}`);
      else if (/\.tsx?$/.test(name)) found[relative(ROOT, path).replaceAll(sep, "/")] = await Deno.readTextFile(path);
    }
  };
  await visit(ROOT);
  return found;
}

/** Asserts that there is exactly one offence, and what it says. */
function refused(given: Sources, expected: RegExp): void {
  const found = offences(given);
  assert.equal(found.length, 1, `one offence in ${JSON.stringify(found)}`);
  assert.match(found[0]!, expected);
}

const fine = (given: Sources) => assert.deepEqual(offences(given), []);

Deno.test("the sources keep the rules of the architecture", async () => {
  const all = await sources();
  assert.ok("lib/protocol/subjects.ts" in all, "the sources were found");
  assert.deepEqual(offences(all), []);
});

Deno.test("an import that the table does not have is refused with the edge and the reason", () => {
  refused(
    { "lib/hub/a.ts": 'import { x } from "../agent/b.ts";' },
    /^lib\/hub\/a\.ts:1 imports lib\/agent\/b\.ts: lib\/hub may import lib\/protocol, lib\/os, lib\/nats, lib\/auth, as the hub decides/,
  );
  fine({ "lib/hub/a.ts": 'import { x } from "../nats/b.ts";' });
  fine({ "lib/nats/a.ts": 'import { x } from "../auth/b.ts";' });
});

Deno.test("every way to import is seen", () => {
  for (
    const text of [
      'import "../cli/b.ts";',
      'import type { B } from "../cli/b.ts";',
      'export * from "../cli/b.ts";',
      'export { b } from "../cli/b.ts";',
      'const b = await import("../cli/b.ts");',
    ]
  ) refused({ "lib/agent/a.ts": text }, /imports lib\/cli\/b\.ts/);
});

Deno.test("no area but the command line itself may import it, nor anything import system.ts from below", () => {
  for (const area of Object.keys(AREAS).filter((area) => area.startsWith("lib/") && !area.endsWith(".ts"))) {
    if (area === "lib/cli") continue;
    refused({ [`${area}/a.ts`]: 'import "../cli/b.ts";' }, /may import/);
    refused({ [`${area}/a.ts`]: 'import "../system.ts";' }, /may import/);
  }
  refused({ "lib/system.ts": 'import "./cli/b.ts";' }, /lib\/system\.ts may import all but lib\/cli/);
  fine({ "lib/system.ts": 'import "./hub/b.ts"; import "../ui/page.ts";' });
  fine({ "lib/cli/a.ts": 'import "../system.ts";' });
});

Deno.test("transports may import the contracts of capabilities, not the capabilities", () => {
  refused({ "lib/http/a.ts": 'import "../capability/which.ts";' }, /lib\/http may import/);
  fine({ "lib/http/a.ts": 'import "../capability/define.ts"; import "../capability/registry.ts";' });
});

Deno.test("the protocol imports valibot and nothing else, and no one but lib/nats imports @nats-io", () => {
  refused({ "lib/protocol/a.ts": 'import "hono";' }, /may import only valibot, as/);
  refused({ "lib/protocol/a.ts": 'import "node:fs";' }, /may import only valibot, as/);
  fine({
    "lib/protocol/a.ts": 'import * as v from "valibot";',
    "lib/protocol/a_test.ts": 'import "node:assert/strict";',
  });
  refused({ "lib/hub/a.ts": 'import "@nats-io/kv";' }, /@nats-io\/\* is for lib\/nats only/);
  fine({ "lib/nats/a.ts": 'import "@nats-io/kv";' });
});

Deno.test("what is for tests is imported by tests only", () => {
  refused({ "lib/hub/a.ts": 'import "../../tests/until.ts";' }, /only tests import what is for tests/);
  fine({ "lib/hub/a_test.ts": 'import "../../tests/until.ts"; import "../agent/b.ts";' });
});

Deno.test("a folder without a line in the table is refused", () => {
  refused({ "lib/other/a.ts": "" }, /has no line in the import table/);
});

Deno.test("a subject outside subjects.ts is refused; comments, prose, files and tests are not", () => {
  for (const text of ['"xtask.nodes.discover"', "`xtask.${node}.task.run`", '"xtask.>"', '"$JS.API.>"', '"$SRV"']) {
    refused({ "lib/hub/a.ts": `const subject = ${text};` }, /subjects live in/);
    refused(
      { "ui/a.tsx": `const a = <p title=${text.startsWith('"') ? text : `{${text}}`}>x</p>;` },
      /subjects live in/,
    );
    fine({ "lib/protocol/subjects.ts": `const subject = ${text};` });
    fine({ "lib/hub/a_test.ts": `const subject = ${text};` });
    fine({ "lib/hub/a.ts": `/** ${text} */\n// ${text}\n` });
  }
  fine({
    "lib/hub/a.ts": 'const a = ["xtask.json", "xtask.tar.gz", "expected xtask.{node}", "xtask. And so on", "xtask"];',
  });
  fine({ "ui/a.tsx": "const a = <code>xtask.nodes.discover</code>;" });
});

Deno.test("the environment is read by the command line and the composition root only", () => {
  refused({ "lib/agent/a.ts": 'const a = Deno.env.get("A");' }, /reads Deno\.env/);
  refused({ "main.ts": "const a = process.env;" }, /reads process\.env/);
  for (const path of ["lib/cli/a.ts", "lib/system.ts", "scripts/a.ts", "lib/agent/a_test.ts", "tests/a.ts"]) {
    fine({ [path]: 'const a = Deno.env.get("A");' });
  }
});

Deno.test("JSON.parse stands at the doors only", () => {
  refused({ "lib/hub/a.ts": "const a = JSON.parse(text);" }, /calls JSON\.parse/);
  for (const area of ["protocol", "nats", "http", "mcp", "cli", "auth"]) {
    fine({ [`lib/${area}/a.ts`]: "const a = JSON.parse(text);" });
  }
  fine({ "lib/hub/a.ts": "// JSON.parse(text)\nconst a = JSON.stringify(text);" });
});

Deno.test("Datastar's attributes are written with a colon, not with the hyphen of old", () => {
  refused({ "ui/a.tsx": '<p data-on-click="x">a</p>;' }, /data-on:click/);
  refused({ "ui/a.tsx": 'const a = { "data-bind-name": "x" };' }, /data-bind:name/);
  refused({ "lib/http/a.tsx": "<p data-signals-open={1}>a</p>;" }, /data-signals:open/);
  fine({
    "ui/a.tsx": '<p data-on:click="x" data-init="y" data-on-interval="z" data-ignore-morph data-open-console>a</p>;',
  });
  fine({ "ui/a.tsx": "<p>data-on-click</p>;" });
});

Deno.test("names that say nothing are refused, for files and for folders", () => {
  for (const path of ["lib/hub/utils.ts", "lib/hub/string_helper.ts", "lib/hub/common/a.ts", "tests/misc.ts"]) {
    refused({ [path]: "" }, /name the concept/);
  }
  fine({ "lib/hub/commonplace.ts": "", "lib/hub/utility_bill.ts": "" });
});

Deno.test("a file of more than 400 lines is refused", () => {
  refused({ "lib/hub/a.ts": "//\n".repeat(401) }, /has 401 lines/);
  fine({ "lib/hub/a.ts": "//\n".repeat(400) });
});

Deno.test("files that import each other in a circle are refused", () => {
  refused(
    { "lib/hub/a.ts": 'import "./b.ts";', "lib/hub/b.ts": 'import "./c.ts";', "lib/hub/c.ts": 'import "./a.ts";' },
    /lib\/hub\/a\.ts → lib\/hub\/b\.ts → lib\/hub\/c\.ts → lib\/hub\/a\.ts/,
  );
  fine({ "lib/hub/a.ts": 'import "./b.ts"; import "./c.ts";', "lib/hub/b.ts": 'import "./c.ts";', "lib/hub/c.ts": "" });
});

Deno.test("what the command line loads late is found only when it is called, and is there", () => {
  refused({ "lib/cli/a.ts": 'const a = () => import("./b.ts");', "lib/cli/b.ts": "" }, /as string/);
  refused({ "lib/cli/a.ts": 'const a = () => import("./b.ts" as string);' }, /lib\/cli\/b\.ts, which is not there/);
  refused({ "lib/agent/a.ts": 'import("../hub/b.ts" as string);', "lib/hub/b.ts": "" }, /lib\/agent may import/);
  fine({ "lib/cli/a.ts": 'const a = () => import("./b.ts" as string);', "lib/cli/b.ts": "" });
  fine({ "lib/agent/a.ts": 'const a = () => import("./b.ts");', "lib/agent/b.ts": "" });
});
