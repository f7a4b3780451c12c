/** Output of runs in a terminal: whole lines, each with its node in front where there are several. */
import type { Shell } from "./shell.ts";
import { harmless, nodeStyle, styled } from "./terminal.ts";

/** A line that never ends is broken here, so that it cannot fill the memory. */
const LINE_CHARS_MAX = 64 * 1024;

/** What may go on in the next bytes: a carriage return before its newline, an escape sequence, a character's first half. */
// deno-lint-ignore no-control-regex -- control sequences are what this is about
const UNFINISHED = /(?:\r|\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b]*\x1b?|[ -/]*)|[\ud800-\udbff])$/;
/** A sequence longer than this is none that anybody meant. */
const UNFINISHED_CHARS_MAX = 4 * 1024;

interface Stream {
  readonly node: string;
  readonly name: "out" | "err";
  readonly decoder: TextDecoder;
  /** What waits for the rest of its line, or of its sequence. */
  kept: string;
}

/** Writes output line by line. */
export class LineWriter {
  readonly #shell: Shell;
  readonly #prefixes: ReadonlyMap<string, string>;
  readonly #streams = new Map<string, Stream>();

  /** @param nodes Those to be named in front of their lines; none for a single node */
  constructor(shell: Shell, nodes: readonly string[]) {
    this.#shell = shell;
    const width = Math.max(0, ...nodes.map(({ length }) => length));
    this.#prefixes = new Map(
      nodes.map((node, index) => [node, `${styled(node.padEnd(width), nodeStyle(index), shell.color)} │ `]),
    );
  }

  /** Whether the node has its own prefix. */
  knows(node: string): boolean {
    return this.#prefixes.has(node);
  }

  /** Text of bytes, where a character may be cut between two of them. */
  decode(node: string, stream: "out" | "err", bytes: Uint8Array<ArrayBuffer>): string {
    return this.#streamOf(node, stream).decoder.decode(bytes, { stream: true });
  }

  write(node: string, stream: "out" | "err", bytes: Uint8Array<ArrayBuffer>): void {
    const prefix = this.#prefixes.get(node);
    const text = this.decode(node, stream, bytes);
    // One node's output goes on as it comes, so that a progress bar or an unfinished line is seen at once.
    const own = this.#streamOf(node, stream);
    const whole = own.kept + text;
    if (prefix === undefined) {
      const rest = UNFINISHED.exec(whole.slice(-UNFINISHED_CHARS_MAX))?.[0] ?? "";
      own.kept = rest;
      return this.#put(stream, harmless(whole.slice(0, whole.length - rest.length), this.#shell));
    }
    const lines = whole.split("\n");
    own.kept = lines.pop() ?? "";
    if (own.kept.length > LINE_CHARS_MAX) {
      lines.push(own.kept);
      own.kept = "";
    }
    const shown = lines.flatMap((line) => harmless(line.replace(/\r$/, ""), this.#shell).split("\n"));
    if (shown.length > 0) this.#put(stream, shown.map((line) => `${prefix}${line}\n`).join(""));
  }

  /** Writes what a node left unfinished. */
  end(node: string): void {
    const prefix = this.#prefixes.get(node);
    for (const own of this.#streams.values()) {
      if (own.node !== node) continue;
      const text = harmless(own.kept + own.decoder.decode(), this.#shell);
      own.kept = "";
      if (text !== "") this.#put(own.name, prefix === undefined ? text : `${prefix}${text}\n`);
    }
  }

  endAll(): void {
    for (const node of new Set([...this.#streams.values()].map((own) => own.node))) this.end(node);
  }

  #streamOf(node: string, name: "out" | "err"): Stream {
    const key = `${node} ${name}`;
    let own = this.#streams.get(key);
    if (own === undefined) this.#streams.set(key, own = { node, name, decoder: new TextDecoder(), kept: "" });
    return own;
  }

  #put(stream: "out" | "err", text: string): void {
    this.#shell.process[stream === "out" ? "stdout" : "stderr"].write(text);
  }
}
