/** Telling everybody of an alert: in the stream of alerts, and as an event. */
import type { Bus } from "../../nats/bus.ts";
import { publishStored } from "../../nats/uplink.ts";
import { pause } from "../../os/pause.ts";
import type { Alert } from "../../protocol/event.ts";
import { upAlert, upEvent } from "../../protocol/subjects.ts";

const ALERT_MS = 30_000;
const TRIES = 10;
const RESUME_MS = 500;

/**
 * Stores and publishes an alert.
 *
 * @param author Under whose name the server lets this connection report
 * @throws {XtaskError} where the server could not be reached for long
 */
export async function tellAlert(bus: Bus, author: string, alert: Alert, signal: AbortSignal): Promise<void> {
  const encode = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
  const reports = [
    { subject: upAlert(author, alert.severity), payload: encode(alert) },
    { subject: upEvent(author, "alert"), payload: encode({ type: "alert", ...alert }) },
  ];
  for (const { subject, payload } of reports) {
    const id = `${author}.${crypto.randomUUID()}`;
    // What there is to tell is often that the server was away: the connection to it comes back a little later.
    for (let tries = 1;; tries++) {
      try {
        await bus.whenUp(AbortSignal.any([signal, AbortSignal.timeout(ALERT_MS)]));
        await publishStored(bus, { subject, headers: {}, payload }, { id, signal });
        break;
      } catch (error) {
        if (tries === TRIES || signal.aborted) throw error;
        await pause(RESUME_MS, signal);
      }
    }
  }
}
