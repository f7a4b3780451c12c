/** `xtask alerts`: what a person should know, as it stands; acknowledged and muted by name. */
import * as v from "valibot";
import { AlertRecord, wantsAttention } from "../../protocol/alert.ts";
import { parseDuration } from "../../words/duration.ts";
import type { Shell } from "../shell.ts";
import { duration, styled, table } from "../terminal.ts";
import type { FleetFlags } from "./nodes.ts";

const Alerts = v.object({ alerts: v.array(AlertRecord) });

/** Lists alerts. */
export async function list(this: Shell, { json, context, all }: FleetFlags & { all: boolean }): Promise<void> {
  await using fleet = await this.connect(context);
  const { alerts } = await fleet.hub("alert", "list", { all }, Alerts);
  if (json) return alerts.forEach((alert) => this.print(JSON.stringify(alert)));
  if (alerts.length === 0) return this.note(all ? "There has been no alert." : "Nothing is wrong.");
  const rows = alerts.map((alert) => [
    styled(alert.severity, severityStyle(alert.severity), this.color),
    stateOf(alert),
    `${duration(Date.now() - Date.parse(alert.openedAt))} ago`,
    alert.key,
    alert.message,
  ]);
  this.print(table(["SEVERITY", "STATE", "SINCE", "KEY", ""], rows));
}

/** Says that somebody has seen an alert. */
export async function acknowledge(this: Shell, flags: FleetFlags, key: string): Promise<void> {
  await change(this, flags, "ack", { key });
}

/** Keeps everybody from being told of an alert for a while, however often it comes. */
export async function mute(this: Shell, flags: FleetFlags & { for: string }, key: string): Promise<void> {
  await change(this, flags, "mute", { key, forMs: parseDuration(flags.for) });
}

/** Lets an alert be told again. */
export async function unmute(this: Shell, flags: FleetFlags, key: string): Promise<void> {
  await change(this, flags, "unmute", { key });
}

async function change(shell: Shell, { json, context }: FleetFlags, verb: string, input: unknown): Promise<void> {
  await using fleet = await shell.connect(context);
  const alert = await fleet.hub("alert", verb, input, AlertRecord);
  shell.print(json ? JSON.stringify(alert) : `${alert.key} is ${stateOf(alert)}`);
}

function stateOf(alert: AlertRecord): string {
  const { resolvedAt, acknowledged, muted } = alert;
  if (resolvedAt !== undefined) return "over";
  if (wantsAttention(alert, Date.now())) return "open";
  if (muted !== undefined && Date.parse(muted.until) > Date.now()) {
    return `muted by ${muted.by.user} until ${muted.until}`;
  }
  return `acknowledged by ${acknowledged?.by.user}`;
}

function severityStyle(severity: AlertRecord["severity"]) {
  switch (severity) {
    case "critical":
      return "red";
    case "warning":
      return "yellow";
    case "info":
      return "cyan";
    default:
      return severity satisfies never;
  }
}
