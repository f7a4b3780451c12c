/** How a script of this folder ends. */
import process from "node:process";
import { XtaskError } from "../lib/protocol/error.ts";

/** Runs a script's main function. An error is printed with what to do about it, and sets the exit code. */
export async function runScript(main: () => Promise<void>): Promise<void> {
  try {
    await main();
  } catch (error) {
    const { code, message, details, cause } = XtaskError.from(error);
    const trace = code === "internal" && cause instanceof Error ? [cause.stack ?? ""] : [];
    process.stderr.write([`error: ${message}`, ...details.map((line) => `  ${line}`), ...trace, ""].join("\n"));
    process.exitCode = 1;
  }
}
