import assert from "node:assert/strict";
import process from "node:process";
import { readStream, STREAM } from "../../lib/nats/streams.ts";
import { sendSignal } from "../../lib/os/processes.ts";
import { hubSubject } from "../../lib/protocol/subjects.ts";
import { ask } from "../asking.ts";
import { startCrowd } from "../crowd.ts";
import { startFleet } from "../fleet.ts";
import { until } from "../until.ts";

/** A thousand as it is asked for; the gate does with fewer. */
const NODES = Number(Deno.env.get("XTASK_TEST_NODES") ?? 80);
const REPORTS = 20;
const ANSWER_MS_MAX = 5_000;
const FLUSH_MS_MAX = 300_000;
/** Nobody dials again and again: between two dials of a node lie a second and the hub's time for it. */
const DIALS_EACH_MAX = 8;

Deno.test("many leaf nodes come back together, each with a backlog: all of it arrives once, and the hub answers meanwhile", async () => {
  await using stack = new AsyncDisposableStack();
  const fleet = stack.use(await startFleet());
  const { admin, up } = fleet;
  let at = performance.now();
  const lap = (what: string) => {
    process.stderr.write(`  ${NODES} nodes, ${what}: ${((performance.now() - at) / 1_000).toFixed(1)} s\n`);
    at = performance.now();
  };
  const { nodes, troubles, dials } = await startCrowd(stack, fleet, NODES);
  const together = (act: (node: typeof nodes[number]) => Promise<unknown>) => Promise.all(nodes.map(act));
  lap("start");
  await together(({ report }) => report(1));
  await together(({ forwarder }) => forwarder.flushed(AbortSignal.timeout(FLUSH_MS_MAX)));
  lap("first report");

  const questions = [
    async () => void await admin.request(hubSubject("health", "check"), "", { timeoutMs: 30_000 }),
    async () => void await ask(admin, "n1", "which.check", { names: ["sh"] }, { waitMs: 20_000 }),
    async () => {
      const answer = await fetch(`${up.http.url}/readyz`);
      assert.equal(answer.status, 200, await answer.text());
    },
  ];
  const before = dials();
  const { pid } = up.server;
  sendSignal(pid, "SIGKILL");
  await together(({ report }) => report(REPORTS));
  await until("the server to be back", () => up.server.pid !== pid, { timeoutMs: 60_000 });
  const back = performance.now();
  const flushing = new AbortController();
  const within = AbortSignal.any([flushing.signal, AbortSignal.timeout(FLUSH_MS_MAX)]);
  const tookMs: number[] = [];
  const flushed = together(async ({ forwarder }) => {
    await forwarder.flushed(within);
    tookMs.push(performance.now() - back);
  });
  stack.defer(() => flushing.abort());
  await admin.whenUp(AbortSignal.timeout(30_000));
  for (const question of questions) {
    await until("the hub to be back", () => question().then(() => true, () => false), { timeoutMs: 30_000 });
  }
  lap("hub away, backlog");

  const answers: number[] = [];
  const asking = async () => {
    for (let n = 0; n < questions.length || tookMs.length < NODES; n++) {
      const begun = performance.now();
      await questions[n % questions.length]?.();
      answers.push(performance.now() - begun);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  await Promise.all([flushed, asking()]);
  lap(`${NODES * REPORTS} reports handed over`);
  assert.ok(nodes.every(({ forwarder }) => forwarder.empty));
  const dialled = dials() - before;

  const counts = new Map<string, number>();
  await until("all of it to be derived", async () => {
    counts.clear();
    for await (const { data } of readStream(admin, STREAM.events, { subjects: ["xtask.events.>"], from: "first" })) {
      const { message } = JSON.parse(new TextDecoder().decode(data));
      if (typeof message === "string" && /^c\d+ \d+$/.test(message)) {
        counts.set(message, (counts.get(message) ?? 0) + 1);
      }
    }
    return counts.size === NODES * (REPORTS + 1);
  }, { timeoutMs: 60_000 });
  lap("derived");
  assert.ok([...counts.values()].every((count) => count === 1), "each once");
  const [median = NaN, worst = NaN] = spread(answers);
  const [soon = NaN, last = NaN] = spread(tookMs);
  process.stderr.write(
    `  ${answers.length} questions were answered meanwhile: ${median.toFixed(0)} ms, at most ${worst.toFixed(0)}\n` +
      `  half of them were done ${soon.toFixed(0)} ms after the server was back, all ${last.toFixed(0)}; ` +
      `${(dialled / NODES).toFixed(1)} links for each\n`,
  );
  const by = Object.entries(Object.groupBy(troubles, (one) => one));
  process.stderr.write(by.map(([trouble, all]) => `  ${all?.length ?? 0} × ${trouble}\n`).join(""));
  assert.ok(worst < ANSWER_MS_MAX, `the hub took ${worst.toFixed(0)} ms for an answer`);
  // Each tells of the outage once, and of being refused at most a few times: none asks again and again.
  assert.ok(troubles.length <= 3 * NODES, `${troubles.length} troubles`);
  assert.ok(dialled <= DIALS_EACH_MAX * NODES, `${dialled} links were made`);
});

/** The middle value, and the greatest. */
function spread(values: readonly number[]): (number | undefined)[] {
  const sorted = values.toSorted((a, b) => a - b);
  return [sorted[sorted.length >> 1], sorted.at(-1)];
}
