/** `xtask logs`, `events`, `metrics`, `alerts`: what the fleet says, since when it is wanted, and live. */
import { logEvents } from "../../client/follow.ts";
import { type From, readStream, STREAM } from "../../nats/streams.ts";
import { Id } from "../../protocol/id.ts";
import { Metrics } from "../../protocol/metrics.ts";
import { parse, parseJson } from "../../protocol/parse.ts";
import {
  ALERTS_STORED,
  LOGS_ANY,
  logsOfNode,
  METRICS_ANY,
  metricsSubject,
  storedEvents,
} from "../../protocol/subjects.ts";
import { parseDuration } from "../../words/duration.ts";
import { LineWriter } from "../lines.ts";
import type { Shell } from "../shell.ts";
import { untilStopped } from "../signals.ts";
import { harmless, styled } from "../terminal.ts";
import type { FleetFlags } from "./nodes.ts";

/** Flags of these commands. */
export interface StreamFlags extends FleetFlags {
  readonly since?: string;
  /** End with what is there now. */
  readonly noFollow: boolean;
  readonly node?: string;
}

/** Flags of `xtask events`. */
export interface EventFlags extends StreamFlags {
  readonly type?: readonly string[];
}

/** Output of all runs, and what the agents themselves say. */
export async function logs(this: Shell, flags: StreamFlags): Promise<void> {
  const { json, node } = flags;
  const standings = new Map<string, { bytes: number; total: number | undefined }>();
  let lines = new LineWriter(this, []);
  const subjects = node === undefined ? [LOGS_ANY] : logsOfNode(node);
  for await (const message of messages(this, flags, STREAM.logs, subjects)) {
    const [, , author = "", command] = message.subject.split(".");
    const name = command === undefined ? author : `${author} ${command}`;
    // Joining in the middle: what came before is not missing, it was not asked for.
    const standing = standings.get(name) ??
      { bytes: Number(message.header("Xtask-Log-Offset") ?? 0), total: undefined };
    standings.set(name, standing);
    if (!lines.knows(name)) lines = new LineWriter(this, [...standings.keys()]);
    for (const event of logEvents(name, message, standing)) {
      if (event.type !== "log") continue;
      for (const { stream, bytes } of event.pieces) {
        if (!json) {
          lines.write(name, stream, bytes);
          continue;
        }
        const text = new TextDecoder().decode(bytes);
        this.print(
          JSON.stringify({ type: "log", node: author, id: command, stream, at: event.at.toISOString(), text }),
        );
      }
    }
  }
}

/** Events of the project. */
export async function events(this: Shell, flags: EventFlags): Promise<void> {
  const { project } = await this.context(flags.context);
  for await (const message of messages(this, flags, STREAM.events, [storedEvents(project)])) {
    const [, , , type = "", node = ""] = message.subject.split(".");
    if (flags.type !== undefined && !flags.type.includes(type)) continue;
    if (flags.node !== undefined && flags.node !== node) continue;
    const text = new TextDecoder().decode(message.data);
    if (flags.json) this.print(text);
    else this.print(`${styled(message.time.toISOString(), "dim", this.color)} ${type} ${oneLine(text)}`);
  }
}

/** Alerts of the project. */
export async function alerts(this: Shell, flags: StreamFlags): Promise<void> {
  for await (const message of messages(this, flags, STREAM.alerts, [ALERTS_STORED])) {
    const text = new TextDecoder().decode(message.data);
    if (flags.json) this.print(text);
    else this.print(`${styled(message.time.toISOString(), "dim", this.color)} ${oneLine(text)}`);
  }
}

/** What nodes measure of themselves, one line a sample. What is kept of it is a month: all of that is nobody's wish. */
export async function metrics(this: Shell, flags: StreamFlags): Promise<void> {
  const subject = flags.node === undefined ? METRICS_ANY : metricsSubject(parse(Id, flags.node, "node"));
  for await (const message of messages(this, flags, STREAM.metrics, [subject], "last-each")) {
    const sample = parseJson(Metrics, new TextDecoder().decode(message.data), "metrics");
    if (flags.json) this.print(JSON.stringify(sample));
    else this.print(`${styled(message.time.toISOString(), "dim", this.color)} ${oneLine(metricsText(sample))}`);
  }
}

function metricsText({ node, cpu, memory, load, disk, runs, slots, queued }: Metrics): string {
  const gib = (bytes: number) => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
  const { succeeded, failed } = runs.ended;
  return [
    node,
    `cpu ${cpu.percent.toFixed(0)} %`,
    `memory ${gib(memory.usedBytes)} of ${gib(memory.totalBytes)}`,
    `load ${load.toFixed(2)}`,
    ...(disk === undefined ? [] : [`disk ${gib(disk.freeBytes)} free`]),
    `slots ${slots.total - slots.free} of ${slots.total} busy${queued > 0 ? `, ${queued} waiting` : ""}`,
    `runs ${runs.started} started, ${succeeded} succeeded, ${failed} failed`,
  ].join("  ");
}

/** @param now What is there now, where nobody says since when */
async function* messages(
  shell: Shell,
  { context, since, noFollow }: StreamFlags,
  stream: string,
  subjects: readonly string[],
  now: From = "first",
) {
  await using fleet = await shell.connect(context);
  using stop = untilStopped(shell);
  const from = since === undefined
    ? noFollow ? now : "new" as const
    : { time: new Date(Date.now() - parseDuration(since)) };
  yield* readStream(fleet.bus, stream, { subjects, from, follow: !noFollow, signal: stop.signal });
}

function oneLine(text: string): string {
  return harmless(text, { color: false }).replaceAll("\n", " ");
}
