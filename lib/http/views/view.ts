/** What can be looked at: of an address, a title and the frames that are kept up to date. */
import type { Child } from "hono/jsx";
import type { Frame } from "../../../ui/frame.ts";
import type { Model } from "../live/model.ts";

/** What an address asks for beside its view: parameters of its path and its query. */
export type Query = Readonly<Record<string, string>>;

/** What can be looked at. */
export interface View {
  /** Its name in `NAVIGATION`, or of the one that leads to it. */
  readonly current: string;
  /** @throws {XtaskError} `not_found` where there is nothing to look at */
  readonly open: (model: Model, query: Query) => Promise<Opened> | Opened;
}

/** A view of something. */
export interface Opened {
  readonly title: string;
  readonly frames: () => Promise<readonly Frame[]> | readonly Frame[];
  /** Whether it has charts, which need more files. @default {false} */
  readonly draws?: boolean;
  /** What stands above the frames and does not change by itself. */
  readonly head?: Child;
  /** What stands below them. */
  readonly tail?: Child;
}

/** Rows of a list at most. */
export const LISTED_MAX = 200;

/** Whether one of these is asked for. */
export function isFiltered(query: Query, names: readonly string[]): boolean {
  return names.some((name) => (query[name] ?? "") !== "");
}
