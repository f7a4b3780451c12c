/** The inside of a capability's Worker: loads one capability and runs its verbs with the Worker's own, scoped permissions. */
/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
import { XtaskError } from "../protocol/error.ts";
import type { Capability, NodeFacts, RunContext } from "./define.ts";
import { createExec, type ExecOrigin } from "./exec.ts";
import { type FixedFacts, type FromWorker, gathered, OUTPUT_CREDITS, type ToWorker } from "./messages.ts";
import { sendSignal } from "../os/processes.ts";
import type { CapabilityName } from "./registry.ts";

/** Literal paths, since a Worker may not read its own sources: what it can load is what Deno has found in it beforehand. */
const MODULES: Readonly<Record<CapabilityName, () => Promise<{ default: Capability }>>> = {
  task: () => import("./task.ts"),
  which: () => import("./which.ts"),
  got: () => import("./got/got.ts"),
  silent: () => import("./silent.ts"),
  "kill-port": () => import("./kill_port.ts"),
  docker: () => import("./docker.ts"),
  git: () => import("./git.ts"),
};

interface Call {
  readonly abort: AbortController;
  readonly reaped: Map<number, () => void>;
  credits: number;
  /** Wakes the streams that wait for credits: a process may fill both. */
  waiting: (() => void)[];
}

const calls = new Map<number, Call>();
const { promise: loaded, resolve: setLoaded } = Promise.withResolvers<{ capability: Capability; node: FixedFacts }>();

self.onmessage = ({ data }: MessageEvent<readonly ToWorker[]>) => data.forEach(hear);

function hear(message: ToWorker): void {
  switch (message.type) {
    case "load":
      setLoaded(
        MODULES[message.capability as CapabilityName]().then(({ default: capability }) => ({
          capability,
          node: message.node,
        })),
      );
      return;
    case "run":
      void answer(message.call, message, message.protectedPids, (capability, context) => {
        const verb = capability.verbs[message.verb];
        if (verb === undefined) throw new XtaskError("not_found", `${capability.name} has no verb '${message.verb}'`);
        return message.tell ? verb.keep?.process(message.input, context) : verb.run(message.input, context);
      });
      return;
    case "ready":
      void answer(
        message.call,
        { command: "ready", attempt: 1 },
        [],
        (capability, context) => capability.ready?.(context),
      );
      return;
    case "abort":
      calls.get(message.call)?.abort.abort(XtaskError.fromWire(message.reason));
      return;
    case "credit": {
      const call = calls.get(message.call);
      if (call === undefined) return;
      call.credits += message.count;
      const { waiting } = call;
      call.waiting = [];
      for (const wake of waiting) wake();
      return;
    }
    case "reaped":
      calls.get(message.call)?.reaped.get(message.pid)?.();
      return;
  }
}

async function answer(
  number: number,
  about: Pick<ExecOrigin, "command" | "attempt">,
  protectedPids: readonly number[],
  act: (capability: Capability, context: RunContext) => Promise<unknown> | undefined,
): Promise<void> {
  const call: Call = { abort: new AbortController(), reaped: new Map(), credits: OUTPUT_CREDITS, waiting: [] };
  calls.set(number, call);
  let exit: { exitCode?: number } = {};
  try {
    const { capability, node } = await loaded;
    const context = contextOf(number, call, about, { ...node, protectedPids }, (exitCode) => exit = { exitCode });
    const data = await act(capability, context);
    post({ type: "done", call: number, data, ...exit });
  } catch (error) {
    post({ type: "failed", call: number, error: XtaskError.from(error).toWire(), ...exit });
  } finally {
    calls.delete(number);
  }
}

function contextOf(
  number: number,
  call: Call,
  { command, attempt }: Pick<ExecOrigin, "command" | "attempt">,
  node: NodeFacts,
  onExit: (code: number) => void,
): RunContext {
  const { signal } = call.abort;
  const send = (stream: "out" | "err", bytes: Uint8Array<ArrayBuffer>) => {
    call.credits--;
    // A copy where the bytes are a view of something larger, since transferring takes the whole buffer along.
    const own = bytes.byteLength === bytes.buffer.byteLength ? bytes : bytes.slice();
    post({ type: "output", call: number, stream, bytes: own }, [own.buffer]);
  };
  return {
    command,
    node,
    signal,
    log: (text) => send("out", new TextEncoder().encode(text.endsWith("\n") ? text : `${text}\n`)),
    exec: createExec({
      command,
      attempt,
      node,
      signal,
      onExit,
      owner: {
        async output(stream, bytes) {
          while (call.credits <= 0) await new Promise<void>((resolve) => call.waiting.push(resolve));
          send(stream, bytes);
        },
        started: (pid) => post({ type: "started", call: number, pid }),
        async ended(pid) {
          const { promise, resolve } = Promise.withResolvers<void>();
          call.reaped.set(pid, resolve);
          post({ type: "ended", call: number, pid });
          await promise;
          call.reaped.delete(pid);
        },
        end: (pid) => post({ type: "end", call: number, pid }),
      },
    }),
    kill: (pid, name) => sendSignal(pid, name),
  };
}

const post = gathered<FromWorker>((messages, transfer) => {
  try {
    self.postMessage(messages, transfer);
  } catch {
    // One of them holds what cannot cross, such as a function in an answer: the others must not suffer for it.
    for (const message of messages) postAlone(message);
  }
});

function postAlone(message: FromWorker): void {
  try {
    self.postMessage([message], message.type === "output" ? [message.bytes.buffer] : []);
  } catch (error) {
    self.postMessage([{ type: "failed", call: message.call, error: XtaskError.from(error).toWire() }]);
  }
}
