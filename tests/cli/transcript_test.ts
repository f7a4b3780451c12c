/** Types every transcript of this folder at the real command line. */
import assert from "node:assert/strict";
import { contextsIn } from "../../lib/cli/contexts.ts";
import { copyProject, startFleet, temporaryFolder } from "../fleet.ts";
import { xtask } from "../xtask_process.ts";
import { matches, parseTranscript } from "./transcript.ts";

const FOLDER = new URL(".", import.meta.url);

for (const { name } of [...Deno.readDirSync(FOLDER)].filter((entry) => entry.name.endsWith(".txt"))) {
  Deno.test(`the command line answers as written in ${name}`, async () => {
    const { nodes, exchanges } = parseTranscript(await Deno.readTextFile(new URL(name, FOLDER)));
    await using stack = new AsyncDisposableStack();
    const home = await temporaryFolder(stack);
    const cwd = `${home}/project`;
    await copyProject(cwd);
    if (nodes.length > 0) {
      const { up } = stack.use(await startFleet({ nodes }));
      await contextsIn(`${home}/config`).save({ name: "local", url: up.server.url, project: "default" }, {
        creds: up.adminCreds,
      });
    }
    // All that differs is told at once: a changed word often stands in several places.
    const differing: string[] = [];
    for (const { line, args, code, stdout, stderr } of exchanges) {
      const seen = await xtask(args, { home, cwd });
      if (matches(stdout, seen.stdout) && matches(stderr, seen.stderr) && seen.code === code) continue;
      differing.push(
        `${name}:${line} xtask ${args.join(" ")}\n? ${seen.code}\nstdout:\n${seen.stdout}\nstderr:\n${seen.stderr}`,
      );
    }
    assert.equal(differing.join("\n"), "");
  });
}

Deno.test("a transcript that says something else does not match", () => {
  assert.ok(matches(["a [z]", "[…]", "end […]"], "a [z]\nb\nc\nend of it\n"));
  assert.ok(!matches(["a"], "a\nb\n"));
  assert.ok(!matches([], "a\n"));
  assert.ok(!matches(["a […]", "b"], "a\nb\n"));
  assert.ok(matches([], ""));
});
