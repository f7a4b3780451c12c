/**
 * Transcripts: what is typed and what is seen, as data. A line `$ xtask …` is typed; `?` is its exit code (0 if there is no
 * such line); lines behind `>` stand on standard output, behind `!` on standard error. `[…]` stands for any text in a line,
 * `> […]` alone for any number of lines. What is not written is not expected.
 */

/** One command of a transcript. */
export interface Exchange {
  readonly line: number;
  readonly args: readonly string[];
  readonly code: number;
  readonly stdout: readonly string[];
  readonly stderr: readonly string[];
}

/** A transcript that has been read. */
export interface Transcript {
  /** Ids of the nodes of the fleet that it needs; none for commands that need no hub. */
  readonly nodes: readonly string[];
  readonly exchanges: readonly Exchange[];
}

/** Reads a transcript. */
export function parseTranscript(text: string): Transcript {
  const nodes: string[] = [];
  const exchanges: { line: number; args: string[]; code: number; stdout: string[]; stderr: string[] }[] = [];
  for (const [index, line] of text.split("\n").entries()) {
    const last = exchanges.at(-1);
    const rest = line.slice(2);
    if (line.startsWith("# fleet: ")) nodes.push(...line.slice(9).split(" "));
    else if (line.startsWith("$ xtask")) {
      exchanges.push({ line: index + 1, args: words(line.slice(7)), code: 0, stdout: [], stderr: [] });
    } else if (line.startsWith("?") && last !== undefined) last.code = Number(line.slice(1));
    else if (line.startsWith(">") && last !== undefined) last.stdout.push(rest);
    else if (line.startsWith("!") && last !== undefined) last.stderr.push(rest);
    else if (line.trim() !== "" && !line.startsWith("#")) throw new SyntaxError(`line ${index + 1}: ${line}`);
  }
  return { nodes, exchanges };
}

/** Whether what was seen is what the transcript says. */
export function matches(expected: readonly string[], seen: string): boolean {
  const pattern = expected.map((line) =>
    line === "[…]" ? "(?:.*\n)*?" : `${line.split("[…]").map((part) => RegExp.escape(part)).join(".*")}[ ]*\n`
  ).join("");
  return new RegExp(`^${pattern}$`).test(seen === "" || seen.endsWith("\n") ? seen : `${seen}\n`);
}

/** Words of a line, as a shell would read single quotes. */
function words(line: string): string[] {
  return [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? "");
}
