/** Containers of a node, by docker or podman, whichever it has. */
import * as v from "valibot";
import { XtaskError } from "../protocol/error.ts";
import { type Capability, defineCapability, type RunContext, verb } from "./define.ts";
import { ContainerEntry, ImageEntry, Info, readContainers, readImages, readInfo } from "./docker/answers.ts";
import { buildArgv, logsArgv, type Mount, readVolume, runArgv, stopArgv } from "./docker/argv.ts";
import { ask, call, cannotRun, endContainer } from "./docker/client.ts";
import { Container, Image, Port, Stage, Tag, Variables, Volume } from "./docker/names.ts";
import { inside } from "./inside.ts";

const JSON_LINES = ["--no-trunc", "--format", "{{json .}}"];
const Exit = v.object({ exitCode: v.number() });
const Path = v.pipe(v.string(), v.maxLength(4_096));
const Flag = (otherwise: boolean, text: string) => v.pipe(v.optional(v.boolean(), otherwise), v.description(text));

const docker: Capability = defineCapability({
  name: "docker",
  summary: "Run and look after containers",
  tools: { docker: ["docker", "podman"] },
  // Reading is for the check that folders do not lead out. What the daemon then does is as much as root can do.
  permissions: ({ dir, tools }) => ({ read: [dir], run: Object.values(tools) }),
  ready: cannotRun,
  defaultVerb: "ps",
  verbs: {
    info: verb({
      summary: "Tell what runs the containers",
      effect: "read",
      input: v.strictObject({}),
      output: Info,
      async run(_, context) {
        const info = readInfo(await ask(["info", "--format", "{{json .}}"], context));
        context.log(`${info.client} ${info.version} (${info.os}/${info.arch}), ${info.running} running`);
        return info;
      },
    }),
    ps: verb({
      summary: "List containers",
      effect: "read",
      input: v.strictObject({ all: Flag(false, "Those that have ended as well") }),
      output: v.object({ containers: v.array(ContainerEntry) }),
      async run({ all }, context) {
        const containers = readContainers(await ask(["ps", ...JSON_LINES, ...(all ? ["--all"] : [])], context));
        for (const { id, name, image, status } of containers) context.log(`${short(id)}  ${name}  ${image}  ${status}`);
        return { containers };
      },
    }),
    images: verb({
      summary: "List images",
      effect: "read",
      input: v.strictObject({}),
      output: v.object({ images: v.array(ImageEntry) }),
      async run(_, context) {
        const images = readImages(await ask(["images", ...JSON_LINES], context));
        for (const { id, name = "(no name)", tag = "", sizeBytes } of images) {
          context.log(`${short(id)}  ${name}${tag === "" ? "" : `:${tag}`}  ${(sizeBytes / 1e6).toFixed(1)} MB`);
        }
        return { images };
      },
    }),
    pull: verb({
      summary: "Fetch an image",
      effect: "change",
      input: v.strictObject({ image: v.pipe(Image, v.description("The image, with its tag or digest")) }),
      output: Exit,
      cli: { positional: "image" },
      run: ({ image }, context) => call(["pull", "--", image], context),
    }),
    build: verb({
      summary: "Build an image",
      effect: "change",
      input: v.strictObject({
        dir: v.optional(v.pipe(Path, v.description("The context, below the node's folder, which it is by default"))),
        tag: v.optional(v.pipe(Tag, v.description("What the image is called"))),
        file: v.optional(v.pipe(Path, v.description("The Dockerfile, relative to the context"))),
        target: v.optional(v.pipe(Stage, v.description("The stage to build"))),
        buildArgs: v.optional(v.pipe(Variables, v.description("Build arguments; they stay readable in the image"))),
      }),
      output: Exit,
      cli: { positional: "dir" },
      async run({ dir = ".", file, tag, target, buildArgs = {} }, context) {
        const folder = await inside(context.node.dir, dir);
        const recipe = file === undefined ? undefined : await inside(context.node.dir, `${folder}/${file}`);
        return await call(buildArgv({ dir: folder, file: recipe, tag, target, buildArgs }), context);
      },
    }),
    run: verb({
      summary: "Run a container",
      effect: "change",
      input: v.strictObject({
        image: v.pipe(Image, v.description("The image")),
        args: v.pipe(
          v.optional(v.pipe(v.array(v.pipe(v.string(), v.maxLength(32_768))), v.maxLength(1_000)), []),
          v.description("What is run in it, with its arguments; the image's own command by default"),
        ),
        name: v.optional(v.pipe(Container, v.description("Its name; xtask- and the command's id by default"))),
        background: Flag(false, "Leave it running and end"),
        env: v.optional(v.pipe(Variables, v.description("Its environment"))),
        ports: v.optional(
          v.pipe(
            v.array(Port),
            v.maxLength(100),
            v.description("Published ports: 8080:80, 127.0.0.1:8080:80/udp or 80"),
          ),
        ),
        volumes: v.optional(
          v.pipe(
            v.array(Volume),
            v.maxLength(100),
            v.description("Mounts: folder:/path[:ro], a folder below the node's"),
          ),
        ),
        remove: Flag(true, "Remove it when it has ended"),
      }),
      output: v.object({ exitCode: v.number(), container: v.string() }),
      cli: { positional: ["image", "args"], rest: "append" },
      async run({ image, args, background: detach, remove, env = {}, ports = [], volumes = [], ...given }, context) {
        const { command, node, signal } = context;
        const name = given.name ?? `xtask-${command}`;
        const mounts = await Promise.all(volumes.map((volume) => mountOf(volume, context)));
        const argv = runArgv({ image, args, name, command, detach, remove, env, ports, mounts });
        try {
          return { ...await call(argv, context), container: name };
        } catch (error) {
          if (signal.aborted) await endContainer(name, node);
          throw error;
        }
      },
    }),
    stop: verb({
      summary: "Stop a container",
      effect: "change",
      input: v.strictObject({
        container: v.pipe(Container, v.description("Its name or id")),
        timeoutS: v.optional(
          v.pipe(
            v.number(),
            v.integer(),
            v.minValue(0),
            v.maxValue(3_600),
            v.description("Seconds before it is killed"),
          ),
        ),
      }),
      output: Exit,
      cli: { positional: "container" },
      run: (input, context) => call(stopArgv(input), context),
    }),
    logs: verb({
      summary: "Show what a container printed",
      effect: "read",
      input: v.strictObject({
        container: v.pipe(Container, v.description("Its name or id")),
        tail: v.optional(
          v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(1_000_000), v.description("The last lines alone")),
        ),
      }),
      output: Exit,
      cli: { positional: "container" },
      run: (input, context) => call(logsArgv(input), context),
    }),
  },
});
export default docker;

async function mountOf(volume: string, { node }: RunContext): Promise<Mount> {
  const { folder, ...rest } = readVolume(volume);
  const source = await inside(node.dir, folder);
  // Where the node's own folder has such a name, or a symlink leads to one: the client would read more than one field.
  if (/[,"]/.test(source)) {
    throw new XtaskError("invalid", `The folder '${source}' cannot be mounted as its name has a comma or a quote`);
  }
  return { source, ...rest };
}

function short(id: string): string {
  return id.replace(/^sha256:/, "").slice(0, 12);
}
