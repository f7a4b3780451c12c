/** One node: what it is, what it offers, what it did of late. */
import type { FleetNode } from "./fleet.tsx";
import type { Frame } from "./frame.ts";
import { Empty, LabelList, Meter, Sparkline, State } from "./parts.tsx";
import { Ago, bytes } from "./time.tsx";

/** The head of a node's page. */
export function nodeFrame({ record, samples }: FleetNode): Frame {
  const { platform, hostname, version, labels, slots, queued, link, state, since } = record;
  const newest = samples.at(-1);
  const html = String(
    <section id="node" aria-label="Node">
      <dl class="facts">
        <Fact name="State">
          <State of={state} /> <Ago at={since} />
        </Fact>
        <Fact name="Platform">{platform.os}/{platform.arch}, {hostname}</Fact>
        <Fact name="xtask">
          {version}, {link.mode === "leaf" ? "leaf node" : "client"}
          {link.rttMs === undefined ? "" : `, ${link.rttMs.toFixed(1)} ms from its server`}
        </Fact>
        <Fact name="Labels">{Object.keys(labels).length === 0 ? "none" : <LabelList labels={labels} />}</Fact>
        <Fact name="Slots">
          <Meter value={slots.total - slots.free} of={Math.max(1, slots.total)} label="slots busy" />{" "}
          {slots.total - slots.free} of {slots.total} busy{queued > 0 ? `, ${queued} waiting` : ""}
        </Fact>
        <Fact name="Cpu">
          <Sparkline values={samples.map(({ cpu }) => cpu.percent)} most={100} label="cpu" />{" "}
          {newest === undefined
            ? "not measured yet"
            : `${Math.round(newest.cpu.percent)} % of ${newest.cpu.cores} cores`}
        </Fact>
        {newest !== undefined && (
          <Fact name="Memory">{bytes(newest.memory.usedBytes)} of {bytes(newest.memory.totalBytes)}</Fact>
        )}
        <Fact name="Over time">
          <a href={`/charts?select=${record.id}`}>Metrics of {record.id}</a>
        </Fact>
        {newest?.disk !== undefined && <Fact name="Disk">{bytes(newest.disk.freeBytes)} free</Fact>}
      </dl>
    </section>,
  );
  return { id: "node", parts: [], html };
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
export function offersFrame({ record: { id, tasks, capabilities } }: FleetNode): Frame {
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
                <button type="button" class="task" data-console={`task run ${name} --on ${id}`}>
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
              <a class="chip" href={`/run/${name}/${verb}?on=${encodeURIComponent(id)}`}>{name} {verb}</a>
            </li>
          ))
        )}
      </ul>
    </section>,
  );
  return { id: "offers", parts: [], html };
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
