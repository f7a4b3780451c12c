/** The topology: the hub, and how each node is linked to it. */
import type { FleetShown } from "./fleet.tsx";
import type { Frame } from "./frame.ts";
import { Empty } from "./parts.tsx";

const ROW = 30;
const WIDTH = 860;
const HUB = { x: 8, width: 96, height: 40 };
const NODES_X = 330;
/** More would be a wall of lines; a search says which are wanted. */
const ROWS_MAX = 100;

/** The drawing, of the nodes that match. */
export function topologyFrame({ nodes: all, total, wrong }: FleetShown, linked: boolean): Frame {
  const nodes = all.slice(0, ROWS_MAX);
  const height = Math.max(HUB.height, nodes.length * ROW) + 16;
  const middle = height / 2;
  const html = String(
    <section id="fleet" aria-label="Topology">
      <p class="count">
        {all.length} of {total} nodes{all.length > nodes.length ? `, the first ${nodes.length} are drawn` : ""}
      </p>
      {wrong !== undefined && <p class="problem" role="alert">{wrong}</p>}
      {nodes.length === 0 && <Empty title={total === 0 ? "No machine has joined yet" : "No node matches"} />}
      {nodes.length > 0 && (
        <svg class="topology" viewBox={`0 0 ${WIDTH} ${height}`} role="group" aria-label="The hub and its nodes">
          {nodes.map(({ record: { id, state, away, link, platform, slots, running } }, at) => {
            const y = 8 + at * ROW + ROW / 2;
            const used = slots.total - slots.free;
            return (
              <g key={id} class={`link-${state}`}>
                <path d={`M${HUB.x + HUB.width} ${middle} C 210 ${middle}, 230 ${y}, ${NODES_X - 14} ${y}`} />
                <circle cx={String(NODES_X - 8)} cy={String(y)} r="6" />
                <a href={`/nodes/${id}`} data-key-item>
                  <text x={String(NODES_X + 8)} y={String(y + 4)}>{shortened(id)}</text>
                </a>
                <text class="soft" x={String(NODES_X + 190)} y={String(y + 4)}>
                  {state === "offline" ? (away === "stopped" ? "stopped" : "link down") : `${state}, ${linkText(link)}`}
                </text>
                <text class="soft" x={String(WIDTH - 8)} y={String(y + 4)} text-anchor="end">
                  {platform.os}/{platform.arch} · {used}/{slots.total} slots
                  {running.length > 0 ? ` · ${running.length} running` : ""}
                </text>
              </g>
            );
          })}
          <rect
            x={String(HUB.x)}
            y={String(middle - HUB.height / 2)}
            width={String(HUB.width)}
            height={String(HUB.height)}
            rx="8"
          />
          <text x={String(HUB.x + HUB.width / 2)} y={String(middle + 4)} text-anchor="middle">
            {linked ? "hub" : "hub is away"}
          </text>
        </svg>
      )}
    </section>,
  );
  return { id: "fleet", parts: [], html };
}

function linkText({ mode, rttMs }: FleetShown["nodes"][number]["record"]["link"]): string {
  return `${mode === "leaf" ? "leaf node" : "client"}${rttMs === undefined ? "" : `, ${rttMs.toFixed(1)} ms`}`;
}

function shortened(id: string): string {
  return id.length > 22 ? `${id.slice(0, 21)}…` : id;
}
