/**
 * The Workers of a node's capabilities: one each, started on first use with exactly the permissions its definition asks
 * for, started again if it dies. Processes are ended from here, since a Worker may hang.
 */
import { type WireError, XtaskError } from "../protocol/error.ts";
import type { Capability } from "./define.ts";
import { type FixedFacts, type FromWorker, gathered, OUTPUT_CREDITS, type ToWorker } from "./messages.ts";
import type { Guard } from "../os/guard.ts";
import { endProcesses, markOf } from "../os/processes.ts";

/** One call of a verb. */
export interface Invocation {
  readonly capability: Capability;
  readonly verb: string;
  /** Parsed by the verb's schema already. */
  readonly input: unknown;
  readonly command: string;
  /** Only tell the process that does it, as the outcome's `data`: see `Verb.keep`. */
  readonly tell?: true;
  /** Which attempt at it this is. @default {1} */
  readonly attempt?: number;
  /** Aborting ends the run's processes; the reason is the run's error. */
  readonly signal: AbortSignal;
  /** Aborted where no time is left for the end that `signal` asked for: what still lives of the run is killed. */
  readonly kill?: AbortSignal;
  /** Takes output; resolves when there is room for more. */
  readonly output: (stream: "out" | "err", bytes: Uint8Array<ArrayBuffer>) => Promise<void>;
  /** Hears of each process that the run starts. */
  readonly onStarted?: (pid: number) => void;
  /** Hears that one has ended, before anything comes of that. */
  readonly onEnded?: () => void;
}

/** How a call ended. An error that the handler threw stands here; what is thrown by `invoke` is the host's own failure. */
export interface Outcome {
  readonly data?: unknown;
  readonly exitCode?: number;
  readonly error?: WireError;
}

/** Options of {@linkcode createHost}. */
export interface HostOptions {
  /** What a capability may know of this node. */
  readonly factsFor: (capability: Capability) => FixedFacts;
  /** Processes that no command may end; asked anew for each command. */
  readonly protectedPids: () => readonly number[];
  /** Between SIGTERM and SIGKILL, and then until a handler that does not settle costs its Worker. @default {5000} */
  readonly graceMs?: number;
  /** Hears of the processes of runs; its mark is in the environment that `factsFor` gives. */
  readonly guard?: Pick<Guard, "began" | "ended">;
  /** A Worker with nothing to do goes after this long: an idle one keeps some 10 MiB. @default {60000} */
  readonly idleMs?: number;
}

/** Runs verbs in Workers. */
export interface Host extends AsyncDisposable {
  invoke(invocation: Invocation): Promise<Outcome>;
  /** Why this node cannot offer the capability, or undefined. */
  ready(capability: Capability, signal: AbortSignal): Promise<string | undefined>;
}

interface Call {
  readonly invocation: Omit<Invocation, "capability" | "verb" | "input">;
  readonly settle: (outcome: Outcome) => void;
  readonly groups: Set<number>;
  /** Messages of output that have not been taken yet. */
  untaken: number;
  /** Messages that have been taken and not been given back as credits. */
  owed: number;
}

/** A handler whose processes were killed settles within this. */
const KILLED_MS = 500;
/** Given back together, well before the Worker would have to wait for them. */
const CREDITS_AT_ONCE = OUTPUT_CREDITS / 4;

