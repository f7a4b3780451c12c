/**
 * What must hold of a fleet, whatever happens to it: I1 to I8. Pure: from an account of what happened to what is wrong with
 * it. The simulator fills the account from its world, a test with real faults from what it started, asked and read.
 *
 * I6, that every start stands in an audit chain, is left out: there is no such chain yet.
 */
import { isTerminal, movesForward, type State } from "../../lib/protocol/state.ts";

/** The names of the invariants. */
export type Invariant = keyof typeof INVARIANTS;

/** What each of them says. */
export const INVARIANTS = {
  I1: "a command has one live execution at most, wherever, and an attempt is started once at most",
  I2: "a command whose asker was told that it was taken ends, or is seen to wait",
  I3: "of the results of a run one is applied, that of the highest epoch",
  I4: "no fact that a node has on its disk is lost on its way to the hub, or stored there twice",
  I5: "output arrives as it was written, or says where how many bytes are missing",
  I7: "after a run has ended no process of it is left",
  I8: "when nothing goes wrong any more, all comes to an end in time",
  forward: "the state of a run only moves forward",
  told: "what is told last of a node's coming and going is what the hub says of it",
  alive: "no program ends by an error that nobody caught",
} as const;

/** Something that does not hold. */
export interface Violation {
  readonly invariant: Invariant;
  readonly text: string;
}

/** A process that was started for a run. Times are in ms on one clock. */
export interface Started {
  readonly command: string;
  readonly node: string;
  /** Which attempt it belongs to, where a command may have more than one. */
  readonly attempt?: number;
  readonly startedAt: number;
  readonly endedAt: number | undefined;
}

/** A run as somebody tells of it. */
export interface Told {
  readonly command: string;
  readonly node: string;
  /** @default {1} */
  readonly attempt?: number;
  readonly state: State;
}

/** A message of a run's output. */
export interface OutputPiece {
  /** The number of its first byte among those that were sent. */
  readonly offset: number;
  /** So many bytes before it are missing. */
  readonly gap: number;
  readonly bytes: Uint8Array;
  /** The number of all bytes, in the last message. */
  readonly end: number | undefined;
}

/** All output of a run that the hub has, and what was written. */
export interface RunOutput {
  readonly command: string;
  readonly node: string;
  readonly pieces: readonly OutputPiece[];
  /** What had to be written at a place. */
  readonly byteAt: (offset: number) => number;
  /** Bytes that the agent took from the process; undefined where the agent died, and its memory with it. */
  readonly written: number | undefined;
}

/** One live execution at most, one start of an attempt at most. */
export function startsOf(all: readonly Started[]): Violation[] {
  const found: Violation[] = [];
  const byCommand = Map.groupBy(all, ({ command }) => command);
  for (const [command, starts] of byCommand) {
    const attempts = Map.groupBy(starts, ({ node, attempt = 1 }) => `${attempt} on ${node}`);
    for (const [attempt, same] of attempts) {
      if (same.length > 1) {
        found.push(violation("I1", `${command}: attempt ${attempt} was started ${same.length} times`));
      }
    }
  }
  return found;
}

/** Commands of one place at a time, of which two executions lived at once. */
export function overlapsOf(all: readonly Started[]): Violation[] {
  const found: Violation[] = [];
  for (const [command, starts] of Map.groupBy(all, ({ command }) => command)) {
    const ordered = starts.toSorted((a, b) => a.startedAt - b.startedAt);
    for (const [index, { node, startedAt }] of ordered.entries()) {
      const before = ordered.slice(0, index).find(({ endedAt = Infinity }) => endedAt > startedAt);
      if (before !== undefined) found.push(violation("I1", `${command} lived on ${before.node} and ${node} at once`));
    }
  }
  return found;
}

/** Every acknowledged command has ended, as far as the hub knows. */
export function unendedOf(
  acknowledged: readonly Omit<Told, "state">[],
  stateOf: (command: string, node: string) => State | undefined,
): Violation[] {
  return acknowledged.flatMap(({ command, node }) => {
    const state = stateOf(command, node);
    if (state === undefined) {
      return [violation("I2", `${command} was taken by ${node}, and the hub knows nothing of it`)];
    }
    return isTerminal(state) ? [] : [violation("I2", `${command} on ${node} is ${state} for ever`)];
  });
}

/** Every result that a node has is stored at the hub once, and is what the hub's record says. */
export function resultsOf(
  journalled: readonly Told[],
  stored: readonly Told[],
  stateOf: (command: string, node: string, attempt: number) => State | undefined,
): Violation[] {
  const found: Violation[] = [];
  const key = ({ command, node, attempt = 1 }: Omit<Told, "state">) => `${command} on ${node}, attempt ${attempt}`;
  const byRun = Map.groupBy(stored, key);
  for (const [run, results] of byRun) {
    if (results.length > 1) found.push(violation("I3", `${run} has ${results.length} results`));
  }
  for (const told of journalled) {
    const [result] = byRun.get(key(told)) ?? [];
    if (result === undefined) found.push(violation("I4", `the result of ${key(told)} never came to the hub`));
    else if (result.state !== told.state) {
      found.push(violation("I3", `${key(told)} ended as ${told.state}; the hub has ${result.state}`));
    }
    const state = stateOf(told.command, told.node, told.attempt ?? 1);
    if (result !== undefined && state !== undefined && isTerminal(state) && state !== told.state) {
      found.push(violation("I3", `${key(told)} ended as ${told.state}; the hub's record says ${state}`));
    }
  }
  return found;
}

/** Output as it was written, with every gap told. */
export function outputOf({ command, node, pieces, byteAt, written }: RunOutput): Violation[] {
  const wrong = (text: string) => [violation("I5", `output of ${command} on ${node}: ${text}`)];
  let [next, missing] = [0, 0];
  let end: number | undefined;
  // What an agent sent before it died may still be under way on its connection when the next one has told the rest.
  const ordered = written === undefined ? pieces.toSorted((a, b) => a.offset - b.offset) : pieces;
  for (const { offset, gap, bytes, end: told } of ordered) {
    if (offset < next) return wrong(`bytes from ${offset} came after those up to ${next}`);
    if (written !== undefined && offset - next !== gap) {
      return wrong(`${offset - next} bytes are missing before ${offset}, and ${gap} are told`);
    }
    missing += offset - next;
    const bad = bytes.findIndex((byte, index) => byte !== byteAt(offset + index));
    if (bad >= 0) return wrong(`byte ${offset + bad} is another one than was written`);
    next = offset + bytes.length;
    end = told ?? end;
  }
  if (written === undefined) return [];
  if (end === undefined) return wrong(`its end never came, after ${next} of ${written} bytes`);
  if (end !== written || next !== written) {
    return wrong(`${written} bytes were written, ${next - missing} came, ${missing} are told missing, ${end} in all`);
  }
  return [];
}

/** A process that is left of a run that has ended. */
export function leftOf(run: Omit<Told, "state">, starts: readonly Started[]): Violation[] {
  return starts.filter(({ command, node, endedAt }) =>
    command === run.command && node === run.node && endedAt === undefined
  ).map(({ startedAt }) =>
    violation("I7", `${run.command} has ended on ${run.node}; its process of ${startedAt.toFixed(0)} ms lives on`)
  );
}

/** A state that went back. */
export function stepBackOf({ command, node, state }: Told, before: State | undefined): Violation[] {
  if (before === undefined || before === state || movesForward(before, state)) return [];
  return [violation("forward", `${command} on ${node} was ${before} and is ${state}`)];
}

/** A violation. */
export function violation(invariant: Invariant, text: string): Violation {
  return { invariant, text };
}
