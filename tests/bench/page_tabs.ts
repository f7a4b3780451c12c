/** Many tabs that look at one command, and one tab at a command that says much: complete, and at what cost. */
import assert from "node:assert/strict";
import { newCommandId } from "../../lib/protocol/id.ts";
import { isTerminal } from "../../lib/protocol/state.ts";
import { ask, ongoing } from "../asking.ts";
import { openBus } from "../../lib/nats/bus.ts";
import { until } from "../until.ts";
import { spawnXtask, xtask } from "../xtask_process.ts";
import type { Figure, Measurement } from "./measurement.ts";
import { pathOf, startProgram } from "./program.ts";
import { cpuMs, settledMiB } from "./resident.ts";

const LOADS = [
  { tabs: 200, perSecond: 100, seconds: 30 },
  { tabs: 1, perSecond: 2_000, seconds: 15 },
];
/** A session may have 64 streams, and a tab has two. */
const TABS_PER_SESSION = 30;
/** What the page may take for 200 tabs, in MiB. */
const MEMORY_MIB_MAX = 300;

const TASKFILE = JSON.stringify({
  version: "3",
  silent: true,
  tasks: { lines: { cmds: [`${Deno.execPath()} run -A ${pathOf("lines")} {{.RATE}} {{.SECONDS}}`] } },
});

/** `deno task bench page-tabs` */
export const pageTabs: Measurement = {
  name: "page-tabs",
  summary: "tabs that follow a command's output, against a hub that writes one event for each message",
  async run(say) {
    await using stack = new AsyncDisposableStack();
    const folder = await Deno.makeTempDir();
    stack.defer(() => Deno.remove(folder, { recursive: true }));
    await Deno.mkdir(`${folder}/home`);
    await Deno.writeTextFile(`${folder}/Taskfile.yml`, TASKFILE);
    const ports = ["--http-port", "0", "--nats-port", "0", "--leaf-port", "0"];
    const up = stack.use(
      await spawnXtask(["up", "--json", "--name", "n1", "--dir", folder, ...ports], { home: `${folder}/home` }),
    );
    const { natsUrl = "", httpUrl = "" } = await up.ready();
    const env = JSON.parse((await xtask(["env", "--json"], { home: `${folder}/home` })).stdout);
    await using bus = await openBus({ servers: natsUrl, creds: await Deno.readTextFile(env.NATS_CREDS) });
    const plain = stack.use(await startProgram("plain_page", [natsUrl, env.NATS_CREDS]));
    const figures: Figure[] = [];
    for (const { tabs, perSecond, seconds } of LOADS) {
      say(`${tabs} tabs, ${perSecond} lines a second, for ${seconds} s`);
      const sessions = await Promise.all(
        Array.from({ length: Math.ceil(tabs / TABS_PER_SESSION) }, () => login(httpUrl, env.XTASK_TOKEN)),
      );
      const stop = new AbortController();
      const plainBytes = { count: 0 };
      for (let at = 0; at < tabs; at++) void countBytes(await fetch(plain.line, { signal: stop.signal }), plainBytes);
      const before = [cpuMs(up.pid), cpuMs(plain.pid)];
      const id = newCommandId();
      const args = ["lines", `RATE=${perSecond}`, `SECONDS=${seconds}`];
      ongoing(await ask(bus, "n1", "task.run", { args }, { id, waitMs: 0 }));
      const opened = await Promise.all(
        Array.from(
          { length: tabs },
          (_, at) => openTab(httpUrl, id, sessions[at % sessions.length] as string, stop.signal),
        ),
      );
      const lines = perSecond * seconds;
      await until("every tab to show all of it", () => opened.every((tab) => tab.complete(lines)), {
        timeoutMs: (seconds + 60) * 1_000,
      });
      const [ours = NaN, theirs = NaN] = [cpuMs(up.pid), cpuMs(plain.pid)].map((now, at) => now - (before[at] ?? NaN));
      const bytes = opened.reduce((sum, tab) => sum + tab.bytes, 0);
      const memory = await settledMiB(up.pid);
      stop.abort();
      assert.ok(memory < MEMORY_MIB_MAX, `${memory.toFixed(0)} MiB is more than the page may take`);
      const name = `${tabs} ${tabs === 1 ? "tab" : "tabs"}, ${perSecond} lines/s`;
      const kib = (count: number) => `${(count / tabs / lines).toFixed(0)} B a line and tab`;
      const read = opened.reduce((sum, tab) => sum + tab.reads, 0);
      figures.push(
        {
          name: `cpu, ${name}`,
          ratio: ours / theirs,
          // One tab costs the plain one so little that the clock hardly sees it.
          tolerance: tabs === 1 ? 1.5 : 0.6,
          note: `${(ours / seconds / 10).toFixed(0)} % of a core, plain ${(theirs / seconds / 10).toFixed(0)} %; ` +
            `${memory.toFixed(0)} MiB (bound ${MEMORY_MIB_MAX}); nothing lost, ${read} reads besides`,
        },
        {
          name: `bytes, ${name}`,
          ratio: bytes / plainBytes.count,
          tolerance: 0.5,
          note: `${kib(bytes)}, plain ${kib(plainBytes.count)}`,
        },
      );
    }
    return figures;
  },
};