/** The host of a node's capabilities. Nothing runs before the first call. */
export function createHost(options: HostOptions): Host {
  const { factsFor, protectedPids, graceMs = 5_000, idleMs = 60_000, guard } = options;
  const workers = new Map<string, CapabilityWorker>();
  const call = async (
    capability: Capability,
    message: CallMessage,
    invocation: Call["invocation"],
    keptMs = idleMs,
  ): Promise<Outcome> => {
    let worker = workers.get(capability.name);
    if (worker === undefined) {
      const onGone = () => workers.delete(capability.name);
      worker = new CapabilityWorker(capability, factsFor(capability), { graceMs, guard, onGone });
      workers.set(capability.name, worker);
    }
    return await worker.call(message, invocation, keptMs);
  };
  return {
    invoke: ({ capability, verb, input, ...invocation }) => {
      const { command, attempt = 1, tell } = invocation;
      const asked = { type: "run", command, attempt, verb, input, ...(tell === undefined ? {} : { tell }) } as const;
      return call(
        capability,
        (number) => ({ ...asked, call: number, protectedPids: protectedPids() }),
        invocation,
      );
    },
    async ready(capability, signal) {
      if (capability.ready === undefined) return undefined;
      const message: CallMessage = (number) => ({ type: "ready", call: number });
      const asked = { command: "ready", signal, output: () => Promise.resolve() };
      // What can be offered is asked of all; most nodes are never asked for most of it.
      const outcome = await call(capability, message, asked, 0);
      return outcome.error?.message ?? outcome.data as string | undefined;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...workers.values()].map((worker) => worker[Symbol.asyncDispose]()));
    },
  };
}

/** A compiled xtask has the Worker bundled beside everything else. */
const WORKER = new URL(Deno.build.standalone ? "./worker.js" : "./worker.ts", import.meta.url);

type CallMessage = (number: number) => ToWorker;

