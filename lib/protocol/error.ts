/**
 * The errors of xtask: ten codes, one table. Everything that can go wrong on purpose is one of these; anything else is a
 * bug and shows as `internal`. Transports convert to and from them at their edge and nowhere else.
 */
import * as v from "valibot";

/** What each code means to HTTP, to a shell and to somebody who wonders whether to try again. */
export const ERROR_CODES = {
  invalid: { http: 400, exit: 2, retry: false },
  unauthenticated: { http: 401, exit: 77, retry: false },
  forbidden: { http: 403, exit: 77, retry: false },
  not_found: { http: 404, exit: 4, retry: false },
  conflict: { http: 409, exit: 5, retry: false },
  exhausted: { http: 429, exit: 75, retry: true },
  cancelled: { http: 499, exit: 130, retry: false },
  internal: { http: 500, exit: 70, retry: false },
  unavailable: { http: 503, exit: 75, retry: true },
  timeout: { http: 504, exit: 75, retry: true },
} as const satisfies Record<string, { http: number; exit: number; retry: boolean }>;

/** One of the ten codes. */
export type ErrorCode = keyof typeof ERROR_CODES;

/** The schema of an error as it travels: public text only, never a cause or a stack. */
export const WireError = v.object({
  code: v.picklist(Object.keys(ERROR_CODES) as ErrorCode[]),
  message: v.string(),
  details: v.optional(v.array(v.string())),
});
/** An error as it travels. */
export type WireError = v.InferOutput<typeof WireError>;

/** What else an {@linkcode XtaskError} may carry. */
export interface XtaskErrorOptions {
  /** One line each: a path and what was expected there, or what to do next. */
  readonly details?: readonly string[];
  /** Kept in this process for the log; dropped on the wire. */
  readonly cause?: unknown;
}

/**
 * An error that a caller is expected to meet and read.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { XtaskError } from "./error.ts";
 *
 * const error = new XtaskError("not_found", "No node is called 'mac-9'", { details: ["see: xtask nodes"] });
 * assert.deepEqual(error.toWire(), { code: "not_found", message: "No node is called 'mac-9'", details: ["see: xtask nodes"] });
 * ```
 */
export class XtaskError extends Error {
  override readonly name = "XtaskError";
  readonly code: ErrorCode;
  readonly details: readonly string[];

  constructor(code: ErrorCode, message: string, { details = [], cause }: XtaskErrorOptions = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.details = details;
  }

  /** Whatever was thrown, as an XtaskError: itself, or `internal` with the original as its cause. */
  static from(thrown: unknown): XtaskError {
    if (thrown instanceof XtaskError) return thrown;
    if (thrown instanceof DOMException && thrown.name === "TimeoutError") {
      return new XtaskError("timeout", "The time allowed for this is over", { cause: thrown });
    }
    if (thrown instanceof DOMException && thrown.name === "AbortError") {
      return new XtaskError("cancelled", "Cancelled", { cause: thrown });
    }
    return new XtaskError("internal", `Unexpected: ${textOf(thrown)}`, { cause: thrown });
  }

  /** The error that arrived over a wire. */
  static fromWire({ code, message, details = [] }: WireError): XtaskError {
    return new XtaskError(code, message, { details });
  }

  /** What may leave the process. */
  toWire(): WireError {
    return {
      code: this.code,
      message: this.message,
      ...(this.details.length > 0 ? { details: [...this.details] } : {}),
    };
  }
}

/** What was thrown, in words. Anything may be thrown, also what has no text. */
function textOf(thrown: unknown): string {
  if (thrown instanceof Error) return thrown.message;
  try {
    return String(thrown);
  } catch {
    return `a value without text (${typeof thrown})`;
  }
}
