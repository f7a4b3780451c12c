/** What a person or a program sees of a command on its nodes. */
import type { FollowEvent } from "../client/follow.ts";
import { ERROR_CODES, type XtaskError } from "../protocol/error.ts";
import type { Result } from "../protocol/run.ts";
import type { TerminalState } from "../protocol/state.ts";
import { LineWriter } from "./lines.ts";
import type { Shell } from "./shell.ts";
import { duration, nodeStyle, stateStyle, styled, table } from "./terminal.ts";

/** Options of {@linkcode createReport}. */
export interface ReportOptions {
  readonly id: string;
  /** One node's output is shown as it is, that of several with the node's name in front. */
  readonly nodes: readonly string[];
  readonly json: boolean;
}

/** Shows a command as it goes. */
export interface Report {
  accepted(node: string): void;
  event(event: FollowEvent): void;
  /** A result that came whole, with its output in it. */
  whole(result: Result): void;
  /** A node did not take the command, or it has ended on none. */
  failed(node: string, error: XtaskError, state?: TerminalState): void;
  /** The person left before the end. */
  left(): void;
  /** Ends the report; returns the exit code. */
  close(exitCode?: (data: unknown) => number): number;
}

/** A report in the form that was asked for. */
export function createReport(shell: Shell, { id, nodes, json }: ReportOptions): Report {
  const results = new Map<string, Result>();
  const failures = new Map<string, XtaskError>();
  let away = false;
  const lines = new LineWriter(shell, nodes.length > 1 ? nodes : []);
  const emit = (object: Record<string, unknown>) => shell.print(JSON.stringify(object));
  const say = (text: string) => json || shell.note(styled(text, "dim", shell.color));
  const event = (one: FollowEvent) => {
    switch (one.type) {
      case "log":
        for (const { stream, bytes } of one.pieces) {
          if (json) {
            emit({
              type: "log",
              id,
              node: one.node,
              stream,
              at: one.at.toISOString(),
              text: lines.decode(one.node, stream, bytes),
            });
          } else lines.write(one.node, stream, bytes);
        }
        return;
      case "gap":
        if (json) emit({ type: "gap", id, node: one.node, bytes: one.bytes });
        else say(`${one.node}: ${one.bytes} bytes of output are missing here`);
        return;
      case "result":
        results.set(one.node, one.result);
        if (json) emit({ type: "result", ...one.result });
        else lines.end(one.node);
        return;
      case "lost":
        if (json) emit({ type: "lost" });
        return say("Lost sight of the hub; the command goes on. Waiting for it to come back …");
      case "found":
        if (json) emit({ type: "found" });
        return say("The hub is back; picking up again");
      case "silent":
        if (json) emit({ type: "silent", id, node: one.node });
        return say(`${one.node} does not answer; its run will be told of when it returns (Ctrl-C twice leaves)`);
      default:
        one satisfies never;
    }
  };
  return {
    event,
    accepted: (node) => json && emit({ type: "accepted", id, node }),
    whole(result) {
      const { head, tail, truncated, bytes } = result.output;
      const encoder = new TextEncoder();
      const at = new Date(result.finishedAt);
      const log = (text: string, offset: number) =>
        text === "" ||
        event({ type: "log", node: result.node, offset, at, pieces: [{ stream: "out", bytes: encoder.encode(text) }] });
      log(head, 0);
      if (truncated) event({ type: "gap", node: result.node, bytes: bytes - encoder.encode(head + tail).length });
      log(tail, bytes - encoder.encode(tail).length);
      event({ type: "result", node: result.node, result });
    },
    failed(node, error, state = "refused") {
      failures.set(node, error);
      if (json) emit({ type: "result", id, node, state, error: error.toWire() });
    },
    left() {
      away = true;
      if (!json) shell.note(`Left; the command goes on. Look again with: xtask commands logs ${id} -f`);
    },
    close(exitCodeOf) {
      const code = away ? 130 : exitCode([...results.values()], [...failures.values()], exitCodeOf);
      if (json) {
        emit({ type: "summary", id, nodes: nodes.length, succeeded: count(results, "succeeded"), exitCode: code });
        return code;
      }
      lines.endAll();
      if (nodes.length > 1) shell.note(`\n${summary(shell, nodes, results, failures)}`);
      else sayWhy(shell, nodes[0] ?? "", results, failures);
      return code;
    },
  };
}

function count(results: ReadonlyMap<string, Result>, state: string): number {
  return [...results.values()].filter((result) => result.state === state).length;
}

/** The run's own code for one run; else 1 if any failed. */
function exitCode(
  results: readonly Result[],
  failures: readonly XtaskError[],
  exitCodeOf?: (data: unknown) => number,
): number {
  const codes = [
    ...results.map((result) => codeOf(result, exitCodeOf)),
    ...failures.map(({ code }) => ERROR_CODES[code].exit),
  ];
  if (codes.length === 1) return codes[0] ?? 1;
  return codes.every((code) => code === 0) ? 0 : 1;
}

function codeOf({ state, exitCode, error, data }: Result, exitCodeOf?: (data: unknown) => number): number {
  if (state === "succeeded") return exitCodeOf?.(data) ?? 0;
  if (state === "cancelled") return ERROR_CODES.cancelled.exit;
  return exitCode || (error === undefined ? 1 : ERROR_CODES[error.code].exit);
}

function summary(
  shell: Shell,
  nodes: readonly string[],
  results: ReadonlyMap<string, Result>,
  failures: ReadonlyMap<string, XtaskError>,
): string {
  const rows = nodes.map((node, index) => {
    const result = results.get(node);
    const error = failures.get(node) ?? result?.error;
    const state = result?.state ?? (error === undefined ? "running" : "refused");
    return [
      styled(node, nodeStyle(index), shell.color),
      styled(state, stateStyle(state), shell.color),
      result?.exitCode === undefined ? "-" : String(result.exitCode),
      result === undefined ? "-" : duration(result.durationMs),
      result === undefined ? "-" : result.output.lines === 1 ? "1 line" : `${result.output.lines} lines`,
      error?.message ?? "",
    ];
  });
  return table(["NODE", "STATE", "EXIT", "TIME", "OUTPUT", ""], rows);
}

/** With one node there is no table; only what did not go well needs a word. */
function sayWhy(
  shell: Shell,
  node: string,
  results: ReadonlyMap<string, Result>,
  failures: ReadonlyMap<string, XtaskError>,
): void {
  const result = results.get(node);
  const error = failures.get(node) ?? result?.error;
  if (error === undefined) return;
  const what = result === undefined || result.state === "failed" ? "error" : result.state;
  shell.note(`${styled(what, "red", shell.color)}: ${error.message}`);
  for (const line of error.details ?? []) shell.note(`  ${line}`);
}