class CapabilityWorker implements AsyncDisposable {
  readonly #name: string;
  readonly #node: string;
  readonly #worker: Worker;
  readonly #graceMs: number;
  readonly #guard: HostOptions["guard"];
  readonly #onGone: () => void;
  readonly #calls = new Map<number, Call>();
  readonly #post = gathered<ToWorker>((messages) => {
    if (!this.#gone) this.#worker.postMessage(messages);
  });
  #next = 0;
  #gone = false;
  #idle: ReturnType<typeof setTimeout> | undefined;

  constructor(
    capability: Capability,
    node: FixedFacts,
    { graceMs, guard, onGone }: { graceMs: number; guard: HostOptions["guard"]; onGone: () => void },
  ) {
    this.#name = capability.name;
    this.#node = node.id;
    this.#graceMs = graceMs;
    this.#guard = guard;
    this.#onGone = onGone;
    this.#worker = new Worker(WORKER, {
      type: "module",
      name: capability.name,
      deno: { permissions: { ...DENIED, ...capability.permissions({ ...node, protectedPids: [] }) } },
    });
    this.#worker.onmessage = ({ data }: MessageEvent<readonly FromWorker[]>) => {
      for (const message of data) void this.#hear(message);
    };
    this.#worker.onerror = (event) => {
      event.preventDefault();
      void this.#fail(`The Worker of ${this.#name} died: ${event.message}`);
    };
    this.#post({ type: "load", capability: capability.name, node });
  }

  async call(message: CallMessage, invocation: Call["invocation"], keptMs: number): Promise<Outcome> {
    const { signal, kill, command } = invocation;
    signal.throwIfAborted();
    clearTimeout(this.#idle);
    const number = this.#next++;
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    const call: Call = { invocation, settle: resolve, groups: new Set(), untaken: 0, owed: 0 };
    this.#calls.set(number, call);
    let overdue: ReturnType<typeof setTimeout> | undefined;
    const onAbort = () => {
      const reason = XtaskError.from(signal.reason).toWire();
      this.#post({ type: "abort", call: number, reason });
      void endProcesses({ groups: [...call.groups], mark: markOf(this.#node, command) }, { graceMs: this.#graceMs });
      overdue = setTimeout(giveUp, 2 * this.#graceMs);
    };
    const giveUp = () => {
      // Where its output is not taken, it is not the handler's fault that it cannot end, and no other run may suffer.
      if (call.untaken > 0) resolve({ error: XtaskError.from(signal.reason).toWire() });
      else void this.#fail(`A handler of ${this.#name} did not stop when told to`);
    };
    const onKill = () => {
      void endProcesses({ groups: [...call.groups], mark: markOf(this.#node, command) }, { graceMs: 0 });
      clearTimeout(overdue);
      overdue = setTimeout(giveUp, KILLED_MS);
    };
    signal.addEventListener("abort", onAbort, { once: true });
    kill?.addEventListener("abort", onKill, { once: true });
    this.#post(message(number));
    try {
      return await promise;
    } finally {
      clearTimeout(overdue);
      signal.removeEventListener("abort", onAbort);
      kill?.removeEventListener("abort", onKill);
      this.#calls.delete(number);
      for (const pid of call.groups) void this.#guard?.ended(pid);
      if (this.#calls.size === 0 && !this.#gone) {
        this.#idle = setTimeout(() => void this[Symbol.asyncDispose](), keptMs);
      }
    }
  }

  async #hear(message: FromWorker): Promise<void> {
    const call = this.#calls.get(message.call);
    if (call === undefined) {
      // A run that was given up may still have output to get rid of before it ends.
      if (message.type === "output") this.#post({ type: "credit", call: message.call, count: 1 });
      return;
    }
    const { invocation, groups, settle } = call;
    switch (message.type) {
      case "output":
        call.untaken++;
        await invocation.output(message.stream, message.bytes);
        call.untaken--;
        // Most runs that read end before the Worker could want its first credits back.
        if (++call.owed === CREDITS_AT_ONCE) {
          this.#post({ type: "credit", call: message.call, count: call.owed });
          call.owed = 0;
        }
        return;
      case "started":
        groups.add(message.pid);
        void this.#guard?.began(message.pid, markOf(this.#node, invocation.command));
        invocation.onStarted?.(message.pid);
        // The wish to stop may have come while the process was being started.
        if (invocation.signal.aborted) await this.#end(call, message.pid);
        return;
      case "end":
        await this.#end(call, message.pid);
        return;
      case "ended":
        groups.delete(message.pid);
        invocation.onEnded?.();
        await this.#end(call, message.pid);
        void this.#guard?.ended(message.pid);
        this.#post({ type: "reaped", call: message.call, pid: message.pid });
        return;
      case "done":
        settle({ data: message.data, ...exitOf(message) });
        return;
      case "failed":
        settle({ error: message.error, ...exitOf(message) });
        return;
      default:
        message satisfies never;
    }
  }

  /** Ends a process and its group; what left the group too, once nothing else of the run is meant to live. */
  async #end({ groups, invocation }: Call, pid: number): Promise<void> {
    const others = [...groups].filter((group) => group !== pid);
    const mark = others.length === 0 ? { mark: markOf(this.#node, invocation.command) } : {};
    const graceMs = invocation.kill?.aborted ? 0 : this.#graceMs;
    await endProcesses({ groups: [pid], ...mark }, { graceMs });
  }

  async #fail(message: string): Promise<void> {
    // A second reason to give it up must not take its successor off the list.
    if (this.#gone) return;
    this.#gone = true;
    clearTimeout(this.#idle);
    this.#onGone();
    this.#worker.terminate();
    const error = new XtaskError("internal", message).toWire();
    await Promise.all([...this.#calls.values()].map(async ({ groups, invocation, settle }) => {
      await endProcesses({ groups: [...groups], mark: markOf(this.#node, invocation.command) }, {
        graceMs: this.#graceMs,
      });
      settle({ error });
    }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#fail(`The Worker of ${this.#name} was stopped`);
  }
}

function exitOf({ exitCode }: { exitCode?: number }): { exitCode?: number } {
  return exitCode === undefined ? {} : { exitCode };
}

/** What a Worker may do unless its capability asks for it. */
const DENIED = {
  env: false,
  ffi: false,
  import: false,
  net: false,
  read: false,
  run: false,
  sys: false,
  write: false,
} as const satisfies Deno.PermissionOptionsObject;
