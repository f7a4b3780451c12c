/** The demo: a hub and two further agents on this machine run a real project's tasks, then everything is stopped. */
import { asset } from "./assets.ts";
import { V8_FLAGS } from "./v8_flags.ts";

const ROOT = new URL("..", import.meta.url);
const MAIN = new URL("main.ts", ROOT).pathname;

const home = await Deno.makeTempDir({ prefix: "xtask-demo-" });
const say = (line: string) => Deno.stderr.writeSync(new TextEncoder().encode(`\n\x1b[1m▸ ${line}\x1b[0m\n`));

const assets = {
  XTASK_NATS_SERVER: await asset("nats-server", { report: (line) => say(line) }),
  XTASK_TASK: await asset("task", { report: (line) => say(line) }),
};

/** Each machine of the demo has a copy of the project, as each of a team would. */
async function machine(name: string): Promise<{ home: string; dir: string }> {
  const dir = `${home}/${name}/wordcount`;
  await copy(new URL("examples/wordcount/", ROOT), dir);
  return { home: `${home}/${name}/home`, dir };
}

async function copy(from: URL, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const { name, isDirectory } of Deno.readDir(from)) {
    if (["dist", ".task"].includes(name)) continue;
    if (isDirectory) await copy(new URL(`${name}/`, from), `${to}/${name}`);
    else await Deno.copyFile(new URL(name, from), `${to}/${name}`);
  }
}

function xtask(args: readonly string[], at: { home: string; dir: string }, stdout: "inherit" | "piped" = "inherit") {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", V8_FLAGS, MAIN, ...args],
    cwd: at.dir,
    env: { ...assets, XTASK_HOME: at.home },
    stdin: "null",
    stdout,
    stderr: "inherit",
  }).spawn();
}

/** The first line of a process that says when it is ready. */
async function ready(child: Deno.ChildProcess): Promise<Record<string, string>> {
  let text = "";
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  while (!text.includes("\n")) {
    const { value, done } = await reader.read();
    if (done) throw new Error("a process of the demo ended before it was ready");
    text += value;
  }
  // What it prints later must go somewhere, or it would wait for ever.
  void (async () => {
    while (!(await reader.read()).done);
  })();
  return JSON.parse(text.slice(0, text.indexOf("\n")));
}

async function run(line: string, at: { home: string; dir: string }): Promise<void> {
  say(`xtask ${line}`);
  const { code } = await xtask(line.split(" "), at).status;
  if (code !== 0) throw new Error(`'xtask ${line}' ended with ${code}`);
}

const running: Deno.ChildProcess[] = [];
let failure: unknown;
try {
  const hub = await machine("hub");
  say("xtask up: a hub with NATS and JetStream, and this machine as its first node");
  const up = xtask(
    ["up", "--json", "--name", "laptop", "--nats-port", "0", "--leaf-port", "0", "--http-port", "0"],
    hub,
    "piped",
  );
  running.push(up);
  const { natsUrl, httpUrl } = await ready(up);
  for (const name of ["ci-1", "edge-1"]) {
    say(`${name} joins with a single-use token`);
    const invited = await xtask(["auth", "invite", "--json"], hub, "piped").output();
    const { token } = JSON.parse(new TextDecoder().decode(invited.stdout));
    const label = name.startsWith("ci") ? "role=ci" : "role=edge";
    const agent = xtask(
      ["agent", "--json", "--hub", natsUrl ?? "", "--join", token, "--name", name, "--label", label],
      await machine(name),
      "piped",
    );
    running.push(agent);
    await ready(agent);
  }
  await run("nodes", hub);
  await run("task build --on ci-1", hub);
  await run("task test --on all", hub);
  await run("which node git docker --on role=ci|edge", hub).catch(() => {});
  await run("commands", hub);
  say(`The page was at ${httpUrl}; xtask up prints a link that opens it. Stopping everything`);
} catch (error) {
  failure = error;
} finally {
  // The hub last: the others hand over to it what they still have to tell.
  for (const child of running.reverse()) {
    child.kill("SIGTERM");
    await child.status;
  }
  await Deno.remove(home, { recursive: true });
}
if (failure !== undefined) throw failure;
say("Done. Yours: deno task up, then xtask auth invite for each further machine");
