import assert from "node:assert/strict";
import { newCommandId } from "../../lib/protocol/id.ts";
import { ask, ended } from "../asking.ts";
import { startFleet } from "../fleet.ts";
import { until } from "../until.ts";
import { resultsOf } from "./ground.ts";

const TIMES = 10;
const TASKFILE = `
version: "3"
silent: true
tasks:
  poison:
    cmds:
      - echo tried >> tried
      - exit 7
  good: echo good
`;

Deno.test("a command that fails each time is tried once each time it is asked, told so, and holds up no other", async () => {
  await using fleet = await startFleet({ taskfile: TASKFILE, slots: 1 });
  const { admin } = fleet;
  const poison = Array.from({ length: TIMES }, () => newCommandId());
  const good = Array.from({ length: TIMES }, () => newCommandId());
  const run = (id: string, task: string) => ask(admin, "n1", "task.run", { args: [task] }, { id, waitMs: 60_000 });
  const results = await Promise.all(poison.flatMap((id, n) => [run(id, "poison"), run(good[n] ?? "", "good")]));
  for (const [n, result] of results.map(ended).entries()) {
    assert.deepEqual([result.state, result.exitCode], n % 2 === 0 ? ["failed", 7] : ["succeeded", 0]);
  }
  // Asked again it is the same command, and is not tried again either.
  assert.deepEqual(ended(await run(poison[0] ?? "", "poison")), ended(results[0] ?? assert.fail()));
  const tried = (await Deno.readTextFile(`${fleet.node("n1").dir}/tried`)).trim().split("\n").length;
  assert.equal(tried, TIMES);
  await until("every result", async () => (await resultsOf(admin)).size === 2 * TIMES);
  assert.ok([...(await resultsOf(admin)).values()].every((count) => count === 1));
});
