/**
 * What this node measures of itself and tells every 10 s: some tenth of a millisecond of work. It is told past the outbox:
 * while the link is down nothing is kept, since the next sample's counters hold all that happened meanwhile.
 */
import { cpus } from "node:os";
import type { Bus } from "../nats/bus.ts";
import { diskOf } from "../os/disk.ts";
import { pause } from "../os/pause.ts";
import { withDuration } from "../protocol/durations.ts";
import { METRICS_MS } from "../protocol/limits.ts";
import { type End, type Metrics, NO_RUNS, type Trouble } from "../protocol/metrics.ts";
import type { NodeRecord } from "../protocol/node.ts";
import { upMetrics } from "../protocol/subjects.ts";

/** Counts the runs of this agent. */
export class RunCounts {
  #runs: Metrics["runs"] = NO_RUNS;

  get total(): Metrics["runs"] {
    return this.#runs;
  }

  started(): void {
    this.#runs = { ...this.#runs, started: this.#runs.started + 1 };
  }

  /** @param durationMs Undefined for one that never started */
  ended(state: End, durationMs: number | undefined): void {
    const { ended, durations } = this.#runs;
    this.#runs = {
      ...this.#runs,
      ended: { ...ended, [state]: ended[state] + 1 },
      durations: durationMs === undefined ? durations : withDuration(durations, durationMs),
    };
  }
}

/** Options of {@linkcode startMetrics}. */
export interface MetricsOptions {
  readonly bus: Bus;
  readonly record: () => NodeRecord;
  /** Whose disk is measured: the one that has the least room. */
  readonly folders: readonly string[];
  readonly runs: RunCounts;
  /** Bytes of reports that the hub does not have. */
  readonly backlogBytes: () => number;
  readonly troubles: () => Trouble[];
  readonly now: () => number;
  readonly signal: AbortSignal;
}

/** A page that opens on a new node should not stay empty for ten seconds. */
const FIRST_MS = 1_000;

/** Starts measuring; ends with the signal. */
export function startMetrics(options: MetricsOptions): void {
  const { bus, record, folders, runs, backlogBytes, troubles, now, signal } = options;
  const since = new Date(now()).toISOString();
  const disk = diskOf(folders);
  let before = cpuTimes();
  const sample = async (): Promise<Metrics> => {
    const measured = await disk(signal);
    const cpu = cpuTimes();
    const { id, slots, queued, load } = record();
    const cannot = troubles();
    const [busy, total] = [cpu.busyMs - before.busyMs, cpu.totalMs - before.totalMs];
    before = cpu;
    return {
      node: id,
      at: new Date(now()).toISOString(),
      since,
      cpu: { percent: total > 0 ? rounded(Math.min(100, Math.max(0, 100 * busy / total))) : 0, ...cpu },
      memory: { usedBytes: Math.max(0, load.memoryBytes - load.memoryFreeBytes), totalBytes: load.memoryBytes },
      load: rounded(load.one),
      ...(measured === undefined ? {} : { disk: measured }),
      runs: runs.total,
      slots,
      queued,
      backlogBytes: backlogBytes(),
      ...(cannot.length === 0 ? {} : { troubles: cannot }),
    };
  };
  void (async () => {
    await pause(FIRST_MS, signal);
    while (!signal.aborted) {
      const metrics = await sample();
      if (signal.aborted) return;
      // Without a link the library would keep what is published; whatever is missed, the next sample makes good.
      if (bus.up) bus.publish(upMetrics(metrics.node), JSON.stringify(metrics));
      // Machines that were started together do not measure together.
      await pause(METRICS_MS * (0.95 + Math.random() * 0.1), signal);
    }
  })();
}

function cpuTimes(): { busyMs: number; totalMs: number; cores: number } {
  const cores = cpus();
  let [busyMs, totalMs] = [0, 0];
  for (const { times: { user, nice, sys, idle, irq } } of cores) {
    busyMs += user + nice + sys + irq;
    totalMs += user + nice + sys + irq + idle;
  }
  return { busyMs, totalMs, cores: cores.length };
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}
