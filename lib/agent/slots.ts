/** How many runs a node has at once, and a bounded line of those that wait. */
import { QUEUE_MAX } from "../protocol/limits.ts";
import { XtaskError } from "../protocol/error.ts";

interface Waiting {
  readonly start: () => void;
}

/** The slots of a node, given out in the order of asking. */
export class Slots {
  readonly total: number;
  #free: number;
  #waiting: Waiting[] = [];

  constructor(total: number) {
    this.total = total;
    this.#free = total;
  }

  get free(): number {
    return Math.max(0, this.#free);
  }

  get queued(): number {
    return this.#waiting.length;
  }

  /** @throws {XtaskError} `exhausted` where one more command could only be refused */
  assertRoom(): void {
    if (this.#free <= 0 && this.#waiting.length >= QUEUE_MAX) {
      throw new XtaskError("exhausted", `The node already has ${QUEUE_MAX} commands waiting`, {
        details: ["try again later, or ask another node"],
      });
    }
  }

  /**
   * Waits for a slot. Disposing what it resolves to gives the slot back.
   *
   * @throws the signal's reason where that comes first
   */
  async acquire(signal: AbortSignal): Promise<Disposable> {
    signal.throwIfAborted();
    if (this.#free > 0) {
      this.#free--;
      return this.#permit();
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiting: Waiting = { start: resolve };
    this.#waiting.push(waiting);
    const onAbort = () => {
      this.#waiting = this.#waiting.filter((other) => other !== waiting);
      reject(signal.reason);
    };
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      await promise;
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
    return this.#permit();
  }

  /** Takes a slot for what runs already, though there may be none. */
  occupy(): Disposable {
    this.#free--;
    return this.#permit();
  }

  #permit(): Disposable {
    let held = true;
    return {
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        const next = this.#free < 0 ? undefined : this.#waiting.shift();
        if (next === undefined) this.#free++;
        else next.start();
      },
    };
  }
}
