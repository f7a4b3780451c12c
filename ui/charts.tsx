/** Metrics over time: the frames of the charts, which the page's script draws, and the newest numbers as a table. */
import type { FleetNode } from "./fleet.tsx";
import type { Frame } from "./frame.ts";
import { elementId, Empty } from "./parts.tsx";
import { Ago, bytes } from "./time.tsx";

/** How far back can be looked, in the words of the API. */
export const RANGES = ["15m", "1h", "6h", "24h", "7d"] as const;
/** How far back can be looked. */
export type Range = (typeof RANGES)[number];

/** Above the charts. */
export function ChartsSearch({ select, range }: { readonly select: string; readonly range: Range }) {
  return (
    <form class="search" method="get" action="/charts" role="search">
      <label>
        Nodes
        <input
          type="search"
          name="select"
          value={select}
          placeholder="all, an id, os=linux"
          spellcheck={false}
          autocapitalize="off"
          data-search
        />
      </label>
      <label>
        Time
        <select name="range">
          {RANGES.map((one) => <option key={one} value={one} selected={one === range}>the last {one}</option>)}
        </select>
      </label>
      <button type="submit">Show</button>
    </form>
  );
}

/** What is drawn: of each node, or of the runs of all of them. */
const CHARTS = [
  { name: "cpuPercent", title: "Cpu, % of all cores", of: "node", most: 100 },
  { name: "memoryPercent", title: "Memory in use, %", of: "node", most: 100 },
  { name: "load", title: "Load average over one minute", of: "node" },
  { name: "slotsBusy", title: "Slots that are busy", of: "node" },
  { name: "rates", title: "Runs per minute", of: "runs" },
  { name: "durations", title: "How long runs took: 50, 90 and 99 of 100 took less", of: "durations" },
] as const;

/** The charts. The page's script fills them; nothing else changes what is in here. */
export function Charts({ select, range }: { readonly select: string; readonly range: Range }) {
  return (
    <section id="charts" aria-label="Charts" data-ignore-morph data-select={select} data-range={range}>
      <p class="count" role="status" data-charts-status>Reading what was measured …</p>
      <p class="problem" role="alert" data-charts-problem hidden></p>
      <div class="charts">
        {CHARTS.map((chart) => (
          <figure
            key={chart.name}
            data-chart={chart.name}
            data-of={chart.of}
            data-most={"most" in chart ? chart.most : ""}
          >
            <figcaption>{chart.title}</figcaption>
            <div class="plot" role="img" aria-label={chart.title}></div>
          </figure>
        ))}
      </div>
    </section>
  );
}

/** The newest numbers of each node. */
export function measuredFrame(nodes: readonly FleetNode[], wrong: string | undefined): Frame {
  const parts = nodes.map(({ record: { id, slots, queued }, samples }) => {
    const newest = samples.at(-1);
    return {
      id: elementId("measured", id),
      html: String(
        <tr id={elementId("measured", id)}>
          <td data-label="Node">
            <a href={`/nodes/${id}`} data-key-item>{id}</a>
          </td>
          <td data-label="Cpu">{newest === undefined ? "–" : `${Math.round(newest.cpu.percent)} %`}</td>
          <td data-label="Memory">
            {newest === undefined ? "–" : `${bytes(newest.memory.usedBytes)} of ${bytes(newest.memory.totalBytes)}`}
          </td>
          <td data-label="Load">{newest === undefined ? "–" : newest.load.toFixed(2)}</td>
          <td data-label="Disk free">{newest?.disk === undefined ? "–" : bytes(newest.disk.freeBytes)}</td>
          <td data-label="Slots">
            {slots.total - slots.free} of {slots.total}
            {queued > 0 ? `, ${queued} waiting` : ""}
          </td>
          <td data-label="Runs">{newest === undefined ? "–" : newest.runs.started}</td>
          <td data-label="Measured">{newest === undefined ? "not yet" : <Ago at={newest.at} />}</td>
        </tr>,
      ),
    };
  });
  const html = String(
    <section id="measured" aria-label="The newest numbers">
      <h2>Now</h2>
      {wrong !== undefined && <p class="problem" role="alert">{wrong}</p>}
      {nodes.length === 0 && wrong === undefined ? <Empty title="No node matches" /> : (
        <table class="rows">
          <thead>
            <tr>
              {["Node", "Cpu", "Memory", "Load", "Disk free", "Slots", "Runs", "Measured"].map((name) => (
                <th scope="col" key={name}>{name}</th>
              ))}
            </tr>
          </thead>
          <tbody dangerouslySetInnerHTML={{ __html: parts.map(({ html }) => html).join("") }} />
        </table>
      )}
    </section>,
  );
  return { id: "measured", parts, html };
}
