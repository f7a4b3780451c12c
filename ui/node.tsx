/** One node: what it is, what it offers, what it did of late. */
import { Cause, type FleetNode, type NodeRun } from "./fleet.tsx";
import type { Frame } from "./frame.ts";
import { backlogText, LastContact, linkState, linkWord, modeWord, roundTrip } from "./link.tsx";
import { commandWords, Empty, LabelList, Meter, Sparkline, State } from "./parts.tsx";
import { Ago, bytes, Until } from "./time.tsx";

/** The head of a node's page: its state and why, what can be done about it, what it is and how it is linked. */
export function nodeFrame({ record, runs, waiting, samples }: FleetNode): Frame {
  const { id, platform, hostname, version, labels, slots, load, state } = record;
  const newest = samples.at(-1);
  const gone = state === "offline";
  const html = String(
    <section id="node" aria-label="Node">
      <div class="command-head">
        <State of={state} />
        <span>
          <Cause {...record} />
        </span>
        <span class="actions">
          {!gone &&
            (state === "draining"
              ? <button type="button" data-post={`/api/v1/nodes/${id}/resume`}>Take commands again</button>
              : (
                <button
                  type="button"
                  data-post={`/api/v1/nodes/${id}/drain`}
                  title="It finishes what it runs and takes nothing new"
                >
                  Drain
                </button>
              ))}
          <a class="button" href={`/charts?select=${id}`}>Metrics</a>
        </span>
      </div>
      <Now runs={runs} title="Runs now" />
      <Now runs={waiting} title={gone ? "Waits at the hub until it is back" : "Waits for a slot"} />
      <dl class="facts">
        <Fact name="Link">
          <span class={`link-word link-${linkState(record)}`}>{linkWord(record)}, {modeWord(record)}</span>
        </Fact>
        <Fact name="To the hub and back">{roundTrip(record) ?? "–"}</Fact>
        <Fact name="Last contact">
          <LastContact {...record} />
        </Fact>
        <Fact name="Reports for the hub">{backlogText(record) ?? "not told"}{gone ? ", as last told" : ""}</Fact>
        <Fact name="Platform">{platform.os}/{platform.arch}, {hostname}</Fact>
        <Fact name="Labels">{Object.keys(labels).length === 0 ? "none" : <LabelList labels={labels} />}</Fact>
        <Fact name="Slots">
          {gone ? `${slots.total}` : (
            <>
              <Meter value={slots.total - slots.free} of={Math.max(1, slots.total)} label="slots busy" />{" "}
              {slots.total - slots.free} of {slots.total} busy
            </>
          )}
        </Fact>
        <Fact name="xtask">{version}</Fact>
      </dl>
      {!gone && (
        <dl class="gauges" aria-label="Measured of late">
          <Gauge
            name="Cpu"
            values={samples.map(({ cpu }) => cpu.percent)}
            most={100}
            text={newest === undefined ? "not measured yet" : `${Math.round(newest.cpu.percent)} %`}
            of={newest === undefined ? "" : `of ${newest.cpu.cores} cores`}
          />
          <Gauge
            name="Load"
            values={samples.map(({ load }) => load)}
            most={load.cores}
            text={load.one.toFixed(2)}
            of={`on ${load.cores} cores`}
          />
          <Gauge
            name="Memory"
            values={samples.map(({ memory }) => memory.usedBytes)}
            most={newest?.memory.totalBytes ?? 1}
            text={bytes(newest?.memory.usedBytes ?? load.memoryBytes - load.memoryFreeBytes)}
            of={`of ${bytes(newest?.memory.totalBytes ?? load.memoryBytes)}`}
          />
          {newest?.disk !== undefined && (
            <Gauge
              name="Disk"
              values={samples.map(({ disk }) => disk?.usedBytes ?? 0)}
              most={newest.disk.usedBytes + newest.disk.freeBytes}
              text={bytes(newest.disk.freeBytes)}
              of="free"
            />
          )}
        </dl>
      )}
    </section>,
  );
  return { id: "node", parts: [], html };
}

