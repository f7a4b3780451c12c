/** The folder that an archive is extracted into, and all that an archive may not do to it. */
import { dirname, join } from "node:path";
import { XtaskError } from "../../protocol/error.ts";
import { pathProblem } from "./place.ts";

/** How much an archive may hold. */
export interface ExtractLimits {
  readonly entries: number;
  /** Of all files together. */
  readonly bytes: number;
  /** Bytes extracted for each byte of the archive, once `ratioFromBytes` have been extracted. */
  readonly ratio: number;
  readonly ratioFromBytes: number;
}

/** The limits in force. */
export const EXTRACT_LIMITS: ExtractLimits = {
  entries: 10_000,
  bytes: 4 * 1024 ** 3,
  ratio: 200,
  ratioFromBytes: 1024 ** 2,
};

/** What a {@linkcode Tree} is made for. */
export interface TreeOptions {
  /** Size of the archive. */
  readonly archiveBytes: number;
  readonly limits: ExtractLimits;
  /** Whether the names must suit Windows. */
  readonly windows: boolean;
  readonly signal: AbortSignal;
}

/**
 * Takes an archive's entries one by one into a folder that must be new and empty. There are no links in it, since none are
 * made, so that a checked name cannot lead out of it. Files keep of their mode only whether they are executable.
 */
export class Tree {
  readonly #root: string;
  readonly #options: TreeOptions;
  readonly #names = new Set<string>();
  #bytes = 0;

  constructor(root: string, options: TreeOptions) {
    this.#root = root;
    this.#options = options;
  }

  /** How many entries it has taken. */
  get entries(): number {
    return this.#names.size;
  }

  /**
   * Takes a folder.
   *
   * @throws {XtaskError} `invalid` for a name that cannot be used or comes twice, `exhausted` for an entry too many
   */
  async folder(name: string): Promise<void> {
    const path = this.#admit(name.replace(/\/$/, ""), name);
    if (path !== undefined) await this.#makeFolder(path, name);
  }

  /**
   * Takes a file and reads its content to the end.
   *
   * @throws {XtaskError} as {@linkcode folder}, and `exhausted` for a byte too many
   */
  async file(name: string, content: AsyncIterable<Uint8Array>, executable: boolean): Promise<void> {
    const path = this.#admit(name, name);
    if (path === undefined) throw refused(name, "has no name");
    await this.#makeFolder(dirname(path), name);
    using file = await this.#create(path, name, executable ? 0o777 : 0o666);
    for await (const chunk of content) {
      this.#options.signal.throwIfAborted();
      this.#count(chunk.length);
      for (let at = 0; at < chunk.length;) at += await file.write(chunk.subarray(at));
    }
  }

  /** The absolute path of an entry; undefined for the root, which many archives name as "./". */
  #admit(name: string, shown: string): string | undefined {
    const { limits, windows, signal } = this.#options;
    signal.throwIfAborted();
    const path = name.replace(/^(\.\/)+/, "");
    if (path === "" || path === ".") return undefined;
    const problem = pathProblem(path, windows);
    if (problem !== undefined) throw refused(shown, problem);
    if (this.#names.has(path)) throw refused(shown, "comes twice");
    if (this.#names.size >= limits.entries) {
      throw new XtaskError("exhausted", `The archive has more than ${limits.entries} entries`);
    }
    this.#names.add(path);
    return join(this.#root, path);
  }

  async #makeFolder(path: string, shown: string): Promise<void> {
    try {
      await Deno.mkdir(path, { recursive: true });
    } catch (error) {
      throw error instanceof Deno.errors.AlreadyExists || isNoFolder(error)
        ? refused(shown, "needs a folder where a file is")
        : error;
    }
  }

  async #create(path: string, shown: string, mode: number): Promise<Deno.FsFile> {
    try {
      return await Deno.open(path, { write: true, createNew: true, mode });
    } catch (error) {
      // Also where the file system takes two names for one: "A" and "a".
      throw error instanceof Deno.errors.AlreadyExists ? refused(shown, "comes twice") : error;
    }
  }

  #count(bytes: number): void {
    const { limits, archiveBytes } = this.#options;
    this.#bytes += bytes;
    if (this.#bytes > limits.bytes) {
      throw new XtaskError("exhausted", `The archive holds more than ${limits.bytes} bytes`);
    }
    if (this.#bytes > limits.ratioFromBytes && this.#bytes > archiveBytes * limits.ratio) {
      throw new XtaskError("exhausted", `The archive holds more than ${limits.ratio} times its own size`);
    }
  }
}

/** The error for an entry that is not taken. */
export function refused(name: string, problem: string): XtaskError {
  return new XtaskError(
    "invalid",
    `The archive is refused: its entry ${JSON.stringify(name.slice(0, 200))} ${problem}`,
  );
}

function isNoFolder(error: unknown): boolean {
  return error instanceof Deno.errors.NotADirectory;
}
