/**
 * Puts a world in the place of the real one, in this process alone: clocks, timers, chance, and the way to open a connection.
 * So production code runs in it as it is.
 */
import { Random } from "./random.ts";
import type { Event, World } from "./world.ts";

/** Opens a connection for whoever asks. */
export type Connect = (options: { readonly hostname: string; readonly port: number }) => Promise<Deno.TcpConn>;

/** Timers fire late by so much, as they do on a machine with something to do. */
const LATE_MS = 0.3;

/** Puts the world in place until it is disposed. */
export function enter(world: World, connect: Connect): Disposable {
  const undo: (() => void)[] = [];
  const replace = <T extends object, K extends keyof T>(target: T, name: K, value: T[K]) => {
    const before = Object.getOwnPropertyDescriptor(target, name);
    Object.defineProperty(target, name, { value, configurable: true, writable: true, enumerable: true });
    undo.push(() => {
      if (before === undefined) delete target[name];
      else Object.defineProperty(target, name, before);
    });
  };
  const jitter = new Random(world.seed, "timers");
  const ids = new Random(world.seed, "ids");
  const chance = new Random(world.seed, "chance");
  const timers = new Map<number, Event>();
  let last = 0;

  const set = (act: () => void, delayMs: number): number => {
    const id = ++last;
    const event = world.after(delayMs + jitter.between(0, LATE_MS), world.current, () => {
      timers.delete(id);
      act();
    });
    timers.set(id, event);
    return id;
  };
  const clear = (id: unknown) => {
    const event = timers.get(id as number);
    if (event === undefined) return;
    event.act = undefined;
    timers.delete(id as number);
  };
  const every = (act: () => void, delayMs: number): number => {
    const id = ++last;
    const again = () => {
      timers.set(
        id,
        world.after(delayMs + jitter.between(0, LATE_MS), world.current, () => {
          again();
          act();
        }),
      );
    };
    again();
    return id;
  };
  const RealDate = globalThis.Date;
  class VirtualDate extends RealDate {
    constructor(...given: unknown[]) {
      // deno-lint-ignore no-explicit-any -- its overloads take anything
      super(...(given.length === 0 ? [world.wallNow] : given) as [any]);
    }

    static override now(): number {
      return Math.floor(world.wallNow);
    }
  }
  const random = <T extends ArrayBufferView | null>(into: T): T => {
    if (into === null) return into;
    const bytes = new Uint8Array(into.buffer, into.byteOffset, into.byteLength);
    for (let i = 0; i < bytes.length; i++) bytes[i] = ids.int(0, 255);
    return into;
  };
  const uuid = () => {
    let hex = "";
    for (let i = 0; i < 32; i++) hex += "0123456789abcdef"[ids.int(0, 15)];
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${
      hex.slice(20)
    }` as const;
  };

  type Args = unknown[];
  // The types of timers differ between the web's and Node's; a number serves both.
  replace(
    globalThis,
    "setTimeout",
    ((act: (...args: Args) => void, ms = 0, ...args: Args) => set(() => act(...args), Number(ms))) as never,
  );
  replace(globalThis, "clearTimeout", clear as never);
  replace(
    globalThis,
    "setInterval",
    ((act: (...args: Args) => void, ms = 0, ...args: Args) => every(() => act(...args), Number(ms))) as never,
  );
  replace(globalThis, "clearInterval", clear as never);
  replace(globalThis, "Date", VirtualDate as unknown as DateConstructor);
  replace(performance, "now", () => world.now);
  replace(Math, "random", () => chance.next());
  replace(crypto, "randomUUID", uuid);
  replace(crypto, "getRandomValues", random);
  replace(AbortSignal, "timeout", (ms: number) => {
    const controller = new AbortController();
    set(() => controller.abort(new DOMException("Signal timed out.", "TimeoutError")), ms);
    return controller.signal;
  });
  replace(Deno, "connect", connect as unknown as typeof Deno.connect);
  replace(Deno, "osUptime", () => Math.floor(world.now / 1_000));
  replace(Deno, "loadavg", () => [0, 0, 0]);
  const free = { total: 2 ** 33, available: 2 ** 32 } as Deno.SystemMemoryInfo;
  replace(Deno, "systemMemoryInfo", () => free);
  return {
    [Symbol.dispose]() {
      for (const act of undo.reverse()) act();
    },
  };
}
