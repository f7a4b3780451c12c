/** The fleet: every node with its state, what it is, how busy it is and what runs on it. */
import type { Metrics } from "../lib/protocol/metrics.ts";
import type { NodeRecord } from "../lib/protocol/node.ts";
import type { Frame } from "./frame.ts";
import { elementId, Empty, LabelList, Meter, Sparkline, State } from "./parts.tsx";
import { Ago } from "./time.tsx";

/** What the list shows of a node. */
export interface FleetNode {
  readonly record: NodeRecord & { readonly away?: "stopped" | "lost" | undefined };
  /** What runs there, by id of the command; in words, where they are known. */
  readonly runs: readonly { readonly id: string; readonly words: string | undefined }[];
  readonly samples: readonly Metrics[];
}

/** Options of {@linkcode fleetFrame}. */
export interface FleetShown {
  /** Those that match. */
  readonly nodes: readonly FleetNode[];
  /** How many there are in all. */
  readonly total: number;
  /** Why the selector could not be read. */
  readonly wrong?: string;
}

/** The list of nodes. */
export function fleetFrame({ nodes, total, wrong }: FleetShown): Frame {
  const parts = nodes.map((node) => ({ id: elementId("node", node.record.id), html: String(<NodeRow {...node} />) }));
  const html = String(
    <section id="fleet" aria-label="Nodes">
      <p class="count">
        {nodes.length === total ? `${total} ${total === 1 ? "node" : "nodes"}` : `${nodes.length} of ${total} nodes`}
      </p>
      {wrong !== undefined && <p class="problem" role="alert">{wrong}</p>}
      {total === 0 && (
        <Empty title="No machine has joined yet">
          <p>
            On a machine of the hub: <code>xtask auth invite</code>. It prints the line to paste on the new machine.
          </p>
        </Empty>
      )}
      {total > 0 && nodes.length === 0 && wrong === undefined && <Empty title="No node matches" />}
      <ul class="cards" dangerouslySetInnerHTML={{ __html: parts.map(({ html }) => html).join("") }} />
    </section>,
  );
  return { id: "fleet", parts, html };
}

function NodeRow({ record, runs, samples }: FleetNode) {
  const { id, platform, labels, slots, queued, load, state, since, hostname } = record;
  const used = slots.total - slots.free;
  return (
    <li id={elementId("node", id)} class={`card node node-${state}`}>
      <div class="card-head">
        <a class="node-name" href={`/nodes/${id}`} data-key-item>{id}</a>
        <State of={state} />
      </div>
      <p class="node-what">
        {platform.os}/{platform.arch} · {hostname} · <Cause {...record} /> <Ago at={since} lasts />
      </p>
      <p class="node-labels">
        <LabelList labels={labels} />
      </p>
      <div class="node-load">
        <Sparkline
          values={samples.map(({ cpu }) => cpu.percent)}
          most={100}
          label={`cpu of ${id}: ${Math.round(samples.at(-1)?.cpu.percent ?? 0)} %`}
        />
        <span class="node-numbers">
          <span>load {load.one.toFixed(2)}</span>
          <Meter value={used} of={Math.max(1, slots.total)} label={`${used} of ${slots.total} slots busy`} />
          <span>{used}/{slots.total} slots{queued > 0 ? `, ${queued} waiting` : ""}</span>
        </span>
      </div>
      {runs.length > 0 && (
        <p class="node-runs">
          runs {runs.slice(0, 3).map(({ id: command, words }, at) => (
            <>
              {at > 0 ? ", " : ""}
              <a href={`/commands/${command}`} class="id">{words ?? command.slice(-8)}</a>
            </>
          ))}
          {runs.length > 3 ? ` and ${runs.length - 3} more` : ""}
        </p>
      )}
    </li>
  );
}

/** Why the node is in its state, in words. */
function Cause({ state, running, away }: Pick<FleetNode["record"], "state" | "running" | "away">) {
  switch (state) {
    case "online":
      return <>ready for</>;
    case "busy":
      return <>all slots taken by {running.length} runs for</>;
    case "draining":
      return <>takes no new commands for</>;
    case "offline":
      return away === "stopped"
        ? <>its agent was stopped, offline for</>
        : <>not heard of: its machine, its agent or its link is down, offline for</>;
    default:
      return state satisfies never;
  }
}
