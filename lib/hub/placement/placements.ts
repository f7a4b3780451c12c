/** The commands of a project that may move, each a {@linkcode Placement}: submitted, given to nodes that are there, renewed. */
import type { By } from "../../protocol/by.ts";
import { XtaskError } from "../../protocol/error.ts";
import type { Event } from "../../protocol/event.ts";
import { HUB_AUTHOR, newCommandId } from "../../protocol/id.ts";
import { type LeasedRun, LeaseMs, type Renewed } from "../../protocol/lease.ts";
import { LEASE_MS, MOVING_MAX, QUEUE_MS_DEFAULT } from "../../protocol/limits.ts";
import { stateOf } from "../../protocol/move.ts";
import type { SubmitInput, Submitted } from "../../protocol/moving.ts";
import { parse } from "../../protocol/parse.ts";
import type { CommandRecord } from "../../protocol/run.ts";
import { parseSelector } from "../../protocol/selector.ts";
import { type Candidate, choose, isMeant, roomOf } from "./choose.ts";
import { type Outcome, Placement, type PlacementOptions } from "./placement.ts";

/** What {@linkcode openPlacements} needs. */
export interface PlacementsOptions extends Omit<PlacementOptions, "leaseMs" | "chosen" | "onWith" | "onEnd"> {
  /** The nodes there are. */
  readonly nodes: () => readonly Candidate[];
  /** What is known of a command, also of one that has ended. */
  readonly record: (id: string) => Promise<CommandRecord | undefined>;
  /** @default {15000} */
  readonly leaseMs?: number | undefined;
}

/** The commands that may move. */
export interface Placements {
  /** @throws {XtaskError} `invalid` for a selector, `conflict` for an id that meant something else, `exhausted` */
  submit(input: SubmitInput, by: By | undefined): Promise<Submitted>;
  /** Answers a node that renews its leases. */
  renew(node: string, runs: readonly LeasedRun[]): Renewed;
  /** What a node said of a run. */
  hear(event: Event): void;
  /** A node is there, and may have room. */
  nodeIsThere(node: Candidate): void;
  /** Ends a command. Undefined where it is not one of these; else where that was asked, and what came of it. */
  cancel(id: string): Promise<Readonly<Record<string, Outcome>> | undefined>;
  tick(): void;
  /** Resolves when nothing is being done any more. */
  settled(): Promise<void>;
}

/** Opens them as the bucket has them. */
export async function openPlacements(options: PlacementsOptions): Promise<Placements> {
  const { bucket, nodes, record, now, leaseMs = LEASE_MS } = options;
  parse(LeaseMs, leaseMs, "length of a lease");
  const all = new Map<string, Placement>();
  const given = new Map<string, Set<string>>();
  const givenTo = (node: string) => [...given.get(node) ?? []];
  const open = (id: string, make: (options: PlacementOptions) => Placement) => {
    const onWith = (before: string | undefined, after: string | undefined) => {
      if (before !== undefined) given.get(before)?.delete(id);
      if (after !== undefined) given.set(after, (given.get(after) ?? new Set()).add(id));
    };
    const placement = make({
      ...options,
      leaseMs,
      chosen: (sought, not) => choose(nodes(), sought, givenTo, not),
      onWith,
      onEnd: () => all.delete(id),
    });
    all.set(id, placement);
    return placement;
  };
  const kept = [...(await bucket.entries()).values()].sort((a, b) => a.askedAt < b.askedAt ? -1 : 1);
  for (const moving of kept) open(moving.id, (within) => Placement.revived(moving, within));

  const submitted = async (id: string, deadline: string | undefined): Promise<Submitted> => {
    const known = await record(id);
    const node = all.get(id)?.node ?? known?.move?.node;
    return {
      id,
      state: known?.move === undefined ? "queued" : stateOf(known),
      ...(node === undefined ? {} : { node }),
      attempt: all.get(id)?.epoch ?? known?.move?.attempt ?? 0,
      ...(deadline === undefined ? {} : { deadline }),
    };
  };
  return {
    async submit(input, by) {
      const { id = newCommandId(now()), any, capability, verb } = input;
      parseSelector(any);
      const recorded = all.has(id) ? undefined : await record(id);
      // Somebody else may have asked for the same meanwhile.
      const before = all.get(id);
      const known = before?.moving ?? recorded;
      if (known !== undefined) {
        assertSame(known, input, before !== undefined || "move" in known);
        // Whoever asks once more meanwhile is told no sooner than the first.
        await before?.kept;
        return await submitted(id, before?.moving.deadline);
      }
      if (all.size >= MOVING_MAX) {
        throw new XtaskError("exhausted", `${MOVING_MAX} commands that may move have not ended yet`, {
          details: ["see them: xtask commands", "end some: xtask commands cancel ID"],
        });
      }
      const askedAt = new Date(now()).toISOString();
      const deadline = input.deadline ?? new Date(now() + QUEUE_MS_DEFAULT).toISOString();
      const about = { id, any, capability, verb, input: input.input, askedAt, deadline, ...(by && { by }) };
      await open(id, (within) => Placement.submitted(about, within)).begin();
      return await submitted(id, deadline);
    },
    renew(node, runs) {
      const [renewed, lost]: [string[], string[]] = [[], []];
      for (const { id, epoch } of runs) {
        const placement = all.get(id);
        placement?.hear({ type: "renewed", node, epoch });
        (placement?.isHeldBy(node, epoch) ? renewed : lost).push(id);
      }
      return { renewed, lost };
    },
    hear(event) {
      if (event.type !== "command_result" || event.node === HUB_AUTHOR) return;
      const { node, attempt: epoch, state, error } = event;
      all.get(event.command)?.hear({ type: "result", node, epoch, state, ...(error === undefined ? {} : { error }) });
    },
    nodeIsThere(node) {
      let room: number | undefined;
      for (const placement of all.values()) {
        if (!placement.isWaiting || !isMeant(node, placement.sought)) continue;
        room ??= roomOf(node, givenTo(node.id));
        if (room <= 0) return;
        placement.hear({ type: "fit", node: node.id });
        if (placement.node === node.id) room--;
      }
    },
    cancel: async (id) => await all.get(id)?.cancel(),
    tick() {
      for (const placement of [...all.values()]) placement.tick();
    },
    async settled() {
      await Promise.all([...all.values()].map((placement) => placement.settled()));
    },
  };
}

function assertSame(
  known: Pick<CommandRecord, "id" | "capability" | "verb" | "input">,
  { capability, verb, input }: SubmitInput,
  moves: boolean,
): void {
  const same = moves && known.capability === capability && known.verb === verb &&
    (known.input === undefined || JSON.stringify(known.input) === JSON.stringify(input));
  if (same) return;
  throw new XtaskError("conflict", `Command id ${known.id} was used for another command`, {
    details: [`it was ${known.capability}.${known.verb}; leave the id out to get a new one`],
  });
}
