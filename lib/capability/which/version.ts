/** Which version a program is, for programs that are known to answer that question and do nothing else. */
import type { RunContext } from "../define.ts";

interface Question {
  readonly args: readonly string[];
  /** Its first group is the version. */
  readonly answer: RegExp;
}

const NUMBER = /(\d+(?:\.\d+)+[-+.\w]*)/;
const DASHES: Question = { args: ["--version"], answer: NUMBER };
const WORD: Question = { args: ["version"], answer: NUMBER };
/** `gcc (Debian 12.2.0-14) 12.2.0`, `Apple clang version 15.0.0 (clang-1500.3)`: the number after the packager's. */
const COMPILER: Question = { args: ["--version"], answer: /(?:clang version |\) )(\d+(?:\.\d+)+)/ };

/**
 * The programs that are asked, and how. Any other program is never started: what an unknown one does when it is called with
 * `--version` is its own affair, and looking something up must change nothing. Left out on purpose are those that download
 * what they stand for when first called (yarn and pnpm of corepack).
 */
const QUESTIONS: Readonly<Record<string, Question>> = {
  git: DASHES,
  go: { args: ["version"], answer: /go version (\S+)/ },
  node: DASHES,
  npm: DASHES,
  deno: DASHES,
  bun: DASHES,
  python3: DASHES,
  python: DASHES,
  ruby: DASHES,
  php: DASHES,
  // Java says it on standard error, maybe after a line about JAVA_TOOL_OPTIONS.
  java: { args: ["-version"], answer: /version "([^"]+)"/ },
  dotnet: DASHES,
  zig: WORD,
  cargo: DASHES,
  rustc: DASHES,
  gcc: COMPILER,
  cc: COMPILER,
  clang: COMPILER,
  make: DASHES,
  cmake: DASHES,
  task: DASHES,
  "nats-server": DASHES,
  nats: DASHES,
  docker: DASHES,
  podman: DASHES,
  kubectl: { args: ["version", "--client"], answer: NUMBER },
  helm: { args: ["version", "--short"], answer: NUMBER },
  terraform: WORD,
  tofu: WORD,
  curl: DASHES,
  jq: DASHES,
  bash: DASHES,
  openssl: WORD,
  ffmpeg: { args: ["-version"], answer: NUMBER },
};

/** The programs as optional tools, so that a Worker may run exactly those that the node has. */
export const ASKED_TOOLS: Readonly<Record<string, readonly string[]>> = Object.fromEntries(
  Object.keys(QUESTIONS).map((name) => [`${name}?`, [name]]),
);

/** Some of them fetch a toolchain, look for updates or count their users, even when only asked this, unless told not to. */
const CALM_ENV = {
  CHECKPOINT_DISABLE: "1",
  DENO_NO_UPDATE_CHECK: "1",
  DOTNET_CLI_TELEMETRY_OPTOUT: "1",
  DOTNET_NOLOGO: "1",
  GOTOOLCHAIN: "local",
  LC_ALL: "C",
  NO_COLOR: "1",
  RUSTUP_AUTO_INSTALL: "0",
  npm_config_update_notifier: "false",
};
const ANSWER_MS = 2_000;
const ANSWER_BYTES = 16 * 1024;

const APPLE_TOOLS = "/Library/Developer/CommandLineTools";
const CACHE_MAX = 256;
/** By path, time and size of the file, oldest first. */
const cache = new Map<string, string>();

/**
 * The version of the program at `path`, or undefined if it is not one that is asked, does not answer in time or answers
 * something else. A changed file is asked again.
 *
 * @throws The signal's reason, once the run is aborted
 */
export async function versionOf(path: string, context: RunContext): Promise<string | undefined> {
  const { tools, platform } = context.node;
  // By its own name first: asking for every tool of the list would look for every one of them.
  const name = path.replace(/^.*[\\/]/, "").replace(platform.os === "windows" ? /\.[^.]*$/ : "", "");
  const question = Object.hasOwn(QUESTIONS, name) && tools[name] === path ? QUESTIONS[name] : undefined;
  if (question === undefined || await isAppleInstaller(path, context)) return undefined;
  const info = await Deno.stat(path);
  const key = `${path}\0${info.mtime?.getTime()}\0${info.size}`;
  const known = cache.get(key);
  if (known !== undefined) return known;
  const version = question.answer.exec(await ask(path, question, context))?.[1];
  if (version === undefined) return undefined;
  cache.set(key, version);
  for (const oldest of cache.keys()) {
    if (cache.size <= CACHE_MAX) break;
    cache.delete(oldest);
  }
  return version;
}

/** On a Mac without the developer tools these files are stand-ins that open a dialog asking to install them. */
async function isAppleInstaller(path: string, { node }: RunContext): Promise<boolean> {
  if (node.platform.os !== "darwin" || !path.startsWith("/usr/bin/")) return false;
  return path === "/usr/bin/java" || !(await Deno.stat(APPLE_TOOLS).then(() => true, () => false));
}

async function ask(path: string, { args }: Question, context: RunContext): Promise<string> {
  try {
    const { code, stdout, stderr } = await context.exec([path, ...args], {
      output: "capture",
      // Its own folder, as a project's go.mod, global.json or rust-toolchain.toml may choose, and fetch, another version.
      cwd: path.replace(/[^\\/]+$/, ""),
      env: CALM_ENV,
      timeoutMs: ANSWER_MS,
      maxBytes: ANSWER_BYTES,
    });
    return code === 0 ? `${stdout}\n${stderr}` : "";
  } catch {
    // Where a program is matters more than its version, so a program that hangs or cannot start has none. Not so cancelling.
    context.signal.throwIfAborted();
    return "";
  }
}
