/** What every route finds in Hono's context. */
import type { Context } from "hono";
import type { Fleet } from "../client/fleet.ts";
import type { Model } from "./live/model.ts";
import type { Projects } from "./projects.ts";
import type { RunLogs } from "./run_logs.ts";
import type { Caller } from "./session.ts";
import type { Streams } from "./streams.ts";

/** What every route finds in Hono's context: `context.get("fleet")`. */
export interface HttpVariables {
  /** Of this response alone: each own `<script>` carries it, and `<html data-nonce>` for Datastar. */
  nonce: string;
  /** The project that is meant: of `?project=` where there is one. Checked; it may become part of a subject. */
  project: string;
  /** All that there are. */
  projects: Projects;
  /** What is known of the project. */
  model: Model;
  /** The fleet, asked with the rights of an operator. */
  fleet: Fleet;
  /** Who asks. Not set on login and health routes. */
  caller: Caller;
  /** The outputs of runs that are looked at. */
  logs: RunLogs;
  /** The event streams that are open: ask for a place before starting one. */
  streams: Streams;
}

/** The environment of every app and route of xtask. */
export type HttpEnv = { Variables: HttpVariables };

/** The context of a request. */
export type HttpContext = Context<HttpEnv>;
