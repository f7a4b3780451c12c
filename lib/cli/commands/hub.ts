/** `xtask hub`: a hub of this machine as a whole: backed up while it runs, and made again of a backup. */
import { backUp, type Manifest, newestFact } from "../../hub/backup.ts";
import { restoreHub } from "../../hub/restore.ts";
import { assetPath } from "../assets.ts";
import type { Shell } from "../shell.ts";
import { untilStopped } from "../signals.ts";

/** The context of the hub that runs on this machine. */
const LOCAL = "local";

/** Writes a backup of this machine's hub into a new folder. */
export async function backup(
  this: Shell,
  { json, keys = `${this.paths.data}/hub/keys.json` }: { readonly json: boolean; readonly keys?: string },
  folder: string,
): Promise<void> {
  const { url, ca } = await this.context(LOCAL);
  const report = (line: string) => json ? undefined : this.note(line);
  const tls = ca === undefined ? {} : { tls: { ca: await Deno.readTextFile(ca) } };
  const manifest = await backUp({ keys, servers: url, ...tls, folder, report });
  if (json) return this.print(JSON.stringify(summaryOf(manifest, folder)));
  this.print(
    `Backed up to ${folder}: ${messagesOf(manifest)} messages of ${projectsOf(manifest)}, as of ${manifest.at}`,
  );
  this.note("It holds the hub's keys: whoever has it can be any node and anybody. Keep it as you keep a password.");
}

/** Makes a hub of a backup in this home. */
export async function restore(this: Shell, { json }: { readonly json: boolean }, folder: string): Promise<void> {
  using stop = untilStopped(this);
  const report = (line: string) => json ? undefined : this.note(line);
  const options = { folder, home: this.paths.data, natsServer: await assetPath(this, "nats-server"), report };
  const manifest = await restoreHub(options, stop.signal);
  if (json) return this.print(JSON.stringify(summaryOf(manifest, folder)));
  this.print(`Restored ${messagesOf(manifest)} messages of ${projectsOf(manifest)}. Start the hub: xtask up`);
  this.note(
    `Missing is what happened after ${
      newestFact(manifest) ?? manifest.at
    }: commands, results and output that nodes had ` +
      "handed over by then. What they still hold they tell when they are back, and nodes that joined since must join again.",
  );
}

function summaryOf(manifest: Manifest, folder: string) {
  const { at, version, projects } = manifest;
  return {
    folder,
    at,
    version,
    newestFact: newestFact(manifest),
    messages: messagesOf(manifest),
    projects: projects.map(({ project }) => project),
  };
}

function messagesOf({ projects }: Manifest): number {
  return projects.flatMap(({ streams }) => streams).reduce((sum, { stream }) => sum + stream.state.messages, 0);
}

function projectsOf({ projects }: Manifest): string {
  return projects.map(({ project }) => project).join(", ");
}
