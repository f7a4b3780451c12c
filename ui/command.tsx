/** One command: its run on each node, when what happened, and what can be done about it. */
import { stateOf } from "../lib/protocol/move.ts";
import type { CommandRecord } from "../lib/protocol/run.ts";
import { isTerminal } from "../lib/protocol/state.ts";
import type { Frame } from "./frame.ts";
import { elementId, Empty, State } from "./parts.tsx";
import { Ago, duration } from "./time.tsx";

type Run = CommandRecord["runs"][string];

/** Options of {@linkcode commandFrame}. */
export interface CommandShown {
  readonly command: CommandRecord;
  /** What somebody would type for it after `xtask`, where there is such a line. */
  readonly line: string | undefined;
  readonly now: number;
}

/** The state of a command and of each of its runs. */
export function commandFrame({ command, line, now }: CommandShown): Frame {
  const runs = Object.entries(command.runs).sort(([a], [b]) => a < b ? -1 : 1);
  const parts = runs.map(([node, run]) => ({
    id: elementId("run", node),
    html: String(<RunRow node={node} run={run} />),
  }));
  const ended = runs.filter(([, { state }]) => isTerminal(state)).length;
  const state = stateOf(command);
  const html = String(
    <section id="command" aria-label="Runs" data-nodes={runs.map(([node]) => node).join(",")}>
      <div class="command-head">
        <State of={state} />
        <span>{ended} of {runs.length} {runs.length === 1 ? "run" : "runs"} ended</span>
        <span>
          asked{command.by === undefined ? "" : ` by ${command.by.user}`}
          {command.schedule === undefined ? "" : `, by schedule ${command.schedule},`} <Ago at={command.acceptedAt} />
        </span>
        <span class="actions">
          {ended < runs.length && (
            <button type="button" class="danger" data-post={`/api/v1/commands/${command.id}/cancel`}>Cancel</button>
          )}
          {ended === runs.length && (
            <button type="button" data-post={`/api/v1/commands/${command.id}/retry`} data-then="/commands/{id}">
              Ask again
            </button>
          )}
        </span>
      </div>
      {line !== undefined && (
        <p class="line">
          <code>xtask {line}</code>
          <button type="button" data-copy={`xtask ${line}`}>Copy</button>
          <button type="button" data-console={line}>Change and run</button>
        </p>
      )}
      <Timeline command={command} now={now} />
      <table class="rows">
        <thead>
          <tr>
            <th scope="col">Node</th>
            <th scope="col">State</th>
            <th scope="col">Exit code</th>
            <th scope="col">Took</th>
            <th scope="col">Why</th>
          </tr>
        </thead>
        <tbody dangerouslySetInnerHTML={{ __html: parts.map(({ html }) => html).join("") }} />
      </table>
    </section>,
  );
  return { id: "command", parts, html };
}

/** A command that no node has told of yet. */
export function unheardFrame(): Frame {
  const html = String(
    <section id="command" aria-label="Runs">
      <Empty title="Asked">
        <p>Waiting for the nodes to say that they have it.</p>
      </Empty>
    </section>,
  );
  return { id: "command", parts: [], html };
}

function RunRow({ node, run }: { readonly node: string; readonly run: Run }) {
  return (
    <tr id={elementId("run", node)}>
      <td data-label="Node">
        <a href={`/nodes/${node}`} data-key-item>{node}</a>
      </td>
      <td data-label="State">
        <State of={run.state} />
      </td>
      <td data-label="Exit code">{run.exitCode ?? "–"}</td>
      <td data-label="Took">{run.durationMs === undefined ? "–" : duration(run.durationMs)}</td>
      <td data-label="Why">{run.error?.message ?? ""}</td>
    </tr>
  );
}

const ROW = 22;
const WIDTH = 720;
const NAMES = 140;
const ROWS_MAX = 40;

/** When each run waited and worked: a bar a node, from the moment of asking. */
function Timeline({ command, now }: { readonly command: CommandRecord; readonly now: number }) {
  const all = Object.entries(command.runs).sort(([a], [b]) => a < b ? -1 : 1);
  const runs = all.slice(0, ROWS_MAX);
  const begun = Date.parse(command.acceptedAt);
  const endOf = ({ finishedAt, state }: Run) =>
    finishedAt !== undefined ? Date.parse(finishedAt) : isTerminal(state) ? begun : now;
  const end = Math.max(begun + 1, ...runs.map(([, run]) => endOf(run)));
  const x = (time: number) => NAMES + (WIDTH - NAMES) * Math.min(1, Math.max(0, (time - begun) / (end - begun)));
  const height = runs.length * ROW + 18;
  return (
    <svg
      class="timeline"
      viewBox={`0 0 ${WIDTH} ${height}`}
      role="img"
      aria-label={`Timeline over ${duration(end - begun)}`}
    >
      {runs.map(([node, run], at) => {
        const started = run.startedAt === undefined ? endOf(run) : Date.parse(run.startedAt);
        const y = at * ROW;
        return (
          <g key={node}>
            <text x="0" y={String(y + 15)} class="timeline-name">
              {node.length > 18 ? `${node.slice(0, 17)}…` : node}
            </text>
            <rect
              class="bar bar-waiting"
              x={x(begun).toFixed(1)}
              y={String(y + 5)}
              width={Math.max(0, x(started) - x(begun)).toFixed(1)}
              height="12"
              rx="2"
            />
            <rect
              class={`bar bar-${run.state}`}
              x={x(started).toFixed(1)}
              y={String(y + 3)}
              width={Math.max(2, x(endOf(run)) - x(started)).toFixed(1)}
              height="16"
              rx="3"
            >
              <title>{node}: {run.state}</title>
            </rect>
          </g>
        );
      })}
      <text x={String(NAMES)} y={String(height - 3)} class="timeline-scale">0</text>
      <text x={String(WIDTH)} y={String(height - 3)} class="timeline-scale" text-anchor="end">
        {duration(end - begun)}
        {all.length > runs.length ? `, ${all.length - runs.length} more nodes not drawn` : ""}
      </text>
    </svg>
  );
}
