/** What the agent itself has to say: lines of its log, and alerts. Both go to the hub in line with everything else. */
import type { Alert } from "../protocol/event.ts";
import { HEADER } from "../protocol/run.ts";
import { upAgentLog, upAlert, upEvent } from "../protocol/subjects.ts";
import type { Outbox } from "./outbox.ts";

/** How much a line matters. */
export type Level = "info" | "warn" | "error";

/** Options of {@linkcode Reporter}. */
export interface ReporterOptions {
  readonly node: string;
  readonly now: () => number;
  /** Also hears each line, here and now. */
  readonly log: (level: Level, message: string) => void;
}

/** The voice of an agent. */
export class Reporter {
  readonly #options: ReporterOptions;
  #outbox: Outbox | undefined;

  constructor(options: ReporterOptions) {
    this.#options = options;
  }

  /** From now on lines go to the hub too. */
  attach(outbox: Outbox): void {
    this.#outbox = outbox;
  }

  /** A line of the agent's log. What the hub cannot take just now is kept like any output. */
  log(level: Level, message: string): void {
    const { node, now, log } = this.#options;
    log(level, message);
    const at = new Date(now()).toISOString();
    const payload = new TextEncoder().encode(`${at} ${level} ${message}\n`);
    // Only the disk can refuse it, and that has been said aloud above.
    void this.#outbox?.log({ subject: upAgentLog(node), headers: { [HEADER.logTime]: at }, payload }).catch(() => {});
  }

  /** An alert, which is an event as well. */
  async alert(severity: Alert["severity"], message: string): Promise<void> {
    const { node, now } = this.#options;
    const alert: Alert = { at: new Date(now()).toISOString(), node, severity, message };
    const drafts = [
      { subject: upAlert(node, severity), value: alert },
      { subject: upEvent(node, "alert"), value: { type: "alert", ...alert } },
    ];
    await this.#outbox?.facts(drafts.map(({ subject, value }) => ({
      subject,
      headers: {},
      payload: new TextEncoder().encode(JSON.stringify(value)),
    }))).catch((error) => this.log("error", `an alert could not be kept: ${(error as Error).message}`));
  }
}
