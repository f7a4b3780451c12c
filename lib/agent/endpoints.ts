/** What a node says that it answers: the subjects that `nats micro info` lists. */
import type { Capability } from "../capability/define.ts";
import { commandSubject, DISCOVER, nodeControlSubject, runSubject, statusSubject } from "../protocol/subjects.ts";
import type { Endpoint } from "./services.ts";

/** The endpoints of a node with these capabilities. A verb whose token is an input has one for all of its values. */
export function endpointsOf(node: string, capabilities: Iterable<Capability>): Endpoint[] {
  const own = [
    { name: "status", subject: statusSubject(node) },
    { name: "discover", subject: DISCOVER },
    { name: "run-cancel", subject: runSubject(node, "cancel") },
    { name: "run-status", subject: runSubject(node, "status") },
    { name: "node-label", subject: nodeControlSubject(node, "label") },
    { name: "node-drain", subject: nodeControlSubject(node, "drain") },
    { name: "node-resume", subject: nodeControlSubject(node, "resume") },
  ];
  const offered = [...capabilities].flatMap(({ name, verbs }) =>
    Object.entries(verbs).map(([verb, { token }]) => ({
      name: `${name}-${verb}`,
      subject: commandSubject(node, name, token === undefined ? verb : "*"),
    }))
  );
  return [...own, ...offered].map((endpoint) => ({ ...endpoint, metadata: {} }));
}
