/** What `xtask doctor` finds: one line each, and what to do where something is not as it should be. */
import { XtaskError } from "../../protocol/error.ts";
import { styled, table } from "../terminal.ts";

/** One finding. */
export interface Finding {
  readonly what: string;
  /** `ok`; `note` for what is worth knowing and no fault; `wrong` for what keeps something from working. */
  readonly state: "ok" | "note" | "wrong";
  readonly found: string;
  /** What to do about it. */
  readonly advice?: string;
  /** The same for programs. Sizes in bytes, times in ms. */
  readonly data?: Readonly<Record<string, string | number>>;
}

/** What was found, or what was thrown, which is wrong. */
export async function look(
  what: string,
  see: () => Promise<Pick<Finding, "found" | "data">>,
  advice: string,
): Promise<Finding> {
  try {
    return { what, state: "ok", ...await see() };
  } catch (thrown) {
    const { message, details } = XtaskError.from(thrown);
    return { what, state: "wrong", found: message, advice: details[0] ?? advice };
  }
}

const MARKS = { ok: "ok", note: "--", wrong: "NO" } as const;
const STYLES = { ok: "green", note: "yellow", wrong: "red" } as const;

/** Findings as people read them. */
export function findingsText(findings: readonly Finding[], color: boolean): string {
  const rows = findings.flatMap(({ what, state, found, advice }) => [
    [styled(MARKS[state], STYLES[state], color), what, found],
    ...(advice === undefined ? [] : [["", "", styled(`→ ${advice}`, STYLES[state], color)]]),
  ]);
  const wrong = findings.filter(({ state }) => state === "wrong").length;
  const closing = wrong === 0
    ? "Nothing is wrong."
    : wrong === 1
    ? "One thing is wrong."
    : `${wrong} things are wrong.`;
  return `${table(["", "WHAT", "FOUND"], rows)}\n\n${closing}`;
}
