/** Being told to stop: the first signal asks for an orderly end, the second for one at once. */
import { DRAIN_MS } from "../protocol/limits.ts";
import type { Shell } from "./shell.ts";

/** Waits for signals until it is disposed. */
export interface Stop extends Disposable {
  /** Fires at the first signal. */
  readonly signal: AbortSignal;
  /** Fires some time after the first signal, or at the second: whatever still runs is then ended. */
  readonly patience: AbortSignal;
  /** Resolves at the first signal; rejects if `failed` does so before. */
  until(failed: Promise<never>): Promise<void>;
}

const SIGNALS: readonly Deno.Signal[] = Deno.build.os === "windows"
  ? ["SIGINT", "SIGBREAK"]
  : ["SIGINT", "SIGTERM", "SIGHUP"];

/** Listens for the signals that ask a process to stop. */
export function untilStopped(shell: Pick<Shell, "note">): Stop {
  const stop = new AbortController();
  const patience = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const onSignal = () => {
    if (stop.signal.aborted) {
      shell.note("Ending what still runs");
      return patience.abort();
    }
    stop.abort();
    timer = setTimeout(() => patience.abort(), DRAIN_MS);
  };
  for (const name of SIGNALS) Deno.addSignalListener(name, onSignal);
  return {
    signal: stop.signal,
    patience: patience.signal,
    async until(failed) {
      const { promise, resolve } = Promise.withResolvers<void>();
      stop.signal.addEventListener("abort", () => resolve(), { once: true });
      if (stop.signal.aborted) resolve();
      await Promise.race([promise, failed]);
    },
    [Symbol.dispose]() {
      clearTimeout(timer);
      for (const name of SIGNALS) Deno.removeSignalListener(name, onSignal);
    },
  };
}
