/**
 * Which nodes are meant: `all`, a node id, or comma-separated terms that must all hold, as in
 * `os=linux,arch=arm64,region=eu-*,has=docker,tier!=prod`; `|` separates alternatives inside a value, `*` and `?` are globs.
 */
import { XtaskError } from "./error.ts";
import { isId } from "./id.ts";

/** What a selector looks at. */
export interface Selectable {
  readonly id: string;
  readonly platform: { readonly os: string; readonly arch: string };
  readonly hostname: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly capabilities: readonly { readonly name: string }[];
}

/** A selector that has been read. */
export type Selector = (node: Selectable) => boolean;

const SELECTOR_LENGTH_MAX = 1_000;
const KEY = /^[A-Za-z0-9][A-Za-z0-9_./-]*$/;

/**
 * Reads a selector.
 *
 * @throws {XtaskError} `invalid`, with the term that cannot be read
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { parseSelector } from "./selector.ts";
 *
 * const node = {
 *   id: "edge-7",
 *   hostname: "edge-7.example",
 *   platform: { os: "linux", arch: "arm64" },
 *   labels: { region: "eu-west" },
 *   capabilities: [{ name: "task" }],
 * };
 * assert.ok(parseSelector("os=linux|darwin,region=eu-*,has=task")(node));
 * assert.ok(!parseSelector("tier!=prod,has=docker")(node));
 * ```
 */
export function parseSelector(text: string): Selector {
  const trimmed = text.trim();
  if (trimmed === "" || trimmed.length > SELECTOR_LENGTH_MAX) {
    throw new XtaskError("invalid", "The selector is empty or too long", { details: [EXPECTED] });
  }
  if (trimmed === "all") return () => true;
  const terms = trimmed.split(",").map((term) => parseTerm(term.trim()));
  return (node) => terms.every((holds) => holds(node));
}

/** The node id, where a selector is nothing but one: then no node need be looked for. */
export function selectsOneNode(text: string): string | undefined {
  const trimmed = text.trim();
  return trimmed !== "all" && isId(trimmed) ? trimmed : undefined;
}

const EXPECTED = "expected 'all', a node id, or terms such as os=linux,arch=arm64,region=eu-*,has=docker,tier!=prod";

function parseTerm(term: string): Selector {
  const [, key, operator, value] = /^([^=!]+)(!?=)(.*)$/s.exec(term) ?? [];
  if (key === undefined || operator === undefined || value === undefined) {
    if (!/^[a-z0-9_*?|-]+$/.test(term)) throw invalid(term, "it is neither a node id nor key=value");
    const matches = matcher(term);
    return (node) => matches(node.id);
  }
  if (!KEY.test(key)) throw invalid(term, "its key is not a label");
  if (value === "") throw invalid(term, "it has no value");
  const matches = matcher(value);
  const negate = operator === "!=";
  return (node) => valuesOf(key, node).some(matches) !== negate;
}

function valuesOf(key: string, node: Selectable): readonly string[] {
  switch (key) {
    case "id":
    case "node":
      return [node.id];
    case "os":
      return [node.platform.os];
    case "arch":
      return [node.platform.arch];
    case "hostname":
      return [node.hostname];
    case "has":
      return node.capabilities.map(({ name }) => name);
    default: {
      const label = Object.hasOwn(node.labels, key) ? node.labels[key] : undefined;
      return label === undefined ? [] : [label];
    }
  }
}

function matcher(pattern: string): (value: string) => boolean {
  const alternatives = pattern.split("|").map((glob) => glob.split(/([*?])/));
  return (value) => alternatives.some((parts) => matchesGlob(parts.filter((part) => part !== ""), value));
}

/** Glob matching in steps linear in pattern × value: a regular expression of many stars can take for ever. */
function matchesGlob(parts: readonly string[], value: string): boolean {
  let reached = [0];
  for (const part of parts) {
    const first = reached[0];
    if (first === undefined) return false;
    // A star reaches everything behind the first place, so the other places need no look of their own.
    if (part === "*") reached = Array.from({ length: value.length - first + 1 }, (_, further) => first + further);
    else if (part === "?") reached = reached.filter((at) => at < value.length).map((at) => at + 1);
    else reached = reached.filter((at) => value.startsWith(part, at)).map((at) => at + part.length);
  }
  return reached.at(-1) === value.length;
}

function invalid(term: string, why: string): XtaskError {
  return new XtaskError("invalid", `Cannot read '${term}' in the selector: ${why}`, { details: [EXPECTED] });
}
