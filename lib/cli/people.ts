/** The commands by which people are told something, and tell each other something. */
import { buildCommand, buildRouteMap, type CommandContext, type RouteMap } from "@stricli/core";
import { ALERT_KEY, flag, fleet, NOTE_WORDS, streamFlags, text } from "./flags.ts";
import type { Shell } from "./shell.ts";

type Context = Shell & CommandContext;

const alerts = (): Promise<typeof import("./commands/alerts.ts")> => import("./commands/alerts.ts" as string);
const streams = (): Promise<typeof import("./commands/streams.ts")> => import("./commands/streams.ts" as string);
const team = (): Promise<typeof import("./commands/team.ts")> => import("./commands/team.ts" as string);

/** `xtask alerts` and `xtask team`, by their first word. */
export const PEOPLE: Readonly<Record<"alerts" | "team", () => RouteMap<Context>>> = {
  alerts: () =>
    buildRouteMap({
      docs: { brief: "What a person should know: watch it, list it, acknowledge, mute" },
      defaultCommand: "watch",
      routes: {
        watch: buildCommand({
          docs: { brief: "Watch alerts as they come and end" },
          parameters: { flags: streamFlags },
          loader: async () => (await streams()).alerts,
        }),
        ls: buildCommand({
          docs: { brief: "List those that are open" },
          parameters: { flags: { ...fleet, all: flag("Those that are over as well") } },
          loader: async () => (await alerts()).list,
        }),
        ack: buildCommand({
          docs: { brief: "Say that you have seen one" },
          parameters: { flags: fleet, positional: ALERT_KEY },
          loader: async () => (await alerts()).acknowledge,
        }),
        mute: buildCommand({
          docs: { brief: "Tell nobody of it for a while, however often it comes" },
          parameters: {
            flags: {
              ...fleet,
              for: { kind: "parsed", parse: text, default: "24h", brief: "For how long", placeholder: "DURATION" },
            },
            positional: ALERT_KEY,
          },
          loader: async () => (await alerts()).mute,
        }),
        unmute: buildCommand({
          docs: { brief: "Let it be told again" },
          parameters: { flags: fleet, positional: ALERT_KEY },
          loader: async () => (await alerts()).unmute,
        }),
      },
    }),
  team: () =>
    buildRouteMap({
      docs: { brief: "The people of the project: who is here, what they tell each other" },
      defaultCommand: "ls",
      routes: {
        ls: buildCommand({
          docs: { brief: "Who is here" },
          parameters: { flags: fleet },
          loader: async () => (await team()).list,
        }),
        watch: buildCommand({
          docs: { brief: "What was told, and what is, with you as one who is here" },
          parameters: { flags: { ...fleet, since: streamFlags.since, noFollow: streamFlags.noFollow } },
          loader: async () => (await team()).watch,
        }),
        say: buildCommand({
          docs: { brief: "Tell the team something" },
          parameters: {
            flags: {
              ...fleet,
              to: { kind: "parsed", parse: text, default: "team", brief: "To one user instead", placeholder: "USER" },
            },
            positional: NOTE_WORDS,
          },
          loader: async () => (await team()).say,
        }),
        announce: buildCommand({
          docs: { brief: "Tell everybody of the project something" },
          parameters: { flags: fleet, positional: NOTE_WORDS },
          loader: async () => (await team()).announce,
        }),
      },
    }),
};
