/** The one door for data from outside: a schema, or an `invalid` error that names each place and what was expected there. */
import * as v from "valibot";
import { XtaskError } from "./error.ts";

/** A schema whose output a caller can rely on. */
export type Schema<T = unknown> = v.GenericSchema<unknown, T>;

/** At most this many problems are listed: the first ones are what a person mends. */
const DETAILS_MAX = 20;

/**
 * Parses a value that came from outside.
 *
 * @param what Names the value in the error: "input of which.check".
 * @throws {XtaskError} `invalid`, with a line `path: expected …` for each problem
 */
export function parse<T>(schema: v.GenericSchema<unknown, T>, value: unknown, what: string): T {
  const outcome = v.safeParse(schema, value);
  if (outcome.success) return outcome.output;
  const details = outcome.issues.slice(0, DETAILS_MAX).map((issue) => {
    const path = v.getDotPath(issue) ?? "(whole)";
    return `${path}: ${issue.message}`;
  });
  throw new XtaskError("invalid", `The ${what} is not valid`, { details });
}

/**
 * Parses JSON text that came from outside and then the value in it.
 *
 * @throws {XtaskError} `invalid`
 */
export function parseJson<T>(schema: v.GenericSchema<unknown, T>, text: string, what: string): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new XtaskError("invalid", `The ${what} is not JSON`, { details: [(cause as Error).message], cause });
  }
  return parse(schema, value, what);
}
