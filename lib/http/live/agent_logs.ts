/** What the agents said of themselves of late, as it comes. */
import { STREAM } from "../../nats/streams.ts";
import { AGENT_LOG_LINES_MAX } from "../../protocol/limits.ts";
import { AGENT_LOGS, lastToken } from "../../protocol/subjects.ts";
import { followKept, type LiveOptions } from "./kept.ts";

/** The agents' logs. */
export interface AgentLogs {
  /** Lines of a node's agent, oldest first: `{time} {level} {message}`. */
  of(node: string): readonly string[];
  /** Leaves out nodes that are gone for good. One that says something before the hub lists it is about to join. */
  keepOnly(known: (node: string) => boolean): void;
  /** Resolves when nothing is followed any more. */
  readonly ended: Promise<void>;
}

/** How far back they are shown. */
const KEPT_MS = 24 * 60 * 60_000;
/** A node has joined this long after its agent's first word. */
const JOINING_MS = 60_000;

/** Follows the agents' logs until the signal fires. */
export function followAgentLogs({ bus, changed, log }: LiveOptions, signal: AbortSignal): AgentLogs {
  const lines = new Map<string, readonly string[]>();
  const heardAt = new Map<string, number>();
  let newest = 0;
  const ended = followKept(bus, {
    stream: STREAM.logs,
    subjects: [AGENT_LOGS],
    from: { time: new Date(Date.now() - KEPT_MS) },
    log,
    hear({ subject, data, sequence }) {
      // Read again from the start after a lost link.
      if (sequence <= newest) return;
      newest = sequence;
      const said = new TextDecoder().decode(data).split("\n").filter((line) => line !== "");
      const node = lastToken(subject);
      heardAt.set(node, performance.now());
      lines.set(node, [...lines.get(node) ?? [], ...said].slice(-AGENT_LOG_LINES_MAX));
      changed();
    },
  }, signal);
  return {
    of: (node) => lines.get(node) ?? [],
    keepOnly(known) {
      const since = performance.now() - JOINING_MS;
      for (const [node, at] of heardAt) {
        if (known(node) || at >= since) continue;
        lines.delete(node);
        heardAt.delete(node);
      }
    },
    ended,
  };
}
