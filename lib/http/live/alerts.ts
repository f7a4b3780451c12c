/** The alerts as they stand, whoever changes them: the hub, or somebody in a terminal who acknowledges one. */
import { STREAM } from "../../nats/streams.ts";
import { AlertRecord } from "../../protocol/alert.ts";
import { XtaskError } from "../../protocol/error.ts";
import { ALERTS_MAX } from "../../protocol/limits.ts";
import { parseJson } from "../../protocol/parse.ts";
import { ALERT_RECORDS } from "../../protocol/subjects.ts";
import { followKept, type LiveOptions } from "./kept.ts";

/** Alerts that are followed. */
export interface LiveAlerts {
  /** By key, those first that were told first. */
  readonly records: ReadonlyMap<string, AlertRecord>;
  /** Resolves when nothing is followed any more. */
  readonly ended: Promise<void>;
}

/** Follows the alerts until the signal fires. */
export function followAlerts({ bus, changed, log }: LiveOptions, signal: AbortSignal): LiveAlerts {
  const records = new Map<string, AlertRecord>();
  const ended = followKept(bus, {
    stream: STREAM.alertRecords,
    subjects: [ALERT_RECORDS],
    from: "last-each",
    log,
    hear({ subject, data, header }) {
      const key = subject.split(".").slice(2).join(".");
      if (header("KV-Operation") !== undefined) records.delete(key);
      else {
        try {
          const record = parseJson(AlertRecord, new TextDecoder().decode(data), "alert");
          records.delete(key);
          records.set(key, record);
        } catch (error) {
          // Of another version: the page goes on without it.
          log(`${subject}: ${XtaskError.from(error).message}`);
        }
        for (const oldest of records.keys()) {
          if (records.size <= ALERTS_MAX) break;
          records.delete(oldest);
        }
      }
      changed();
    },
  }, signal);
  return { records, ended };
}
