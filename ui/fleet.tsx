/** The fleet: every node with its state and its cause, what it is, how busy it is, what runs on it and what waits for it. */
import type { Metrics } from "../lib/protocol/metrics.ts";
import type { NodeRecord } from "../lib/protocol/node.ts";
import type { Frame } from "./frame.ts";
import { elementId, Empty, LabelList, Meter, Sparkline, State } from "./parts.tsx";
import { Ago } from "./time.tsx";

/** A command on a node; in words, where they are known. */
export interface NodeRun {
  readonly id: string;
  readonly words: string | undefined;
}

/** What the list shows of a node. */
export interface FleetNode {
  readonly record: NodeRecord & {
    readonly away?: "stopped" | "lost" | undefined;
    /** When it was last heard of. */
    readonly seenAt?: string | undefined;
  };
  /** What runs there. */
  readonly runs: readonly NodeRun[];
  /** What waits there for a slot, or at the hub for the node to be back. */
  readonly waiting: readonly NodeRun[];
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
  const parts = nodes.map((node) => ({ id: elementId("node", node.record.id), html: cards.of(node) }));
  const html = String(
    <section id="fleet" aria-label="Nodes">
      <FleetHead {...{ nodes, total, ...(wrong === undefined ? {} : { wrong }) }} />
      <ul class="cards" dangerouslySetInnerHTML={{ __html: parts.map(({ html }) => html).join("") }} />
    </section>,
  );
  return { id: "fleet", parts, html };
}

/** Records are replaced, never changed: a card is made anew only for a node of which something is new. */
const cards = keptBy<FleetNode>((node) => String(<NodeRow {...node} />));

/** What is made of a node, kept for as long as all that it is made of stays the same. */
export function keptBy<N extends FleetNode>(make: (node: N) => string) {
  const kept = new WeakMap<object, { readonly samples: unknown; readonly runs: string; readonly html: string }>();
  return {
    of(node: N): string {
      const { record, samples } = node;
      const runs = node.runs.length + node.waiting.length === 0 ? "" : JSON.stringify([node.runs, node.waiting]);
      const known = kept.get(record);
      if (known?.samples === samples && known.runs === runs) return known.html;
      const html = make(node);
      kept.set(record, { samples, runs, html });
      return html;
    },
  };
}

/** How many match, or why there is nothing to see. */
export function FleetHead({ nodes, total, wrong }: FleetShown) {
  return (
    <>
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
      {total > 0 && nodes.length === 0 && wrong === undefined && (
        <Empty title="No node matches">
          <p>
            <a href="/">Show all {total}</a>
          </p>
        </Empty>
      )}
    </>
  );
}

/** Commands that a card names. */
const NAMED_MAX = 3;

function NodeRow({ record, runs, waiting, samples }: FleetNode) {
  const { id, platform, labels, slots, load, state, hostname } = record;
  const used = slots.total - slots.free;
  return (
    <li id={elementId("node", id)} class={`card node node-${state}`}>
      <div class="card-head">
        <a class="node-name" href={`/nodes/${id}`} data-key-item>{id}</a>
        <State of={state} />
      </div>
      <p class="node-why">
        <Cause {...record} />
      </p>
      <p class="node-what">{platform.os}/{platform.arch} · {hostname}</p>
      {Object.keys(labels).length > 0 && (
        <p class="node-what">
          <LabelList labels={labels} />
        </p>
      )}
      {state !== "offline" && (
        <div class="node-load">
          <Sparkline
            values={samples.map(({ load }) => load)}
            most={load.cores}
            label={`load of ${id}: ${load.one.toFixed(2)}, ${load.cores} cores`}
          />
          <span>load {load.one.toFixed(2)}</span>
          <span class="node-slots">
            <Meter value={used} of={Math.max(1, slots.total)} label={`${used} of ${slots.total} slots busy`} />
            {used}/{slots.total} slots
          </span>
        </div>
      )}
      <RunList title="runs" runs={runs} />
      <RunList title={state === "offline" ? "waits for it:" : "waits:"} runs={waiting} />
    </li>
  );
}

function RunList({ title, runs }: { readonly title: string; readonly runs: readonly NodeRun[] }) {
  if (runs.length === 0) return null;
  return (
    <p class="node-runs">
      <span>{title}</span>
      {runs.slice(0, NAMED_MAX).map(({ id, words }) => (
        <a key={id} href={`/commands/${id}`} class="id">{words ?? id.slice(-8)}</a>
      ))}
      {runs.length > NAMED_MAX && <span>and {runs.length - NAMED_MAX} more</span>}
    </p>
  );
}

/** Why the node is in its state, in words. */
export function Cause({ state, slots, since, away, seenAt, link }: FleetNode["record"]) {
  if (state === "offline") {
    return away === "stopped"
      ? (
        <>
          stopped <Ago at={since} />
        </>
      )
      : (
        <>
          last heard of <Ago at={seenAt ?? since} />: its machine, its agent or its link is down
        </>
      );
  }
  if (link.up === false) {
    return (
      <>
        the hub does not answer it
        {link.contactAt !== undefined && (
          <>
            {" "}
            since <Ago at={link.contactAt} />
          </>
        )}
      </>
    );
  }
  switch (state) {
    case "online":
      return (
        <>
          ready for <Ago at={since} lasts />
        </>
      );
    case "busy":
      return (
        <>
          {slots.total === 1 ? "its one slot is" : "all its slots are"} taken for <Ago at={since} lasts />
        </>
      );
    case "draining":
      return (
        <>
          takes no new commands for <Ago at={since} lasts />
        </>
      );
    default:
      return state satisfies never;
  }
}