/** A session's cookie. */
async function login(url: string, token: string): Promise<string> {
  const made = await fetch(`${url}/api/v1/login-links`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}` },
  });
  const answer = await fetch((await made.json()).url, { redirect: "manual" });
  await answer.body?.cancel();
  return answer.headers.get("set-cookie")?.split(";")[0] ?? "";
}

/** What a tab hears: the state of the command and its output. Lines that are not sent are read, as the page's script does. */
async function openTab(url: string, id: string, cookie: string, signal: AbortSignal) {
  const tab = {
    bytes: 0,
    reads: 0,
    next: 0,
    ended: false,
    state: "",
    complete: (lines: number) => tab.ended && tab.next === lines && isTerminal(tab.state as "succeeded"),
  };
  const headers = { cookie };
  const query = new URLSearchParams({ view: "/commands/:id", id });
  const page = await fetch(`${url}/events?${query}`, { headers, signal });
  const log = await fetch(`${url}/commands/${id}/log/events?node=n1`, { headers, signal });
  void each(page, tab, (event) => {
    tab.state = /class="state state-(\w+)"/.exec(event)?.[1] ?? tab.state;
  });
  void each(log, tab, async (event) => {
    const data = /^data: (.*)$/m.exec(event)?.[1];
    if (data === undefined) return;
    const { total, ended, lines } = JSON.parse(data);
    if (lines !== undefined && (lines[0]?.n ?? 0) <= tab.next) {
      tab.next = Math.max(tab.next, (lines.at(-1)?.n ?? -1) + 1);
    }
    while (tab.next < total) {
      tab.reads++;
      const answer = await fetch(`${url}/commands/${id}/log?node=n1&from=${tab.next}&count=500`, { headers, signal });
      const text = await answer.text();
      tab.bytes += text.length;
      tab.next = (JSON.parse(text).lines.at(-1)?.n ?? -1) + 1;
    }
    tab.ended = ended;
  });
  return tab;
}

async function each(answer: Response, tab: { bytes: number }, hear: (event: string) => unknown): Promise<void> {
  assert.equal(answer.status, 200);
  let rest = "";
  try {
    for await (const text of (answer.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream())) {
      tab.bytes += text.length;
      const events = (rest + text).split("\n\n");
      rest = events.pop() ?? "";
      for (const event of events) await hear(event);
    }
  } catch (error) {
    if ((error as Error).name !== "AbortError") throw error;
  }
}

async function countBytes(answer: Response, counter: { count: number }): Promise<void> {
  try {
    for await (const chunk of answer.body ?? []) counter.count += chunk.length;
  } catch (error) {
    if ((error as Error).name !== "AbortError") throw error;
  }
}
