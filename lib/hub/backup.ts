/**
 * A hub as a folder: its keys and every stream of every project, as they are at a moment, with a manifest that says what each
 * file has to hash to. The hub goes on meanwhile.
 */
import { createHash } from "node:crypto";
import * as v from "valibot";
import { type Keyring, openKeyring, type ProjectKeys } from "../auth/keyring.ts";
import { type Bus, openBus } from "../nats/bus.ts";
import type { TlsOptions } from "../nats/connect.ts";
import { restore, snapshot, StreamBackup, streamNames } from "../nats/snapshot.ts";
import { STREAM } from "../nats/streams.ts";
import { writeSecretFile } from "../os/secret_file.ts";
import { XtaskError } from "../protocol/error.ts";
import { Time } from "../protocol/time.ts";
import { parseJson } from "../protocol/parse.ts";
import { VERSION } from "../protocol/version.ts";

/** What is in a backup. */
export const Manifest = v.object({
  format: v.literal(1),
  version: v.string(),
  at: Time,
  keysSha256: v.string(),
  projects: v.array(v.object({
    project: v.string(),
    streams: v.array(v.object({
      file: v.pipe(v.string(), v.regex(/^[a-z0-9_-]+\/[A-Za-z0-9_-]+\.stream$/)),
      sha256: v.string(),
      bytes: v.number(),
      stream: StreamBackup,
    })),
  })),
});
/** What is in a backup. */
export type Manifest = v.InferOutput<typeof Manifest>;

const KEYS = "keys.json";
const MANIFEST = "manifest.json";

/** Who is there says so again, to the hub that is there then. */
const NOT_KEPT: readonly string[] = [STREAM.presence, STREAM.here];

/** Options of {@linkcode backUp}. */
export interface BackUpOptions {
  /** The file of the hub's keys. */
  readonly keys: string;
  /** Where its server is reached. */
  readonly servers: string;
  readonly tls?: TlsOptions;
  /** The folder to write; it must not be there yet, and is there only when it is whole. */
  readonly folder: string;
  /** Hears how far it is. */
  readonly report: (line: string) => void;
}

/**
 * Writes a backup of a running hub.
 *
 * @throws {XtaskError} `conflict` where the folder is there already, `unavailable` where the hub does not answer
 */
export async function backUp({ keys, servers, tls, folder, report }: BackUpOptions): Promise<Manifest> {
  if (await Deno.stat(folder).then(() => true, () => false)) {
    throw new XtaskError("conflict", `${folder} is there already`, {
      details: ["name a folder that is not there yet"],
    });
  }
  const text = await Deno.readTextFile(keys);
  const keyring = await openKeyring(keys, []);
  const unfinished = `${folder}.${crypto.randomUUID().slice(0, 8)}.tmp`;
  await Deno.mkdir(unfinished, { recursive: true, mode: 0o700 });
  try {
    const at = new Date().toISOString();
    const projects: Manifest["projects"] = [];
    for (const project of keyring.projects) {
      const creds = project.hubCreds();
      await using bus = await openBus({ servers, creds, name: "xtask backup", reconnect: false, ...(tls && { tls }) });
      projects.push({ project: project.project, streams: await writeStreams(bus, project, unfinished, report) });
    }
    const manifest: Manifest = { format: 1, version: VERSION, at, keysSha256: sha256Of(text), projects };
    await writeSecretFile(`${unfinished}/${KEYS}`, text);
    await Deno.writeTextFile(`${unfinished}/${MANIFEST}`, JSON.stringify(manifest, undefined, 2));
    await Deno.rename(unfinished, folder);
    return manifest;
  } catch (error) {
    await Deno.remove(unfinished, { recursive: true });
    throw error;
  }
}

async function writeStreams(bus: Bus, { project }: ProjectKeys, folder: string, report: (line: string) => void) {
  await Deno.mkdir(`${folder}/${project}`, { mode: 0o700 });
  const written: Manifest["projects"][number]["streams"] = [];
  // What others derive from comes last: then it has all that they have.
  const names = (await streamNames(bus)).filter((name) => !NOT_KEPT.includes(name)).sort((a, b) =>
    Number(a === STREAM.up) - Number(b === STREAM.up)
  );
  for (const name of names) {
    const file = `${project}/${name}.stream`;
    const hash = createHash("sha256");
    let bytes = 0;
    using out = await Deno.open(`${folder}/${file}`, { write: true, createNew: true, mode: 0o600 });
    const stream = await snapshot(bus, name, async (chunk) => {
      hash.update(chunk);
      bytes += chunk.length;
      for (let at = 0; at < chunk.length;) at += await out.write(chunk.subarray(at));
    });
    await out.sync();
    report(`${project}: ${name}, ${stream.state.messages} messages`);
    written.push({ file, sha256: hash.digest("hex"), bytes, stream });
  }
  return written;
}

/**
 * Reads what a backup says of itself, and every byte of it.
 *
 * @throws {XtaskError} `not_found` where there is none, `invalid` where it is not what was written
 */
export async function verified(folder: string): Promise<{ manifest: Manifest; keyring: Keyring }> {
  let text: string;
  try {
    text = await Deno.readTextFile(`${folder}/${MANIFEST}`);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new XtaskError("not_found", `There is no backup in ${folder}`, {
      details: ["give the folder that xtask hub backup wrote"],
    });
  }
  const manifest = parseJson(Manifest, text, `manifest of ${folder}`);
  const damaged = (file: string) =>
    new XtaskError("invalid", `${folder}/${file} is not what was written`, { details: ["use another backup"] });
  const keys = await Deno.readTextFile(`${folder}/${KEYS}`).catch(() => "");
  if (sha256Of(keys) !== manifest.keysSha256) throw damaged(KEYS);
  for (const { streams } of manifest.projects) {
    for (const { file, sha256 } of streams) {
      const hash = createHash("sha256");
      try {
        for await (const chunk of (await Deno.open(`${folder}/${file}`)).readable) hash.update(chunk);
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
      if (hash.digest("hex") !== sha256) throw damaged(file);
    }
  }
  return { manifest, keyring: await openKeyring(`${folder}/${KEYS}`, []) };
}

/**
 * Has an empty server take the streams of a backup.
 *
 * @throws {XtaskError} `internal` with what the server says
 */
export async function putBack(
  { manifest, keyring }: Awaited<ReturnType<typeof verified>>,
  folder: string,
  servers: string,
  report: (line: string) => void,
): Promise<void> {
  for (const keys of keyring.projects) {
    const { streams = [] } = manifest.projects.find(({ project }) => project === keys.project) ?? {};
    await using bus = await openBus({ servers, creds: keys.hubCreds(), name: "xtask restore", reconnect: false });
    // What others derive from comes first: without it they'd try again after pauses that grow.
    for (const { file, stream } of streams.toReversed()) {
      const { config, state } = stream;
      await restore(
        bus,
        // That of a cluster had copies, which one server cannot have.
        { config: { ...config, num_replicas: 1 }, state },
        (await Deno.open(`${folder}/${file}`)).readable,
      );
      report(`${keys.project}: ${stream.config.name}, ${stream.state.messages} messages`);
    }
  }
}

/** When the newest fact of a backup was stored: what happened later is not in it. */
export function newestFact({ projects }: Manifest): string | undefined {
  return projects.flatMap(({ streams }) => streams)
    .filter(({ stream }) => stream.state.messages > 0)
    .map(({ stream }) => stream.state.last_ts ?? "").sort().at(-1);
}

function sha256Of(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
