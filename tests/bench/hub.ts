/** A hub for a measurement, and agents as processes of their own beside it. */
import { openKeyring } from "../../lib/auth/keyring.ts";
import { startFleet, type TestFleet } from "../fleet.ts";
import { spawnXtask, type XtaskProcess } from "../xtask_process.ts";

/** A hub. Disposing it ends its agents too. */
export interface BenchHub extends AsyncDisposable {
  readonly fleet: TestFleet;
  /** A file with a node's credential, which may be handed to a program. */
  nodeCreds(name: string): Promise<string>;
  /** A file with the credential of who started the hub. */
  readonly adminCreds: string;
  /** A file with the hub's own credential, which may answer as often as it likes. */
  readonly hubCreds: string;
  /** Starts `xtask agent` as that node, a client or a leaf, offering the folder; resolves when it takes commands. */
  agent(name: string, dir: string, options?: { leaf?: boolean }): Promise<XtaskProcess>;
}

/** Starts a hub without a node. */
export async function startBenchHub(): Promise<BenchHub> {
  await using stack = new AsyncDisposableStack();
  const fleet = stack.use(await startFleet({ nodes: [] }));
  const keep = async (name: string, creds: string) => {
    const path = `${fleet.folder}/${name}.creds`;
    await Deno.writeTextFile(path, creds, { mode: 0o600 });
    return path;
  };
  const nodeCreds = async (name: string) => await keep(name, await fleet.join("node", name));
  const adminCreds = await keep("bench-admin", fleet.up.adminCreds);
  const { projects: [keyring] } = await openKeyring(`${fleet.folder}/hub/hub/keys.json`, []);
  const hubCreds = await keep("bench-hub", keyring.hubCreds());
  const owned = stack.move();
  return {
    fleet,
    nodeCreds,
    adminCreds,
    hubCreds,
    async agent(name, dir, { leaf = false } = {}) {
      const token = leaf ? (await fleet.up.hub.invite("node")).token : undefined;
      const process = owned.use(
        await spawnXtask(
          ["agent", "--name", name, "--hub", fleet.url, "--dir", dir, "--json", ...token ? ["--join", token] : []],
          {
            home: `${fleet.folder}/home-${name}`,
            cwd: dir,
            env: token ? {} : { XTASK_NATS_CREDS: await nodeCreds(name) },
          },
        ),
      );
      await process.ready();
      return process;
    },
    [Symbol.asyncDispose]: () => owned[Symbol.asyncDispose](),
  };
}
