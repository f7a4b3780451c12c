/** The commands beside the capabilities. Each is loaded when it is run. */
import { buildCommand, buildRouteMap, type Command, type CommandContext, type RouteMap } from "@stricli/core";
import {
  COMMAND_ID,
  CONTEXT_NAME,
  flag,
  fleet,
  httpFlags,
  json,
  list,
  MAYBE_SELECTOR,
  nodeFlags,
  number,
  one,
  onNodes,
  optionalText,
  port,
  SHELL_NAME,
  streamFlags,
  text,
} from "./flags.ts";
import { HUB } from "./hub.ts";
import { PEOPLE } from "./people.ts";
import type { Shell } from "./shell.ts";

type Context = Shell & CommandContext;

const page = (): Promise<typeof import("./commands/ui.ts")> => import("./commands/ui.ts" as string);
const processes = (): Promise<typeof import("./commands/processes.ts")> => import("./commands/processes.ts" as string);
const nodes = (): Promise<typeof import("./commands/nodes.ts")> => import("./commands/nodes.ts" as string);
const commands = (): Promise<typeof import("./commands/commands.ts")> => import("./commands/commands.ts" as string);
const streams = (): Promise<typeof import("./commands/streams.ts")> => import("./commands/streams.ts" as string);
const doctor = (): Promise<typeof import("./commands/doctor.ts")> => import("./commands/doctor.ts" as string);
const completions = (): Promise<typeof import("./commands/completions.ts")> =>
  import("./commands/completions.ts" as string);
const licences = (): Promise<typeof import("./commands/licences.ts")> => import("./commands/licences.ts" as string);
const version = (): Promise<typeof import("./commands/version.ts")> => import("./commands/version.ts" as string);
const schedules = (): Promise<typeof import("./commands/schedules.ts")> => import("./commands/schedules.ts" as string);
const access = (): Promise<typeof import("./commands/access.ts")> => import("./commands/access.ts" as string);

