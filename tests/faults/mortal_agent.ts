/**
 * A program: an agent that kills itself, as `kill -9` would, at one place of one command's life. It is the agent as it is,
 * on this machine as it is; what it stands on is wrapped, so that nothing in it knows of its death.
 */
import { startAgentOn } from "../../lib/agent/agent.ts";
import type { JournalPort, Report } from "../../lib/agent/journal.ts";
import { type Machine, machineHere } from "../../lib/agent/machine.ts";
import { type Bus, openBus } from "../../lib/nats/bus.ts";
import { startLeaf } from "../../lib/nats/leaf.ts";
import { startGuard } from "../../lib/os/guard.ts";
import { inboxPrefix, upResult } from "../../lib/protocol/subjects.ts";

/** Where it dies. */
export type Place =
  /** The journal takes the command. */
  | "accept"
  /** The journal takes the event that tells of its start. */
  | "started"
  /** Its Worker is asked to run it; after that, it has. */
  | "invoke"
  /** Its process exists. */
  | "spawned"
  /** Its first output has come. */
  | "output"
  /** The journal takes its result. */
  | "finish"
  /** The result is stored: at the hub, or in a leaf node's own store. */
  | "store"
  /** The journal lets go of the result. */
  | "drop"
  /** The batch with the result is handed to the hub; `before` it is begun the journal knows of it. */
  | "batch"
  /** The journal takes the position of the forwarder behind that batch. */
  | "position";
/** `within`: it has been sent and not been answered. */
export type When = "before" | "within" | "after";

/** What the program is told, as JSON in a file. */
export interface Mortal {
  readonly node: string;
  readonly home: string;
  readonly dir: string;
  readonly servers: string;
  readonly creds: string;
  readonly task: string;
  readonly path: string;
  readonly leaf?: { readonly program: string; readonly port: number; readonly project: string };
  readonly death?: { readonly place: Place; readonly when: When; readonly command: string };
}

function die(): never {
  Deno.kill(Deno.pid, "SIGKILL");
  throw new Error("unreachable");
}

const told = JSON.parse(await Deno.readTextFile(Deno.args[0] as string)) as Mortal;
const { node, home, dir, servers, creds, task, path, leaf, death } = told;
const here = (place: Place, when: When, meant = true) => {
  if (meant && death?.place === place && death.when === when) die();
};
const around = async <T>(place: Place, meant: boolean, act: () => Promise<T>): Promise<T> => {
  here(place, "before", meant);
  const value = await act();
  here(place, "after", meant);
  return value;
};
/** Whether the result is on its way: places behind that are of its batch, not of one with output. */
let stored = false;
let sent = false;

/** A value whose methods are its own, but for those that are given. Some of them look at private fields. */
function but<T extends object>(value: T, given: Partial<T>): T {
  return new Proxy(value, {
    get(target, key) {
      if (key in given) return given[key as keyof T];
      const found = Reflect.get(target, key, target);
      return typeof found === "function" ? found.bind(target) : found;
    },
  });
}

function mortalJournal(journal: JournalPort & Disposable): JournalPort & Disposable {
  const tells = (reports: readonly Report[], type: string) =>
    reports.some(({ payload }) => {
      const text = new TextDecoder().decode(payload);
      return text.includes(`"${type}"`) && text.includes(death?.command ?? "none");
    });
  let resultSeq: number | undefined;
  return but(journal, {
    accept: (accepted) => around("accept", accepted.id === death?.command, () => journal.accept(accepted)),
    keep: (reports) => around("started", tells(reports, "command_started"), () => journal.keep(reports)),
    finish(result, reports) {
      const meant = result.id === death?.command;
      if (meant) resultSeq = reports[0]?.seq;
      return around("finish", meant, () => journal.finish(result, reports));
    },
    drop: (seqs) => around("drop", seqs.includes(resultSeq ?? -1), () => journal.drop(seqs)),
    async setSetting(key, value) {
      const { sent: to } = key === "forwarded" ? JSON.parse(value) as { sent?: number } : {};
      const position = key === "forwarded" && to === undefined && sent;
      await around("position", position, () => journal.setSetting(key, value));
      if (key !== "forwarded" || to === undefined || !stored) return;
      sent = true;
      here("batch", "before");
    },
  });
}

function mortalBus(bus: Bus): Bus {
  const { connection } = bus;
  const result = death === undefined ? "none" : upResult(node, death.command).replace("xtask.up.", "");
  return but(bus, {
    connection: but(connection, {
      async request(subject, payload, options) {
        const ofResult = subject.endsWith(result) && options?.headers?.has("Nats-Msg-Id") === true;
        const commit = sent && options?.headers?.has("Nats-Batch-Commit") === true;
        here("store", "before", ofResult);
        const answer = connection.request(subject, payload, options);
        if (ofResult || commit) {
          // It has left, and whoever takes it may have done so.
          if (death?.when === "within") await connection.flush();
          here("store", "within", ofResult);
          here("batch", "within", commit);
        }
        const message = await answer;
        here("store", "after", ofResult);
        here("batch", "after", commit);
        stored ||= ofResult;
        return message;
      },
    }),
  });
}

function mortalMachine(machine: Machine, bus: Bus): Machine {
  return {
    ...machine,
    openJournal: (onDamage) => mortalJournal(machine.openJournal(onDamage)),
    async openHost() {
      const offer = await machine.openHost();
      const { host } = offer;
      return {
        ...offer,
        host: but(host, {
          async invoke(invocation) {
            const meant = invocation.command === death?.command;
            if (meant) {
              // Whoever asked has been answered.
              await new Promise((resolve) => setTimeout(resolve, 0));
              await bus.flush();
            }
            return await around("invoke", meant, () =>
              host.invoke({
                ...invocation,
                onStarted: () => here("spawned", "after", meant),
                output(stream, bytes) {
                  const taken = invocation.output(stream, bytes);
                  here("output", "after", meant);
                  return taken;
                },
              }));
          },
        }),
      };
    },
  };
}

const log = (level: string, message: string) =>
  void Deno.stderr.writeSync(new TextEncoder().encode(`${level} ${message}\n`));
const guard = await startGuard((message) => log("warn", message));
const own = leaf === undefined ? undefined : await startLeaf({
  ...{ program: leaf.program, home: `${home}/leaf`, env: guard?.env, node, servers, leafPort: leaf.port, creds },
  onChange: ({ reason }) => log("warn", reason),
  onStore: (trouble) => log("warn", trouble ?? "its store is well"),
});
const bus = await openBus({
  ...(own === undefined ? { servers, creds } : { servers: own.address }),
  inboxPrefix: inboxPrefix(node),
});
const allow = ["task", "which"] as const;
const env = { PATH: path, HOME: dir };
const protectedPids = () => [Deno.pid];
const machine = machineHere({ node, home, dir, allow, known: { task }, env, protectedPids, guard });
await startAgentOn(mortalMachine(machine, bus), {
  bus: mortalBus(bus),
  ...(leaf === undefined ? {} : { leaf: { project: leaf.project } }),
  ...{ node, dir, labels: {}, slots: 2, hostname: "test-machine", log },
});
Deno.stdout.writeSync(new TextEncoder().encode("ready\n"));
