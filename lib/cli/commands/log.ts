/** What the parts of a process that stays have to say. */
import type { Log } from "../../system.ts";
import type { Shell } from "../shell.ts";
import { styled } from "../terminal.ts";

/** Log lines go to standard error: for people as text, with `--json` one object each. */
export function logTo(shell: Shell, json: boolean): Log {
  return (part, level, message) => {
    const at = new Date().toISOString();
    if (json) return shell.note(JSON.stringify({ at, level, part, message }));
    const style = level === "error" ? "red" : level === "warn" ? "yellow" : "dim";
    shell.note(styled(`${at.slice(11, 19)} ${part}: ${message}`, style, shell.color));
  };
}