/** What stands beside the capabilities, by its first word. Made only when asked for: making all of them takes a millisecond. */
export const BUILT_INS: Readonly<Record<string, () => Command<Context> | RouteMap<Context>>> = {
  up: () =>
    buildCommand({
      docs: { brief: "Start a hub here, with this machine as a node" },
      parameters: {
        flags: {
          ...nodeFlags,
          host: {
            kind: "parsed",
            parse: text,
            default: "127.0.0.1",
            brief: "Address to listen on",
            placeholder: "HOST",
          },
          natsPort: { kind: "parsed", parse: port, default: "4222", brief: "Port for NATS", placeholder: "PORT" },
          leafPort: { kind: "parsed", parse: port, default: "7422", brief: "Port for leaf nodes", placeholder: "PORT" },
          ...httpFlags,
          project: {
            kind: "parsed",
            parse: text,
            optional: true,
            variadic: true,
            brief: "A project that there is to be, beside those that there are; again for more",
            placeholder: "ID",
          },
          noAgent: flag("Do not make this machine a node"),
          open: flag("Open the page in the browser"),
        },
      },
      loader: async () => (await processes()).up,
    }),
  agent: () =>
    buildCommand({
      docs: { brief: "Make this machine a node of a hub" },
      parameters: {
        flags: {
          ...nodeFlags,
          hub: optionalText("Address of the hub; XTASK_NATS_URL by default", "URL"),
          join: optionalText("Token of an invitation, on the first start", "TOKEN"),
          client: flag(
            "Join without a server of its own: it needs less, and takes commands only while it reaches the hub",
          ),
          ca: optionalText("Check the hub's certificate against this CA file", "FILE"),
        },
      },
      loader: async () => (await processes()).agent,
    }),
  nodes: () =>
    buildRouteMap({
      docs: { brief: "See and change the fleet's nodes" },
      defaultCommand: "ls",
      routes: {
        ls: buildCommand({
          docs: { brief: "List nodes" },
          parameters: {
            flags: fleet,
            positional: MAYBE_SELECTOR,
          },
          loader: async () => (await nodes()).list,
        }),
        show: buildCommand({
          docs: { brief: "Show one node, with its tasks" },
          parameters: { flags: fleet, positional: one("The node's id", "ID") },
          loader: async () => (await nodes()).show,
        }),
        label: buildCommand({
          docs: { brief: "Set labels (key=value) or take them away (key-)" },
          parameters: {
            flags: fleet,
            positional: {
              kind: "array",
              parameter: { brief: "The node's id, then changes", placeholder: "ID key=value", parse: text },
              minimum: 2,
            },
          },
          loader: async () => (await nodes()).label,
        }),
        drain: buildCommand({
          docs: { brief: "Let a node finish its runs and take no new ones" },
          parameters: { flags: fleet, positional: one("The node's id", "ID") },
          loader: async () => (await nodes()).drain,
        }),
        resume: buildCommand({
          docs: { brief: "Let a drained node take commands again" },
          parameters: { flags: fleet, positional: one("The node's id", "ID") },
          loader: async () => (await nodes()).resume,
        }),
      },
    }),
  commands: () =>
    buildRouteMap({
      docs: { brief: "See what was asked, cancel it, ask again" },
      defaultCommand: "ls",
      routes: {
        ls: buildCommand({
          docs: { brief: "List the newest commands" },
          parameters: {
            flags: {
              ...fleet,
              limit: { kind: "parsed", parse: number, default: "20", brief: "How many", placeholder: "N" },
              node: optionalText("Only those of this node", "ID"),
              state: optionalText("Only those with a run in this state", "STATE"),
            },
          },
          loader: async () => (await commands()).list,
        }),
        show: buildCommand({
          docs: { brief: "Show a command and its run on each node" },
          parameters: { flags: fleet, positional: COMMAND_ID },
          loader: async () => (await commands()).show,
        }),
        logs: buildCommand({
          docs: { brief: "Print a command's output" },
          parameters: {
            flags: {
              ...fleet,
              follow: flag("Go on until it has ended everywhere"),
              node: optionalText("Only this node's", "ID"),
            },
            aliases: { f: "follow" },
            positional: COMMAND_ID,
          },
          loader: async () => (await commands()).logs,
        }),
        cancel: buildCommand({
          docs: { brief: "Cancel a command wherever it still runs" },
          parameters: { flags: fleet, positional: COMMAND_ID },
          loader: async () => (await commands()).cancel,
        }),
        retry: buildCommand({
          docs: { brief: "Ask the same again on the nodes where it did not succeed" },
          parameters: {
            flags: {
              ...fleet,
              all: flag("On every node that ran it"),
              detach: flag("Print the new command's id and leave it running"),
            },
            positional: COMMAND_ID,
          },
          loader: async () => (await commands()).retry,
        }),
      },
    }),
  schedules: () =>
    buildRouteMap({
      docs: { brief: "What nodes do by themselves at times of the clock, also while they are cut off" },
      defaultCommand: "ls",
      routes: {
        ls: buildCommand({
          docs: { brief: "List schedules" },
          parameters: { flags: fleet, positional: MAYBE_SELECTOR },
          loader: async () => (await schedules()).list,
        }),
        add: buildCommand({
          docs: { brief: "Set one, in place of another of its name; what is done stands behind --" },
          parameters: {
            flags: {
              ...fleet,
              on: onNodes("The nodes that are to do it, each by its own clock"),
              cron: {
                kind: "parsed",
                parse: text,
                brief: "Minute, hour, day of month, month, day of week: '30 3 * * mon-fri'; or @hourly, @daily, …",
                placeholder: "CRON",
              },
              zone: optionalText("Time zone, such as Europe/Berlin; each node's own by default", "ZONE"),
              missed: {
                kind: "enum",
                values: ["skip", "run"],
                default: "skip",
                brief: "Of a time at which the agent does not run: forget it, or run once when it does again",
              },
            },
            positional: CONTEXT_NAME,
          },
          loader: async () => (await schedules()).add,
        }),
        rm: buildCommand({
          docs: { brief: "Take one away" },
          parameters: {
            flags: { ...fleet, on: onNodes("The nodes that have it") },
            positional: CONTEXT_NAME,
          },
          loader: async () => (await schedules()).remove,
        }),
      },
    }),
  logs: () =>
    buildCommand({
      docs: { brief: "Watch the output of all runs, and the agents' own logs" },
      parameters: { flags: streamFlags },
      loader: async () => (await streams()).logs,
    }),
  events: () =>
    buildCommand({
      docs: { brief: "Watch what happens to commands and nodes" },
      parameters: { flags: { ...streamFlags, type: list("Only events of this type", "TYPE") } },
      loader: async () => (await streams()).events,
    }),
  metrics: () =>
    buildCommand({
      docs: { brief: "Watch what nodes measure of themselves: cpu, memory, disk, runs" },
      parameters: {
        flags: {
          ...streamFlags,
          noFollow: flag("End with what is there now: the newest sample of each node, with --since all from then on"),
        },
      },
      loader: async () => (await streams()).metrics,
    }),
  ...PEOPLE,
  ...HUB,
  auth: () =>
    buildRouteMap({
      docs: { brief: "Invite machines and people, or use an invitation" },
      routes: {
        invite: buildCommand({
          docs: { brief: "Print a single-use token and the line to paste" },
          parameters: {
            flags: {
              ...fleet,
              role: {
                kind: "enum",
                values: ["node", "operator"],
                default: "node",
                brief: "What joins: a machine or a person",
              },
            },
          },
          loader: async () => (await access()).invite,
        }),
        join: buildCommand({
          docs: { brief: "Use an invitation as a person" },
          parameters: {
            flags: {
              hub: { kind: "parsed", parse: text, brief: "Address of the hub", placeholder: "URL" },
              name: optionalText("Your user id; from the login name by default", "ID"),
              as: {
                kind: "parsed",
                parse: text,
                default: "hub",
                brief: "Name of the new context",
                placeholder: "NAME",
              },
              ca: optionalText("Check the hub's certificate against this CA file", "FILE"),
              json,
            },
            positional: one("The token", "TOKEN"),
          },
          loader: async () => (await access()).join,
        }),
      },
    }),
  context: () =>
    buildRouteMap({
      docs: { brief: "The fleets that you can reach" },
      defaultCommand: "ls",
      routes: {
        ls: buildCommand({
          docs: { brief: "List contexts" },
          parameters: { flags: { json } },
          loader: async () => (await access()).contextList,
        }),
        use: buildCommand({
          docs: { brief: "Make a context the current one" },
          parameters: { flags: { json }, positional: CONTEXT_NAME },
          loader: async () => (await access()).contextUse,
        }),
        rm: buildCommand({
          docs: { brief: "Forget a context and its credential" },
          parameters: { flags: { json }, positional: CONTEXT_NAME },
          loader: async () => (await access()).contextRemove,
        }),
      },
    }),
  env: () =>
    buildCommand({
      docs: { brief: 'Print what other programs need: eval "$(xtask env)"' },
      parameters: {
        flags: {
          ...fleet,
          shell: { kind: "enum", values: ["sh", "fish", "powershell"], default: "sh", brief: "For which shell" },
        },
      },
      loader: async () => (await access()).env,
    }),
  ui: () =>
    buildCommand({
      docs: { brief: "Open the page: the hub's own, or one that is served here" },
      parameters: {
        flags: {
          ...fleet,
          ...httpFlags,
          open: flag("Open it in the browser"),
          serve: flag("Serve it here, even where the hub serves one"),
          hub: optionalText("Serve it here for this hub, which no context names", "URL"),
          creds: optionalText("The credential for --hub; XTASK_NATS_CREDS or NATS_CREDS by default", "FILE"),
          project: optionalText("The project that the credential is of, with --hub; default by default", "ID"),
          ca: optionalText("Check the certificate of --hub against this CA file", "FILE"),
        },
      },
      loader: async () => (await page()).ui,
    }),
  doctor: () =>
    buildCommand({
      docs: { brief: "Look at this machine and say what is wrong and what to do" },
      parameters: { flags: fleet },
      loader: async () => (await doctor()).doctor,
    }),
  completions: () =>
    buildCommand({
      docs: { brief: "Print a completion script for a shell" },
      parameters: { positional: SHELL_NAME },
      loader: async () => (await completions()).completions,
    }),
  licences: () =>
    buildCommand({
      docs: { brief: "Print what is inside, and its licences" },
      parameters: { flags: { json } },
      loader: async () => (await licences()).licences,
    }),
  version: () =>
    buildCommand({
      docs: { brief: "Print the version" },
      parameters: { flags: { json } },
      loader: async () => (await version()).version,
    }),
};
