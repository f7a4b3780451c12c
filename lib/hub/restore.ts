/** A hub made of a backup. */
import type { ProjectKeys } from "../auth/keyring.ts";
import { openBus } from "../nats/bus.ts";
import { startServer } from "../nats/server.ts";
import { hubConfig } from "../nats/server_config.ts";
import { assertJetStream } from "../nats/streams.ts";
import { lockFolder } from "../os/lock.ts";
import { writeSecretFile } from "../os/secret_file.ts";
import { XtaskError } from "../protocol/error.ts";
import { type Manifest, putBack, verified } from "./backup.ts";

/** Options of {@linkcode restoreHub}. */
export interface RestoreOptions {
  /** The folder of the backup. */
  readonly folder: string;
  /** Where the hub is to be kept; none may be there. */
  readonly home: string;
  /** Path of nats-server. */
  readonly natsServer: string;
  /** Hears how far it is. */
  readonly report: (line: string) => void;
}

/**
 * Makes a hub of a backup, to be started like any other. Where that fails nothing is left of it.
 *
 * @throws {XtaskError} `conflict` where a hub is there already, `invalid` for a backup that is damaged
 */
export async function restoreHub(options: RestoreOptions, signal?: AbortSignal): Promise<Manifest> {
  const { folder, home, natsServer, report } = options;
  const hub = `${home}/hub`;
  if (await Deno.stat(`${hub}/keys.json`).then(() => true, () => false)) {
    throw new XtaskError("conflict", `There is a hub in ${home} already`, {
      details: ["move it away first, or give this one another home with XTASK_HOME"],
    });
  }
  const backup = await verified(folder);
  using _lock = await lockFolder(hub, "A hub");
  try {
    {
      await using server = await startServer({
        program: natsServer,
        home: `${hub}/nats`,
        host: "127.0.0.1",
        port: 0,
        config: hubConfig(`${hub}/nats`, backup.keyring.trust),
        probe: (url, within) => answers(backup.keyring.projects[0], url, within),
        onChange: ({ reason }) => report(reason),
        onStore: (reason) => reason !== undefined && report(reason),
      }, signal);
      await putBack(backup, folder, server.url, report);
    }
    // Last: with its keys it is a hub that can be started.
    await writeSecretFile(`${hub}/keys.json`, await Deno.readTextFile(`${folder}/keys.json`));
  } catch (error) {
    await Deno.remove(`${hub}/nats`, { recursive: true }).catch(() => {});
    throw error;
  }
  return backup.manifest;
}

async function answers(keys: ProjectKeys, servers: string, signal: AbortSignal): Promise<void> {
  await using bus = await openBus({ servers, creds: keys.hubCreds(), reconnect: false, signal });
  await assertJetStream(bus);
}
