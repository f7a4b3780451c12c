/** A task that counts until it is told to stop: its output shows whether any of it was lost or told twice. */
import type { FollowEvent } from "../lib/client/follow.ts";
import { until } from "./until.ts";

/**
 * A Taskfile whose task writes numbered lines until there is a file `open`, and how many there are into `counted`. Each
 * run leaves a line in `runs`.
 */
export const COUNTING = `
version: "3"
silent: true
tasks:
  count:
    cmds:
      - echo ran >> runs
      - |
        i=0
        while [ ! -e open ]; do
          i=$((i + 1))
          echo line $i
          echo $i > counted
          sleep 0.01
        done
`;

/** How many lines were written so far. */
export function countedIn(dir: string): Promise<number> {
  // The file is empty for the moment between opening and writing it.
  return until("the count", async () => {
    const text = await Deno.readTextFile(`${dir}/counted`).catch(() => "0\n");
    return text.endsWith("\n") ? Number(text) : undefined;
  });
}

/** Lets the run end. */
export async function openGate(dir: string): Promise<void> {
  await Deno.writeTextFile(`${dir}/open`, "");
}

/** The output of a run that counted to `last`. */
export function counted(last: number): string {
  return Array.from({ length: last }, (_, i) => `line ${i + 1}\n`).join("");
}

/** The bytes of all output that was told, as text. */
export function toldText(events: readonly FollowEvent[]): string {
  const decoder = new TextDecoder();
  return events.flatMap((event) => event.type === "log" ? event.pieces : [])
    .map(({ bytes }) => decoder.decode(bytes, { stream: true })).join("");
}
