/** The machines that xtask is compiled for, and the words that each tool has for them. */
import { XtaskError } from "../lib/protocol/error.ts";
import { type Platform, platformHere } from "../lib/protocol/platform.ts";

/** One kind of machine. */
export interface Target {
  /** Deno's word, which is also the end of the executable's name. */
  readonly triple: string;
  readonly platform: Platform;
  /** npm's words. */
  readonly npm: string;
  /** How large its executable may be, in millions of bytes. One that is more than 10 % over it is not made. */
  readonly budgetMB: number;
}

/** What can be made. */
export const TARGETS: readonly Target[] = [
  { triple: "x86_64-unknown-linux-gnu", platform: { os: "linux", arch: "amd64" }, npm: "linux-x64", budgetMB: 125 },
  { triple: "aarch64-unknown-linux-gnu", platform: { os: "linux", arch: "arm64" }, npm: "linux-arm64", budgetMB: 116 },
  { triple: "x86_64-apple-darwin", platform: { os: "darwin", arch: "amd64" }, npm: "darwin-x64", budgetMB: 116 },
  { triple: "aarch64-apple-darwin", platform: { os: "darwin", arch: "arm64" }, npm: "darwin-arm64", budgetMB: 107 },
  { triple: "x86_64-pc-windows-msvc", platform: { os: "windows", arch: "amd64" }, npm: "win32-x64", budgetMB: 124 },
];

/** What people may ask for in vain, and why. */
const NOT_MADE: Readonly<Record<string, string>> = {
  "aarch64-pc-windows-msvc": "neither the run-time nor the executables that xtask brings along are pinned for it",
  "x86_64-unknown-linux-musl": "the run-time needs glibc 2.27 or newer",
  "aarch64-unknown-linux-musl": "the run-time needs glibc 2.27 or newer",
};

/** The word of an asset table for a platform. */
export const platformKey = ({ os, arch }: Platform): string => `${os}-${arch}`;

/**
 * The targets that a word means: a triple, `all`, or this machine where there is none.
 *
 * @throws {XtaskError} `not_found` for anything else, with the reason where there is one
 */
export function targetsFor(word?: string): readonly Target[] {
  if (word === "all") return TARGETS;
  const here = platformKey(platformHere());
  const found = TARGETS.filter(({ triple, platform }) =>
    word === undefined ? platformKey(platform) === here : triple === word
  );
  if (found.length > 0) return found;
  throw new XtaskError("not_found", `xtask cannot be made for ${word ?? here}`, {
    details: [
      NOT_MADE[word ?? ""] ?? "there is no such target",
      `one of: all, ${TARGETS.map(({ triple }) => triple).join(", ")}`,
    ],
  });
}
