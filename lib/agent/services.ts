/** The NATS services protocol: `nats micro ls` shows the fleet, `nats micro info xtask-agent` what each node answers. */
import type { Bus, Incoming } from "../nats/bus.ts";
import { serviceSubjects } from "../protocol/subjects.ts";

/** A subject that a service answers. */
export interface Endpoint {
  readonly name: string;
  readonly subject: string;
  readonly metadata: Readonly<Record<string, string>>;
}

/** What a service says of itself. */
export interface ServiceOptions {
  readonly bus: Bus;
  readonly name: string;
  readonly id: string;
  readonly version: string;
  readonly description: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** Asked anew for each question. */
  readonly endpoints: () => readonly Endpoint[];
}

interface Counts {
  requests: number;
  errors: number;
  processingNs: number;
  lastError: string;
}

/** A service that answers PING, INFO and STATS. */
export interface Service extends Disposable {
  /** Counts an answered request. */
  count(subject: string, durationMs: number, error?: string): void;
}

/** At most so many subjects are counted: `kill-port` has one for each port. */
const COUNTED_MAX = 500;

/** Starts answering. */
export function startService(options: ServiceOptions): Service {
  const { bus, name, id, version, description, metadata, endpoints } = options;
  const started = new Date().toISOString();
  const counts = new Map<string, Counts>();
  const identity = { name, id, version, metadata };
  const answers = {
    PING: () => ({ type: "io.nats.micro.v1.ping_response", ...identity }),
    INFO: () => ({
      type: "io.nats.micro.v1.info_response",
      ...identity,
      description,
      endpoints: endpoints().map((endpoint) => ({ ...endpoint, queue_group: "" })),
    }),
    STATS: () => ({
      type: "io.nats.micro.v1.stats_response",
      ...identity,
      started,
      endpoints: endpoints().map(({ name, subject }) => {
        const { requests, errors, processingNs, lastError } = counts.get(subject) ?? NONE;
        return {
          name,
          subject,
          queue_group: "",
          num_requests: requests,
          num_errors: errors,
          last_error: lastError,
          processing_time: processingNs,
          average_processing_time: requests === 0 ? 0 : Math.round(processingNs / requests),
        };
      }),
    }),
  };
  const subscriptions = (Object.keys(answers) as (keyof typeof answers)[]).flatMap((verb) =>
    serviceSubjects(verb, name, id).map((subject) =>
      bus.subscribe(subject, (message: Incoming) => {
        if (message.reply !== undefined) message.respond(JSON.stringify(answers[verb]()));
      })
    )
  );
  return {
    count(subject, durationMs, error) {
      const counted = counts.get(subject) ?? { ...NONE };
      if (!counts.has(subject) && counts.size >= COUNTED_MAX) return;
      counts.set(subject, counted);
      counted.requests++;
      counted.processingNs += Math.round(durationMs * 1e6);
      if (error === undefined) return;
      counted.errors++;
      counted.lastError = error;
    },
    [Symbol.dispose]: () => subscriptions.forEach((subscription) => subscription[Symbol.dispose]()),
  };
}

const NONE: Counts = { requests: 0, errors: 0, processingNs: 0, lastError: "" };
