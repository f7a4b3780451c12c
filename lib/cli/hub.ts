/** `xtask hub` and what is below it. */
import { buildCommand, buildRouteMap, type CommandContext, type RouteMap } from "@stricli/core";
import { flag, httpFlags, json, list, number, one, optionalText, port } from "./flags.ts";
import type { Shell } from "./shell.ts";

type Context = Shell & CommandContext;

const hub = (): Promise<typeof import("./commands/hub.ts")> => import("./commands/hub.ts" as string);
const hubProcess = (): Promise<typeof import("./commands/hub_process.ts")> =>
  import("./commands/hub_process.ts" as string);

const hubLeafPort = {
  kind: "parsed",
  parse: port,
  default: "7422",
  brief: "Port on which the servers take leaf nodes",
  placeholder: "PORT",
} as const;

/** The hub as a process and as a whole. */
export const HUB: Readonly<Record<"hub", () => RouteMap<Context>>> = {
  hub: () =>
    buildRouteMap({
      docs: { brief: "A hub process for NATS servers that are there; back a hub up, make one again of a backup" },
      defaultCommand: "run",
      routes: {
        run: buildCommand({
          docs: { brief: "Run a hub process; several may run, and of each project one leads" },
          parameters: {
            flags: {
              nats: optionalText("Addresses of the NATS servers; XTASK_NATS_URL by default", "URL,…"),
              replicas: {
                kind: "parsed",
                parse: number,
                optional: true,
                brief: "Copies of all that is kept; 3 in a cluster by default, else 1",
                placeholder: "N",
              },
              keys: optionalText("The hub's keys, as xtask hub config made them", "FILE"),
              creds: optionalText("Instead of keys: a credential of an account that others made", "FILE"),
              project: list("Only this project of those that there are keys for; again for more", "ID"),
              leafPort: hubLeafPort,
              noLeaf: flag("The servers take no leaf nodes: machines join with --client"),
              ca: optionalText("Check the servers' certificate against this CA file", "FILE"),
              ...httpFlags,
              json,
            },
          },
          loader: async () => (await hubProcess()).run,
        }),
        config: buildCommand({
          docs: { brief: "Print what those servers need in their configuration; makes the keys on first use" },
          parameters: {
            flags: {
              keys: optionalText("Where the keys are, or are to be", "FILE"),
              project: list("A project that there is to be, beside those that there are; again for more", "ID"),
              leafPort: hubLeafPort,
            },
          },
          loader: async () => (await hubProcess()).config,
        }),
        backup: buildCommand({
          docs: { brief: "Write the hub's keys and all it keeps into a new folder" },
          parameters: {
            flags: { json, keys: optionalText("The hub's keys, where they are elsewhere", "FILE") },
            positional: one("A folder that is not there yet", "FOLDER"),
          },
          loader: async () => (await hub()).backup,
        }),
        restore: buildCommand({
          docs: { brief: "Make a hub of a backup; start it then with xtask up" },
          parameters: { flags: { json }, positional: one("The folder that xtask hub backup wrote", "FOLDER") },
          loader: async () => (await hub()).restore,
        }),
      },
    }),
};
