/** What a node reports of a run: events, and its result. */
import type { Event } from "../protocol/event.ts";
import type { Result } from "../protocol/run.ts";
import { upEvent, upResult } from "../protocol/subjects.ts";
import type { Accepted } from "./journal.ts";
import type { Draft } from "./outbox.ts";
import type { Command } from "./run.ts";

/** Inputs longer than this are left out of events; the journal has them. */
const EVENT_INPUT_BYTES_MAX = 16 * 1024;

/** That it was accepted, and by whom it was asked. */
export function acceptedReport(
  node: string,
  accepted: Accepted,
  { by, schedule, keep }: Pick<Command, "by" | "schedule" | "keep">,
): Draft {
  const { acceptedAt, capability, verb, input } = accepted;
  return eventReport(node, {
    type: "command_accepted",
    ...about(node, accepted, acceptedAt),
    capability,
    verb,
    ...(JSON.stringify(input).length <= EVENT_INPUT_BYTES_MAX ? { input } : {}),
    ...(by === undefined ? {} : { by }),
    ...(schedule === undefined ? {} : { schedule }),
    ...(keep === true ? { keep } : {}),
  });
}

/** That it has begun. */
export function startedReport(node: string, accepted: Accepted, startedAt: number): Draft {
  return eventReport(node, {
    type: "command_started",
    ...about(node, accepted, new Date(startedAt).toISOString()),
  });
}

/** Its result, and the event that tells of it. */
export function resultReports(node: string, result: Result): Draft[] {
  const { state, exitCode, durationMs, error } = result;
  return [
    { subject: upResult(node, result.id), headers: {}, payload: encode(result) },
    eventReport(node, {
      type: "command_result",
      ...about(node, result, result.finishedAt),
      state,
      durationMs,
      ...(exitCode === undefined ? {} : { exitCode }),
      ...(error === undefined ? {} : { error }),
    }),
  ];
}

function eventReport(node: string, event: Event): Draft {
  return { subject: upEvent(node, event.type), headers: {}, payload: encode(event) };
}

function about(node: string, { id, attempt }: { readonly id: string; readonly attempt: number }, at: string) {
  return { at, node, command: id, attempt };
}

function encode(value: unknown): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(JSON.stringify(value));
}
