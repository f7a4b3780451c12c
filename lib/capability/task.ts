/** Runs the tasks of the node's Taskfile: what the fleet is for. */
import * as v from "valibot";
import { XtaskError } from "../protocol/error.ts";
import { parseJson } from "../protocol/parse.ts";
import { type Capability, defineCapability, type NodeFacts, type Process, verb } from "./define.ts";
import { inside } from "./inside.ts";

const Dir = v.optional(
  v.pipe(v.string(), v.description("Folder of the Taskfile, below the node's folder; the node's folder by default")),
);
const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
const Variables = v.optional(
  v.record(v.pipe(v.string(), v.regex(NAME, "expected a name of letters, digits and _")), v.string()),
);

/** A task as people and agents see it in a node's record. */
export const Task = v.object({ name: v.string(), desc: v.string() });
/** A task of a Taskfile. */
export type Task = v.InferOutput<typeof Task>;

/** What `task --list-all --json` prints, as far as we read it. */
const Listing = v.object({
  tasks: v.nullish(
    v.array(v.object({ name: v.string(), desc: v.optional(v.string(), ""), internal: v.optional(v.boolean()) })),
  ),
});

/** Flags that would let Task wait for a person, watch for ever or leave the folder; a command has its own ways for these. */
const REFUSED_FLAGS = [
  { flag: /^(-w|--watch)$/, why: "it never ends" },
  { flag: /^(-d|--dir)(=|$)/, why: "give the field 'dir'" },
  { flag: /^(-t|--taskfile)(=|$)/, why: "give the field 'dir'" },
  { flag: /^(-g|--global)$/, why: "only the node's own Taskfile is run" },
  { flag: /^(-i|--init)$/, why: "it writes a Taskfile" },
];

const Run = v.strictObject({
  args: v.pipe(
    v.optional(v.pipe(v.array(v.string()), v.maxLength(200)), []),
    v.description("Names of tasks, VAR=value, flags of Task, and after '--' what the task gets as CLI_ARGS"),
  ),
  dir: Dir,
  vars: v.pipe(Variables, v.description("Task variables")),
  env: v.pipe(Variables, v.description("Environment of the tasks")),
});

const task: Capability = defineCapability({
  name: "task",
  summary: "Run the tasks of the node's Taskfile",
  tools: { task: ["task", "go-task"] },
  permissions: ({ dir, tools }) => ({ read: [dir], run: Object.values(tools) }),
  defaultVerb: "run",
  verbs: {
    run: verb({
      summary: "Run tasks, with their output live",
      effect: "change",
      input: Run,
      output: v.object({ exitCode: v.number() }),
      cli: { positional: "args", rest: "keep-dashes" },
      async run(input, context) {
        const { command, cwd, env } = await processOf(input, context.node);
        const { code } = await context.exec(command, { cwd, env });
        return { exitCode: code };
      },
      keep: {
        process: (input, { node }) => processOf(input, node),
        output: (exitCode) => ({ exitCode }),
      },
    }),
    list: verb({
      summary: "List the tasks of the Taskfile",
      effect: "read",
      input: v.strictObject({ dir: Dir }),
      output: v.object({ tasks: v.array(Task) }),
      async run({ dir }, context) {
        const cwd = await inside(context.node.dir, dir ?? ".");
        const { code, stdout, stderr } = await context.exec(
          [toolOf(context.node.tools), "--list-all", "--json", "--no-status"],
          { cwd, output: "capture", timeoutMs: 20_000 },
        );
        if (code !== 0) {
          throw new XtaskError("not_found", "Task cannot list the tasks here", {
            details: stderr.trim().split("\n").slice(0, 5),
          });
        }
        const { tasks } = parseJson(Listing, stdout, "listing that Task printed");
        const listed = (tasks ?? []).filter(({ internal }) => internal !== true).map(({ name, desc }) => ({
          name,
          desc,
        }));
        for (const { name, desc } of listed) context.log(`${name}\t${desc}`);
        return { tasks: listed };
      },
    }),
  },
});
export default task;

async function processOf(
  { args, dir, vars = {}, env = {} }: v.InferOutput<typeof Run>,
  node: NodeFacts,
): Promise<Process> {
  const split = args.indexOf("--");
  const [own, rest] = split < 0 ? [args, []] : [args.slice(0, split), args.slice(split)];
  for (const arg of own) {
    const refused = REFUSED_FLAGS.find(({ flag }) => flag.test(arg));
    if (refused === undefined) continue;
    throw new XtaskError("invalid", `Task's flag '${arg}' cannot be used in a command`, { details: [refused.why] });
  }
  const variables = Object.entries(vars).map(([name, value]) => `${name}=${value}`);
  return {
    // --exit-code passes on the code of the command that failed; without a terminal Task refuses to prompt.
    command: [toolOf(node.tools), "--exit-code", ...own, ...variables, ...rest],
    cwd: await inside(node.dir, dir ?? "."),
    env,
  };
}

function toolOf({ task }: Readonly<Record<string, string>>): string {
  if (task === undefined) throw new TypeError("Cannot run a task as the executable 'task' was not resolved");
  return task;
}
