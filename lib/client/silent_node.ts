/** Why a node did not answer, as far as the hub knows. */
import { XtaskError } from "../protocol/error.ts";
import type { NodeRecord } from "../protocol/node.ts";

/**
 * The error for whoever asked a node in vain: that there is none of that id, that it is away, or that nothing is known.
 *
 * @param known Asks for all nodes
 * @param cause What asking the node came to
 */
export async function silentNode(
  known: () => Promise<readonly NodeRecord[]>,
  id: string,
  cause: unknown,
): Promise<XtaskError> {
  let nodes: readonly NodeRecord[];
  try {
    nodes = await known();
  } catch {
    // Without the hub nobody knows; that the node is silent stays true.
    return new XtaskError("unavailable", `Node '${id}' does not answer`, {
      details: ["is it running? The hub, which would know, does not answer either"],
      cause,
    });
  }
  const node = nodes.find((one) => one.id === id);
  if (node === undefined) return unknownNode(id, nodes);
  const away = node.state === "offline";
  return new XtaskError("unavailable", `Node '${id}' ${away ? `is away since ${node.since}` : "does not answer"}`, {
    details: [away ? "leave a command for it with --queue, or start its agent" : "is it running? see: xtask nodes"],
    cause,
  });
}

/** The error for an id that no node has. */
export function unknownNode(id: string, nodes: readonly NodeRecord[]): XtaskError {
  const ids = nodes.map((node) => node.id).join(", ");
  return new XtaskError("not_found", `There is no node '${id}'`, {
    details: [ids === "" ? "there are none yet; add one: xtask auth invite" : `there are ${ids}`],
  });
}
