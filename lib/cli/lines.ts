/** Output of runs in a terminal: whole lines, each with its node in front where there are several. */
import type { Shell } from "./shell.ts";
import { harmless, nodeStyle, styled } from "./terminal.ts";

/** A line that never ends is broken here, so that it cannot fill the memory. */
const LINE_CHARS_MAX = 64 * 1024;

interface Stream {
  readonly decoder: TextDecoder;
  line: string;
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
    if (prefix === undefined) return this.#put(stream, harmless(text, this.#shell));
    const kept = this.#streamOf(node, stream);
    const lines = (kept.line + text).split("\n");
    kept.line = lines.pop() ?? "";
    if (kept.line.length > LINE_CHARS_MAX) {
      lines.push(kept.line);
      kept.line = "";
    }
    const shown = lines.flatMap((line) => harmless(line.replace(/\r$/, ""), this.#shell).split("\n"));
    if (shown.length > 0) this.#put(stream, shown.map((line) => `${prefix}${line}\n`).join(""));
  }

  /** Writes what a node left without a line end. */
  end(node: string): void {
    const prefix = this.#prefixes.get(node);
    for (const stream of ["out", "err"] as const) {
      const kept = this.#streams.get(`${node} ${stream}`);
      if (prefix === undefined || kept === undefined || kept.line === "") continue;
      this.#put(stream, `${prefix}${harmless(kept.line, this.#shell)}\n`);
      kept.line = "";
    }
  }

  endAll(): void {
    for (const node of this.#prefixes.keys()) this.end(node);
  }

  #streamOf(node: string, stream: string): Stream {
    const key = `${node} ${stream}`;
    let kept = this.#streams.get(key);
    if (kept === undefined) this.#streams.set(key, kept = { decoder: new TextDecoder(), line: "" });
    return kept;
  }

  #put(stream: "out" | "err", text: string): void {
    this.#shell.process[stream === "out" ? "stdout" : "stderr"].write(text);
  }
}
