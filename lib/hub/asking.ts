/** What the hub asks of nodes, for those who asked it. */
import type { Bus } from "../nats/bus.ts";
import { type By, USER_HEADER } from "../protocol/by.ts";
import { HEADER } from "../protocol/run.ts";
import { commandSubject } from "../protocol/subjects.ts";

/** A command that was left with the hub. */
export interface Given {
  readonly id: string;
  readonly node: string;
  readonly capability: string;
  readonly verb: string;
  readonly input: unknown;
  readonly by?: By | undefined;
  readonly deadline: string;
  /** Its run may outlive its agent. */
  readonly keep?: boolean | undefined;
  /** Where it may move: its lease on that node. */
  readonly lease?: { readonly epoch: number; readonly leaseMs: number };
}

/** A node journals a command before it answers. */
const GIVE_MS = 10_000;

/** Asks a node for a command as whoever asked at first; resolves when it has taken it. */
export async function giveTo(bus: Bus, given: Given): Promise<void> {
  const { node, capability, verb, input, by, id, deadline, lease, keep } = given;
  const author = by?.proven ? by.user : undefined;
  await bus.request(commandSubject(node, capability, verb, author), JSON.stringify(input), {
    timeoutMs: GIVE_MS,
    headers: {
      [HEADER.commandId]: id,
      [HEADER.deadline]: deadline,
      [HEADER.wait]: "0",
      ...(by === undefined ? {} : { [USER_HEADER]: by.user }),
      ...(keep ? { [HEADER.keep]: "true" } : {}),
      ...(lease === undefined ? {} : { [HEADER.attempt]: String(lease.epoch), [HEADER.lease]: String(lease.leaseMs) }),
    },
  });
}
