/** One command: its run on each node, when what happened, why, and what can be done about it. */
import { stateOf, whereabouts } from "../lib/protocol/move.ts";
import type { CommandRecord } from "../lib/protocol/run.ts";
import { isTerminal } from "../lib/protocol/state.ts";
import type { Frame } from "./frame.ts";
import { elementId, Empty, State } from "./parts.tsx";
import { Ago, duration, Until } from "./time.tsx";

type Run = CommandRecord["runs"][string];

/** Options of {@linkcode commandFrame}. */
export interface CommandShown {
  readonly command: CommandRecord;
  /** What somebody would type for it after `xtask`, where there is such a line. */
  readonly line: string | undefined;
  /** The same command asked before and after, newest first, this one among them; empty where it was asked once. */
  readonly asked: readonly CommandRecord[];
  /** Whether a node is there; undefined for one that is not known. */
  readonly isThere: (node: string) => boolean | undefined;
  readonly now: number;
}

const names = (runs: readonly (readonly [node: string, run: Run])[]) => runs.map(([node]) => node).join(",");

/** The state of a command and of each of its runs. */
export function commandFrame({ command, line, asked, isThere, now }: CommandShown): Frame {
  const runs = Object.entries(command.runs).sort(([a], [b]) => a < b ? -1 : 1);
  const span = spanOf(command, now);
  const parts = runs.map(([node, run]) => ({
    id: elementId("run", node),
    html: String(<RunRow node={node} run={run} span={span} there={isThere(node)} />),
  }));
  const ended = runs.filter(([, { state }]) => isTerminal(state)).length;
  const missed = runs.filter(([, { state }]) => isTerminal(state) && state !== "succeeded").length;
  const retry = `/api/v1/commands/${command.id}/retry`;
  const { move, by, schedule, keep } = command;
  const whole = stateOf(command);
  const open = !isTerminal(whole);
  const html = String(
    <section
      id="command"
      aria-label="Runs"
      data-nodes={names(runs)}
      data-running={names(runs.filter(([, { state }]) => !isTerminal(state)))}
    >
      <div class="command-head">
        <State of={whole} />
        <span>
          {move === undefined
            ? `${ended} of ${runs.length} ${runs.length === 1 ? "run" : "runs"} ended`
            : whereabouts({ move, runs: command.runs })}
        </span>
        <span>
          asked{by === undefined ? "" : ` by ${by.user}`}
          {schedule === undefined ? "" : `, by schedule ${schedule},`} <Ago at={command.acceptedAt} />
          {keep && ", outlives its agent"}
        </span>
        <span class="actions">
          {open && (
            <button type="button" class="danger" data-post={`/api/v1/commands/${command.id}/cancel`}>Cancel</button>
          )}
          {(move === undefined ? ended > 0 && missed > 0 : !open && whole !== "succeeded") && (
            <button type="button" data-post={retry} data-then="/commands/{id}">
              {move !== undefined || missed === runs.length ? "Retry" : `Retry where it did not succeed (${missed})`}
            </button>
          )}
          {!open && missed < runs.length && (
            <button type="button" data-post={retry} data-body='{"all":true}' data-then="/commands/{id}">
              Run {runs.length === 1 ? "" : "all "}again
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
      <table class="rows runs">
        <thead>
          <tr>
            <th scope="col">Node</th>
            <th scope="col">State</th>
            <th scope="col">
              <span class="span-of">
                <span class="visually-hidden">When:</span>
                <span>0</span>
                <span>{duration(span.end - span.begun)}</span>
              </span>
            </th>
            <th scope="col">Took</th>
            <th scope="col">Exit code</th>
          </tr>
        </thead>
        <tbody dangerouslySetInnerHTML={{ __html: parts.map(({ html }) => html).join("") }} />
      </table>
      {move !== undefined && move.lost.length > 0 && <Lost lost={move.lost} />}
      {asked.length > 1 && <AskedToo command={command} asked={asked} />}
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

/** The heading of a command's page, which a new command has not yet when it is opened. */
export function titleFrame(title: string): Frame {
  return { id: "title", parts: [], html: String(<h1 id="title">{title}</h1>) };
}

function RunRow({ node, run, span, there }: {
  readonly node: string;
  readonly run: Run;
  readonly span: Span;
  readonly there: boolean | undefined;
}) {
  const { state, exitCode, durationMs, attempt, stale = false } = run;
  return (
    <tr id={elementId("run", node)} class={stale ? "stale" : ""}>
      <td data-label="Node">
        <a href={`/nodes/${node}`} data-key-item>{node}</a>
      </td>
      <td data-label="State">
        <State of={state} />
        {(attempt > 1 || stale) && <span class="attempt">attempt {attempt}{stale ? ", does not count" : ""}</span>}
      </td>
      <td class="when" data-label="When">
        <Bars node={node} run={run} span={span} />
        <p class="why">
          <Why node={node} run={run} there={there} />
        </p>
      </td>
      <td data-label="Took" class={durationMs === undefined ? "none" : ""}>
        {durationMs === undefined ? "–" : duration(durationMs)}
      </td>
      <td data-label="Exit code" class={exitCode === undefined ? "none" : ""}>{exitCode ?? "–"}</td>
    </tr>
  );
}

/** What keeps a run from beginning, or made it end as it did. */
function Why({ node, run: { state, error, deadline }, there }: {
  readonly node: string;
  readonly run: Run;
  readonly there: boolean | undefined;
}) {
  if (error !== undefined) return <>{error.message}</>;
  if (state === "accepted") return <>waits for a slot</>;
  if (state !== "queued") return null;
  return (
    <>
      {there === true ? `waits at the hub for ${node} to take it` : `waits at the hub until ${node} is back`}
      {deadline !== undefined && (
        <>
          , at most <Until at={deadline} />
        </>
      )}
    </>
  );
}

/** The time that a command's bars stand for: from the moment of asking until all has ended, or until now. */
interface Span {
  readonly begun: number;
  readonly end: number;
  readonly now: number;
}

function spanOf({ acceptedAt, runs }: CommandRecord, now: number): Span {
  const begun = Date.parse(acceptedAt);
  const ends = Object.values(runs).map((run) => endOf(run, { begun, now }));
  return { begun, end: Math.max(begun + 1, ...ends), now };
}

function endOf({ finishedAt, state }: Run, { begun, now }: Pick<Span, "begun" | "now">): number {
  if (finishedAt !== undefined) return Date.parse(finishedAt);
  return isTerminal(state) ? begun : now;
}

/** How long a run waited, then how long it worked. */
function Bars({ node, run, span }: { readonly node: string; readonly run: Run; readonly span: Span }) {
  const ended = endOf(run, span);
  const started = run.startedAt === undefined ? ended : Date.parse(run.startedAt);
  const x = (time: number) => 100 * Math.min(1, Math.max(0, (time - span.begun) / (span.end - span.begun)));
  const waited = duration(Math.max(0, started - span.begun));
  return (
    <svg
      class="timeline"
      viewBox="0 0 100 10"
      preserveAspectRatio="none"
      role="img"
      aria-label={run.startedAt === undefined
        ? `${node}: ${run.state}, waited ${waited}`
        : `${node}: waited ${waited}, then ${run.state}`}
    >
      <rect class="bar bar-waiting" x="0" y="2.5" width={Math.max(0.5, x(started)).toFixed(2)} height="5" />
      {run.startedAt !== undefined && (
        <rect
          class={`bar bar-${run.state}`}
          x={Math.min(99.5, x(started)).toFixed(2)}
          y="1"
          width={Math.max(0.5, x(ended) - x(started)).toFixed(2)}
          height="8"
        />
      )}
    </svg>
  );
}

/** Attempts that were over without an outcome, after each of which another node was given the command. */
function Lost({ lost }: { readonly lost: NonNullable<CommandRecord["move"]>["lost"] }) {
  return (
    <ul class="lost" aria-label="Attempts that were lost">
      {lost.map(({ attempt, node, at, reason }) => (
        <li key={attempt}>
          Attempt {attempt} on <a href={`/nodes/${node}`}>{node}</a> was lost <Ago at={at} />: {reason}
        </li>
      ))}
    </ul>
  );
}

/** The same command at other times: what a retry came from, and what came of it. */
function AskedToo({ command, asked }: { readonly command: CommandRecord; readonly asked: readonly CommandRecord[] }) {
  return (
    <nav class="asked-too" aria-label="The same command, asked at other times">
      <span>Asked {asked.length} times</span>
      <ol>
        {asked.map((one) => (
          <li key={one.id}>
            <a class="chip" href={`/commands/${one.id}`} aria-current={one.id === command.id ? "page" : undefined}>
              <State of={stateOf(one)} /> <Ago at={one.acceptedAt} />
            </a>
          </li>
        ))}
      </ol>
    </nav>
  );
}