function Now({ runs, title }: { readonly runs: readonly NodeRun[]; readonly title: string }) {
  if (runs.length === 0) return null;
  return (
    <p class="node-now">
      <span>{title}</span>
      {runs.map(({ id, words }) => <a key={id} class="chip" href={`/commands/${id}`}>{words ?? id.slice(-8)}</a>)}
    </p>
  );
}

function Gauge({ name, values, most, text, of }: {
  readonly name: string;
  readonly values: readonly number[];
  readonly most: number;
  readonly text: string;
  readonly of: string;
}) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        <strong>{text}</strong> {of}
        <Sparkline values={values} most={most} label={`${name} of late, now ${text} ${of}`} />
      </dd>
    </div>
  );
}

function Fact({ name, children }: { readonly name: string; readonly children?: unknown }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

/** What the node can be asked: its tasks, then its other capabilities. A click puts the words into the console. */
export function offersFrame({ record: { id, tasks, capabilities, state } }: FleetNode): Frame {
  // What is asked of a node that is away is left for it at the hub.
  const gone = state === "offline";
  const on = gone ? `${id} --queue` : id;
  const html = String(
    <section id="offers" aria-label="What this node can do">
      <h2>Tasks</h2>
      {tasks.length === 0
        ? (
          <Empty title="No tasks">
            <p>There is no Taskfile in the folder that this node offers.</p>
          </Empty>
        )
        : (
          <ul class="tasks">
            {tasks.map(({ name, desc }) => (
              <li key={name}>
                <button type="button" class="task" data-console={`task run ${name} --on ${on}`}>
                  <code>{name}</code>
                  <span>{desc}</span>
                </button>
              </li>
            ))}
          </ul>
        )}
      <h2>Capabilities</h2>
      <ul class="chips">
        {capabilities.flatMap(({ name, verbs }) =>
          verbs.map((verb) => (
            <li key={`${name}.${verb}`}>
              <a class="chip" href={`/run/${name}/${verb}?on=${encodeURIComponent(id)}${gone ? "&queue=1" : ""}`}>
                {name} {verb}
              </a>
            </li>
          ))
        )}
      </ul>
    </section>,
  );
  return { id: "offers", parts: [], html };
}

/** What the node does by itself. */
export function schedulesFrame({ record: { schedules = [] } }: FleetNode): Frame {
  const html = String(
    schedules.length === 0
      ? <div id="schedules" hidden></div>
      : (
        <section id="schedules" aria-label="What it does by itself">
          <h2>By itself</h2>
          <ul class="schedules">
            {schedules.map(({ name, cron, zone, capability, verb, input, by, nextAt, lastAt, lastCommand }) => (
              <li key={name}>
                <strong>{name}</strong>
                <code>{commandWords(capability, verb, input)}</code>
                <span>
                  <code>{cron}</code> {zone}
                </span>
                <span>
                  {nextAt === undefined ? "its times are over" : (
                    <>
                      next in <Until at={nextAt} />
                    </>
                  )}
                </span>
                {lastAt !== undefined && (
                  <span>
                    last {lastCommand === undefined ? <Ago at={lastAt} /> : (
                      <a href={`/commands/${lastCommand}`}>
                        <Ago at={lastAt} />
                      </a>
                    )}
                  </span>
                )}
                {by !== undefined && <span>set by {by.user}</span>}
              </li>
            ))}
          </ul>
        </section>
      ),
  );
  return { id: "schedules", parts: [], html };
}

/** The newest lines of the agent's own log, newest first. */
export function agentLogFrame(lines: readonly string[]): Frame {
  const html = String(
    <section id="agent-log" aria-label="The agent's own log">
      <h2>Its own log</h2>
      {lines.length === 0 ? <Empty title="It has said nothing since yesterday" /> : (
        <ol class="agent-log">
          {lines.toReversed().map((line) => {
            const [at = "", level = "", ...words] = line.split(" ");
            return (
              <li class={`level-${level.replaceAll(/[^a-z]/g, "")}`}>
                <Ago at={at} /> <span class="level">{level}</span> <span>{words.join(" ")}</span>
              </li>
            );
          })}
        </ol>
      )}
    </section>,
  );
  return { id: "agent-log", parts: [], html };
}
