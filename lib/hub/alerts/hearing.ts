/** What alerts depend on, as it is heard: runs from events, measurements from metrics. */
import type { Bus } from "../../nats/bus.ts";
import type { Event } from "../../protocol/event.ts";
import { Metrics } from "../../protocol/metrics.ts";
import { parseJson } from "../../protocol/parse.ts";
import type { CommandRecord } from "../../protocol/run.ts";
import { lastToken, METRICS_ANY } from "../../protocol/subjects.ts";
import type { Alarm } from "./alarm.ts";
import type { WatchEvent } from "./decide.ts";

const WORDS_MAX = 80;

/** Hears what nodes measure. */
export function hearMetrics(bus: Bus, alarm: Alarm, onTrouble: (message: string) => void): Disposable {
  return bus.subscribe(METRICS_ANY, (message) => {
    const node = lastToken(message.subject);
    try {
      const sample = parseJson(Metrics, message.text(), `metrics of ${node}`);
      if (sample.node === node) alarm.hear(node, { type: "measured", sample });
    } catch (error) {
      onTrouble((error as Error).message);
    }
  });
}

/**
 * What an event says of a run.
 *
 * @param at When it was stored, by the hub's clock, in ms since 1970
 */
export function runEvent(event: Event, record: CommandRecord | undefined, at: number): WatchEvent | undefined {
  if (record === undefined) return undefined;
  const what = words(record);
  if (event.type === "command_started") return { type: "started", command: event.command, what, at };
  if (event.type !== "command_result") return undefined;
  const { command, state, durationMs } = event;
  return { type: "ended", command, what, durationMs: state === "succeeded" ? durationMs : undefined };
}

/** What runs, such as `task run build`: runs of the same words take about the same time. */
function words({ capability, verb, input }: CommandRecord): string {
  const values = typeof input === "object" && input !== null ? Object.values(input).flat() : [];
  const told = values.filter((value) => typeof value === "string" || typeof value === "number");
  return [capability, verb, ...told].join(" ").replaceAll(/\s+/g, " ").slice(0, WORDS_MAX);
}
