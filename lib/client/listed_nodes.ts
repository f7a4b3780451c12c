/** All nodes that the hub knows. It tells them a part at a time, since an answer is one message. */
import * as v from "valibot";
import type { Schema } from "../protocol/parse.ts";

/** Asks the hub. */
type AskHub = <T>(noun: string, verb: string, input: unknown, schema: Schema<T>) => Promise<T>;

/** The nodes that a selector means, as a schema reads them. */
export async function listedNodes<T>(hub: AskHub, select: string, schema: Schema<T>): Promise<T[]> {
  const Part = v.object({ nodes: v.array(schema), next: v.optional(v.string()) });
  const found: T[] = [];
  for (let after: string | undefined = "";;) {
    const { nodes, next }: { nodes: T[]; next?: string | undefined } = await hub(
      "node",
      "list",
      { select, ...(after === "" ? {} : { after }) },
      Part,
    );
    found.push(...nodes);
    if (next === undefined) return found;
    after = next;
  }
}
