/** What the hub is asked about alerts: `xtask.hub.alert.{verb}`. */
import { AlertByKey, AlertList, AlertMute } from "../../protocol/alert.ts";
import type { By } from "../../protocol/by.ts";
import { XtaskError } from "../../protocol/error.ts";
import { parseJson } from "../../protocol/parse.ts";
import type { Alarm } from "./alarm.ts";

type AlertAnswer = (text: string, about: { readonly alarm: Alarm; readonly by: By | undefined }) => unknown;

/** By noun and verb. */
export const ALERT_ANSWERS: Readonly<Record<string, AlertAnswer>> = {
  "alert.list": (text, { alarm }) => ({ alerts: alarm.list(parseJson(AlertList, text, "input of alert.list").all) }),
  "alert.ack": (text, { alarm, by }) => {
    const { key } = parseJson(AlertByKey, text, "input of alert.ack");
    return alarm.acknowledge(key, named(by));
  },
  "alert.mute": (text, { alarm, by }) => {
    const { key, forMs } = parseJson(AlertMute, text, "input of alert.mute");
    return alarm.mute(key, named(by), forMs);
  },
  "alert.unmute": (text, { alarm }) => alarm.unmute(parseJson(AlertByKey, text, "input of alert.unmute").key),
};

/** What keeps others from being told has a name on it. */
function named(by: By | undefined): By {
  if (by !== undefined) return by;
  throw new XtaskError("invalid", "Nobody said who acknowledges or mutes this", {
    details: ["end the subject with your own name, as in xtask.hub.alert.ack.olga, or send the header Xtask-User"],
  });
}
