/** Runs a program and shows what it printed only if it failed: for the steps of a Taskfile that are noise when they work. */
import * as v from "valibot";
import { type Capability, defineCapability, verb } from "./define.ts";
import { inside } from "./inside.ts";

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
/** The longest a run may be given: a day. */
const TIMEOUT_MS_MAX = 24 * 60 * 60_000;

const silent: Capability = defineCapability({
  name: "silent",
  summary: "Run a program and show its output only if it fails",
  // Whatever is asked is run, so nothing narrower would be true. Reading is for the check that `dir` does not lead out.
  permissions: ({ dir }) => ({ read: [dir], run: true }),
  verbs: {
    exec: verb({
      summary: "Run a program, quiet unless it fails",
      effect: "change",
      input: v.strictObject({
        command: v.pipe(
          v.array(v.pipe(v.string(), v.maxLength(32_768))),
          v.minLength(1, "expected a program: xtask silent -- PROGRAM ARGS…"),
          v.maxLength(1_000),
          v.description("The program and its arguments, as they are: no shell reads them"),
        ),
        dir: v.optional(
          v.pipe(v.string(), v.description("Working folder, below the node's folder; the node's folder by default")),
        ),
        env: v.optional(
          v.pipe(
            v.record(v.pipe(v.string(), v.regex(NAME, "expected a name of letters, digits and _")), v.string()),
            v.description("Added to the node's environment"),
          ),
        ),
        timeoutMs: v.optional(
          v.pipe(
            v.number(),
            v.integer(),
            v.minValue(1),
            v.maxValue(TIMEOUT_MS_MAX),
            v.description("It is stopped after this long; no limit by default"),
          ),
        ),
      }),
      output: v.object({ exitCode: v.number(), durationMs: v.number() }),
      cli: { positional: "command", rest: "append" },
      async run({ command, dir, env = {}, timeoutMs }, context) {
        const cwd = await inside(context.node.dir, dir ?? ".");
        const startedAt = performance.now();
        // A quiet process's exit code is the run's, as with one that is logged, so failing needs no error of its own.
        const { code } = await context.exec(command, {
          output: "quiet",
          cwd,
          env,
          ...(timeoutMs === undefined ? {} : { timeoutMs }),
        });
        return { exitCode: code, durationMs: Math.round(performance.now() - startedAt) };
      },
    }),
  },
});
export default silent;
