/**
 * A world of its own: time, chance and processes, all from one seed. Code that runs in it believes that it runs on machines;
 * what it waits for happens in the order that the seed says, and the same again for the same seed.
 *
 * JavaScript does one thing at a time, so there is nothing to decide but which comes next. Each event runs in the name of one
 * process, and everything that it sets off without waiting (microtasks) is done before the next event is taken.
 */
import { setImmediate } from "node:timers";
import { type Due, Heap } from "./heap.ts";
import { Random } from "./random.ts";

/** What is to happen. */
export interface Event extends Due {
  readonly process: Process;
  act: (() => void) | undefined;
}

/** Something that runs, stops, hangs and is killed as a whole. */
export class Process {
  readonly name: string;
  alive = true;
  /** The system has stopped it until then (SIGSTOP), or the machine slept. */
  stoppedUntil = 0;
  /** How far its machine's wall clock is off. */
  readonly clock: Clock;
  /** The machine that it runs on. */
  readonly host: string;
  readonly onKilled: (() => void)[] = [];

  constructor(name: string, host: string, clock: Clock) {
    [this.name, this.host, this.clock] = [name, host, clock];
  }
}

/** A machine's wall clock. What a process measures by `performance.now` goes right. */
export interface Clock {
  offsetMs: number;
}

/** One line of what happened. */
export interface Step {
  readonly at: number;
  readonly process: string;
  readonly text: string;
}

/** Every world begins then. */
const EPOCH = Date.UTC(2026, 0, 1);
/** Steps that are kept. */
const STEPS_MAX = 400;

/** A world. */
export class World {
  readonly seed: number;
  /** Milliseconds since its beginning. */
  now = 0;
  /** Events that have happened. */
  events = 0;
  /** The newest steps. */
  readonly steps: Step[] = [];
  /** Changes with every step: two runs of a seed have the same one. */
  digest = 0x811c9dc5;
  /** Hears every step. */
  onStep: ((step: Step) => void) | undefined;
  /** Looks at the world after each event. */
  onEvent: (() => void) | undefined;
  /** For what the world decides. Others draw from sources of their own, so that one more question changes nothing here. */
  readonly random: Random;
  readonly outside: Process;
  readonly #heap = new Heap<Event>();
  #order = 0;
  #current: Process;
  #stopped = false;

  constructor(seed: number) {
    this.seed = seed;
    this.random = new Random(seed, "world");
    this.#current = this.outside = new Process("world", "world", { offsetMs: 0 });
  }

  /** Whose code runs now. */
  get current(): Process {
    return this.#current;
  }

  /** The wall clock of whoever asks. */
  get wallNow(): number {
    return EPOCH + this.now + this.#current.clock.offsetMs;
  }

  /** Has something happen later, in the name of a process; never if that is killed before. */
  after(delayMs: number, process: Process, act: () => void): Event {
    const event: Event = { at: this.now + Math.max(0, delayMs), order: this.#order++, process, act };
    this.#heap.push(event);
    return event;
  }

  /** Runs code in the name of a process, now. */
  as<T>(process: Process, act: () => T): T {
    const before = this.#current;
    this.#current = process;
    try {
      return act();
    } finally {
      this.#current = before;
    }
  }

  /** Nothing of the process happens any more. */
  kill(process: Process): void {
    if (!process.alive) return;
    process.alive = false;
    for (const act of process.onKilled) act();
  }

  /** Nothing of the process happens for a while. */
  stop(process: Process, forMs: number): void {
    process.stoppedUntil = Math.max(process.stoppedUntil, this.now + forMs);
  }

  /** Ends {@linkcode World.run}. */
  end(): void {
    this.#stopped = true;
  }

  /** Lets things happen, up to a moment. */
  async run(until: number): Promise<void> {
    const settled = () => new Promise<void>((resolve) => setImmediate(resolve));
    // What was begun before there was a first event.
    await settled();
    while (!this.#stopped) {
      const next = this.#heap.peek();
      if (next === undefined || next.at > until) break;
      this.#heap.pop();
      const { process, act } = next;
      if (act === undefined || !process.alive) continue;
      this.now = next.at;
      if (process.stoppedUntil > this.now) {
        next.at = process.stoppedUntil;
        this.#heap.push(next);
        continue;
      }
      this.events++;
      this.#current = process;
      act();
      await settled();
      this.#current = this.outside;
      this.onEvent?.();
    }
    if (!this.#stopped) this.now = until;
  }

  /** Notes something that happened. */
  note(text: string, process = this.#current): void {
    const step = { at: this.now, process: process.name, text };
    for (let i = 0; i < text.length; i++) this.digest = Math.imul(this.digest ^ text.charCodeAt(i), 0x01000193);
    this.digest = Math.imul(this.digest ^ Math.floor(this.now * 1000), 0x01000193);
    this.steps.push(step);
    if (this.steps.length > STEPS_MAX) this.steps.splice(0, STEPS_MAX / 2);
    this.onStep?.(step);
  }
}
