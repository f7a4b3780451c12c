/** How this machine belongs to a hub: by joining it with a token, or as it did before. */
import * as v from "valibot";
import { lockFolder } from "../../os/lock.ts";
import { writeSecretFile } from "../../os/secret_file.ts";
import { XtaskError } from "../../protocol/error.ts";
import { Id } from "../../protocol/id.ts";
import { parseJson } from "../../protocol/parse.ts";
import { join, type LeafNodeOptions } from "../../system.ts";
import { assetPath } from "../assets.ts";
import type { Shell } from "../shell.ts";

/** What a node starts with. */
export interface Membership {
  /** Text of its creds file. */
  readonly creds: string;
  /** PEM of the authorities that the hub's certificate is checked against, beside those that the system knows. */
  readonly ca?: string;
  readonly leaf?: LeafNodeOptions;
}

/** Who joins what. */
export interface Joining {
  readonly servers: string;
  readonly node: string;
  /** The agent's folder. */
  readonly home: string;
  readonly token: string | undefined;
  /** Whether as a client of the hub, without a server of its own. */
  readonly client: boolean;
  readonly tlsCa?: string;
}

/** What the hub told a leaf node when it joined. */
const Saved = v.object({ project: Id, leafPort: v.number() });

/**
 * Joins with the token, or finds what an earlier joining left. A node stays what it joined as.
 *
 * @throws {XtaskError} `unauthenticated` where there is neither, `invalid` for a token of another kind, `conflict` where an
 * agent runs in that folder
 */
export async function membershipOf(shell: Shell, joining: Joining): Promise<Membership> {
  const { token, home, node } = joining;
  const known = `${home}/${node}.leaf.json`;
  if (token !== undefined) await joinHub(joining, token, known);
  const saved = await readIfThere(known);
  if (joining.client && saved !== undefined) {
    throw new XtaskError("invalid", `Node '${node}' has joined with a server of its own`, {
      details: ["leave out --client, or join anew: xtask agent --hub URL --client --join TOKEN"],
    });
  }
  const creds = await readIfThere(shell.env.XTASK_NATS_CREDS ?? `${home}/${node}.creds`);
  if (creds === undefined) {
    throw new XtaskError("unauthenticated", `Node '${node}' has not joined this hub yet`, {
      details: ["on the hub's machine: xtask auth invite --role node", "then paste here the line that it prints"],
    });
  }
  const ca = joining.tlsCa ?? await readIfThere(caFile(joining));
  const trusted = ca === undefined ? {} : { ca };
  if (saved === undefined) return { creds, ...trusted };
  const { project, leafPort: port } = parseJson(Saved, saved, known);
  return { creds, ...trusted, leaf: { project, port, natsServer: await assetPath(shell, "nats-server") } };
}

const caFile = ({ home, node }: Pick<Joining, "home" | "node">) => `${home}/${node}.ca.pem`;

async function joinHub(joining: Joining, token: string, known: string): Promise<void> {
  const { servers, node, home, client, tlsCa } = joining;
  const given = tlsCa === undefined ? {} : { tlsCa };
  // Before the token is used up: whether what comes of it can be kept here, and belongs to nobody who runs.
  using _lock = await lockFolder(home, "An agent");
  const { creds, role, project, leafPort, ca } = await join({ servers, token, name: node, leaf: !client, ...given });
  if (role !== "node") {
    throw new XtaskError("invalid", `This token invites a person (${role})`, { details: ["use: xtask auth join"] });
  }
  await writeSecretFile(`${home}/${node}.creds`, creds);
  if (ca !== undefined) await writeSecretFile(caFile(joining), ca);
  else await Deno.remove(caFile(joining)).catch(unlessMissing);
  if (!client) await writeSecretFile(known, JSON.stringify({ project, leafPort }));
  else await Deno.remove(known).catch(unlessMissing);
}

async function readIfThere(path: string): Promise<string | undefined> {
  return await Deno.readTextFile(path).catch(unlessMissing);
}

function unlessMissing(error: unknown): undefined {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}
