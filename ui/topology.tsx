/** The topology: the hub, and how each node is linked to it. */
import { FleetHead, type FleetNode, type FleetShown, keptBy } from "./fleet.tsx";
import type { Frame } from "./frame.ts";
import { backlogText, LastContact, linkState, linkWord, modeWord, roundTrip } from "./link.tsx";
import { elementId, State } from "./parts.tsx";

/** The drawing, of the nodes that match: a tree, each branch drawn as its link is. */
export function topologyFrame({ linked, ...shown }: FleetShown & { readonly linked: boolean }): Frame {
  const parts = shown.nodes.map((node) => ({
    id: elementId("branch", node.record.id),
    html: branches.of(node),
  }));
  const html = String(
    <section id="fleet" aria-label="Topology">
      <FleetHead {...shown} />
      {shown.nodes.length > 0 && (
        <div class={`topology ${linked ? "" : "topology-away"}`}>
          <p class="topology-hub">
            <strong>hub</strong> <span>{linked ? "answers" : "does not answer"}</span>
          </p>
          <ul dangerouslySetInnerHTML={{ __html: parts.map(({ html }) => html).join("") }} />
        </div>
      )}
    </section>,
  );
  return { id: "fleet", parts, html };
}

const branches = keptBy<FleetNode>((node) => String(<Branch {...node} />));

function Branch({ record, runs, waiting }: FleetNode) {
  const { id, state, slots } = record;
  const [trip, backlog] = [roundTrip(record), backlogText(record)];
  return (
    <li id={elementId("branch", id)} class={`branch link-${linkState(record)} mode-${record.link.mode}`}>
      <span class="branch-trip">{trip ?? ""}</span>
      <div class="branch-node">
        <a class="node-name" href={`/nodes/${id}`} data-key-item>{id}</a>
        <State of={state} />
        <span class="branch-link">
          {modeWord(record)}, {linkWord(record)}
          {trip === undefined ? "" : <span class="branch-trip-too">, {trip} there and back</span>}
          {backlog === undefined || backlog === "nothing waits" ? "" : `, ${backlog} for the hub`}, heard of{" "}
          <LastContact {...record} />
        </span>
        <span class="branch-slots">
          {state === "offline" ? `${slots.total} slots` : `${slots.total - slots.free}/${slots.total} slots`}
          {runs.length > 0 ? `, ${runs.length} running` : ""}
          {waiting.length > 0 ? `, ${waiting.length} waiting` : ""}
        </span>
      </div>
    </li>
  );
}
