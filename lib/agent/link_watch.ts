/** Whether the hub answers, how fast, and since when not: asked through the link, since TCP takes minutes to notice. */
import { pause } from "../os/pause.ts";
import { LINK_ALERT_MS, LINK_CHECK_MS } from "../protocol/limits.ts";
import type { NodeRecord } from "../protocol/node.ts";

/** Options of {@linkcode LinkWatch}. */
export interface LinkWatchOptions {
  readonly mode: NodeRecord["link"]["mode"];
  /** The way to the hub and back in ms; rejects where there is no answer. */
  readonly measure: () => Promise<number>;
  readonly backlogBytes: () => number;
  readonly now: () => number;
  /** Hears when the hub has not answered for a while, once for each outage. */
  readonly onLost: (since: Date) => void;
  readonly onBack: (since: Date) => void;
  /** Hears each time that the hub answers after it did not, however short that was. */
  readonly onUp: () => void;
  /** @default {LINK_CHECK_MS} */
  readonly everyMs?: number;
  /** @default {LINK_ALERT_MS} */
  readonly lostAfterMs?: number;
}

/** What is known of a node's link. */
export class LinkWatch {
  readonly #options: LinkWatchOptions;
  #up = false;
  #rttMs: number | undefined;
  #contactAt: number | undefined;
  /** Since when there is no answer. */
  #since: number;
  #told = false;

  constructor(options: LinkWatchOptions, signal: AbortSignal) {
    this.#options = options;
    this.#since = options.now();
    void this.#run(signal);
  }

  /** For the node's record. */
  get status(): NodeRecord["link"] {
    const { mode, backlogBytes } = this.#options;
    return {
      mode,
      up: this.#up,
      ...(this.#rttMs === undefined ? {} : { rttMs: Math.round(this.#rttMs * 10) / 10 }),
      ...(this.#contactAt === undefined ? {} : { contactAt: new Date(this.#contactAt).toISOString() }),
      backlogBytes: backlogBytes(),
    };
  }

  /** The hub has answered something. */
  contact(): void {
    const { now, onBack, onUp } = this.#options;
    this.#contactAt = now();
    if (!this.#up) onUp();
    this.#up = true;
    if (this.#told) onBack(new Date(this.#since));
    this.#told = false;
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { measure, now, onLost, everyMs = LINK_CHECK_MS, lostAfterMs = LINK_ALERT_MS } = this.#options;
    while (!signal.aborted) {
      try {
        this.#rttMs = await measure();
        this.contact();
      } catch {
        // Whatever the reason, there was no answer; those who wait for one say more.
        if (this.#up) this.#since = this.#contactAt ?? now();
        this.#up = false;
        this.#rttMs = undefined;
        if (!this.#told && now() - this.#since >= lostAfterMs && !signal.aborted) {
          this.#told = true;
          onLost(new Date(this.#since));
        }
      }
      await pause(everyMs, signal);
    }
  }
}
