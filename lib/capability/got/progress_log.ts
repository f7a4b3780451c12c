/** Says how far a download is, but not too often. */

/** What is known of it. */
export interface ProgressLogOptions {
  readonly log: (text: string) => void;
  readonly now: () => number;
}

const EVERY_MS = 1_000;
const EVERY_MS_WITHOUT_TOTAL = 10_000;
const STEP_PERCENT = 10;

/**
 * A listener that logs a line for each step of 10 %, and no more than one a second; where no total is known, one every 10 s.
 * Nothing is said of the end.
 */
export function progressLog({ log, now }: ProgressLogOptions): (bytes: number, total: number | undefined) => void {
  let lastAt = now();
  let lastStep = 0;
  return (bytes, total) => {
    const at = now();
    if (total === undefined) {
      if (at - lastAt < EVERY_MS_WITHOUT_TOTAL) return;
      lastAt = at;
      log(`${bytes} bytes`);
      return;
    }
    const step = Math.floor(bytes / total * 100 / STEP_PERCENT);
    if (bytes >= total || step === lastStep || at - lastAt < EVERY_MS) return;
    lastAt = at;
    lastStep = step;
    log(`${step * STEP_PERCENT} % of ${total} bytes`);
  };
}
