/** Contexts: the fleets that this person can reach, by name, and which one is meant. */
import * as v from "valibot";
import { writeSecretFile } from "../os/secret_file.ts";
import { XtaskError } from "../protocol/error.ts";
import { Id } from "../protocol/id.ts";
import { parse, parseJson } from "../protocol/parse.ts";

const Name = v.pipe(
  v.string(),
  v.regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/, "expected letters, digits, '-', '_' and '.'"),
);

/** A fleet that can be reached. */
export const Context = v.object({
  name: Name,
  /** NATS address. That of a leaf node's own server holds a password: the file is for its owner alone. */
  url: v.string(),
  /** Path of the credential; absent where the address holds one. */
  creds: v.optional(v.string()),
  /** Address of the page and the API, and the token that programs send there. */
  http: v.optional(v.string()),
  token: v.optional(v.string()),
  project: v.string(),
  /** Id of the leaf node whose own server this is. The hub's answers come to it under its name alone. */
  node: v.optional(Id),
  /** Path of a CA certificate that the server's is checked against, where the system's do not do. */
  ca: v.optional(v.string()),
});
/** A fleet that can be reached. */
export type Context = v.InferOutput<typeof Context>;

/** An address as it may be shown. */
export const withoutPassword = (url: string): string => url.replaceAll(/\/\/[^@/]*@/g, "//");

/** What belongs to a context. */
export interface SaveOptions {
  /** Text of the credential. */
  readonly creds?: string;
  /** PEM of the authorities that the server's certificate is checked against. */
  readonly ca?: string | undefined;
  /** Becomes the current one only where there is none. */
  readonly yielding?: boolean;
}

/** The contexts kept in a folder. */
export interface Contexts {
  list(): Promise<Context[]>;
  /** Name of the one that is meant where none is given. */
  current(): Promise<string | undefined>;
  /** @throws {XtaskError} `not_found` */
  get(name: string): Promise<Context>;
  /** Writes a context and what belongs to it; it becomes the current one. */
  save(context: Omit<Context, "creds" | "ca">, options?: SaveOptions): Promise<Context>;
  use(name: string): Promise<void>;
  remove(name: string): Promise<void>;
}

/** The contexts below the configuration folder. */
export function contextsIn(config: string): Contexts {
  const folder = `${config}/contexts`;
  const file = (name: string) => `${folder}/${parse(Name, name, "name of the context")}.json`;
  const read = async (path: string) => {
    try {
      return await Deno.readTextFile(path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  };
  const get = async (name: string) => {
    const text = v.is(Name, name) ? await read(file(name)) : undefined;
    if (text !== undefined) return parseJson(Context, text, `context ${name}`);
    throw new XtaskError("not_found", `There is no context '${name}'`, { details: ["see: xtask context ls"] });
  };
  const current = async () => (await read(`${config}/context`))?.trim() || undefined;
  return {
    get,
    async list() {
      const names: string[] = [];
      try {
        for await (const { name } of Deno.readDir(folder)) if (name.endsWith(".json")) names.push(name.slice(0, -5));
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
      return await Promise.all(names.sort().map(get));
    },
    current,
    async save(context, { creds, ca, yielding = false } = {}) {
      const path = file(context.name);
      await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
      const beside = { creds: `${folder}/${context.name}.creds`, ca: `${folder}/${context.name}.ca.pem` };
      if (creds !== undefined) await writeSecretFile(beside.creds, creds);
      if (ca !== undefined) await writeSecretFile(beside.ca, ca);
      const saved: Context = {
        ...context,
        ...(creds === undefined ? {} : { creds: beside.creds }),
        ...(ca === undefined ? {} : { ca: beside.ca }),
      };
      await writeSecretFile(path, JSON.stringify(saved, undefined, 2));
      if (!yielding || await current() === undefined) await writeSecretFile(`${config}/context`, context.name);
      return saved;
    },
    async use(name) {
      await get(name);
      await writeSecretFile(`${config}/context`, name);
    },
    async remove(name) {
      const { creds, ca } = await get(name);
      await Deno.remove(file(name));
      for (const path of [creds, ca]) if (path?.startsWith(folder)) await Deno.remove(path);
      if ((await read(`${config}/context`))?.trim() === name) await Deno.remove(`${config}/context`);
    },
  };
}
