/** The argument vectors for the client. Pure: every name in them has been through a schema, every path through `inside`. */

/** Input of `docker.run`, with its folders resolved. */
export interface RunArguments {
  readonly image: string;
  readonly args: readonly string[];
  readonly name: string;
  readonly command: string;
  readonly detach: boolean;
  readonly remove: boolean;
  readonly env: Readonly<Record<string, string>>;
  readonly ports: readonly string[];
  readonly mounts: readonly Mount[];
}

/** A folder of the node in a container. */
export interface Mount {
  /** Absolute, below the node's folder. */
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
}

/** The label that says which command a container belongs to, for whoever finds one left. */
export const LABEL = "xtask-command";

/** `run`. What follows the image belongs to the program in the container, dashes or not. */
export function runArgv({ image, args, name, command, detach, remove, env, ports, mounts }: RunArguments): string[] {
  return [
    "run",
    `--name=${name}`,
    `--label=${LABEL}=${command}`,
    ...(detach ? ["--detach"] : []),
    ...(remove ? ["--rm"] : []),
    ...pairs(env).map((pair) => `--env=${pair}`),
    ...ports.map((port) => `--publish=${port}`),
    ...mounts.map(({ source, target, readOnly }) =>
      `--mount=type=bind,source=${source},target=${target}${readOnly ? ",readonly" : ""}`
    ),
    "--",
    image,
    ...args,
  ];
}

/** Input of `docker.build`, with its folders resolved. */
export interface BuildArguments {
  /** Absolute. */
  readonly dir: string;
  readonly tag?: string | undefined;
  /** Absolute. */
  readonly file?: string | undefined;
  readonly target?: string | undefined;
  readonly buildArgs: Readonly<Record<string, string>>;
}

/** `build`. */
export function buildArgv({ dir, tag, file, target, buildArgs }: BuildArguments): string[] {
  return [
    "build",
    ...(tag === undefined ? [] : [`--tag=${tag}`]),
    ...(file === undefined ? [] : [`--file=${file}`]),
    ...(target === undefined ? [] : [`--target=${target}`]),
    ...pairs(buildArgs).map((pair) => `--build-arg=${pair}`),
    "--",
    dir,
  ];
}

/** `stop`. The flag's long form has had two names, its short one has not. */
export function stopArgv({ container, timeoutS }: { container: string; timeoutS?: number | undefined }): string[] {
  return ["stop", ...(timeoutS === undefined ? [] : ["-t", String(timeoutS)]), "--", container];
}

/** `logs`. */
export function logsArgv({ container, tail }: { container: string; tail?: number | undefined }): string[] {
  return ["logs", ...(tail === undefined ? [] : [`--tail=${tail}`]), "--", container];
}

/** A volume as it is written, `folder:/target[:ro]`; the schema has seen that it is one. */
export function readVolume(volume: string): { folder: string; target: string; readOnly: boolean } {
  const [folder = "", target = "", mode] = volume.split(":");
  return { folder, target, readOnly: mode === "ro" };
}

function pairs(variables: Readonly<Record<string, string>>): string[] {
  return Object.entries(variables).map(([name, value]) => `${name}=${value}`);
}
