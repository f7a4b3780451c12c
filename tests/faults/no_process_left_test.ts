import assert from "node:assert/strict";
import { childrenOf } from "./children.ts";
import { markOf, survivors } from "../../lib/os/processes.ts";
import { ask, ended } from "../asking.ts";
import { temporaryFolder } from "../fleet.ts";
import { until } from "../until.ts";
import { startHubProcess, startNodeProcess } from "./ground.ts";

/** 1,000 as the scenario has it; the gate does with fewer. */
const RUNS = Number(Deno.env.get("XTASK_TEST_RUNS") ?? 96);
const AT_ONCE = 8;
/** Leaves a child in its group, one that ignores SIGHUP, and one that forked twice into a session of its own. */
const LEAVES = "sleep 300 & nohup sleep 300 >/dev/null 2>&1 & (setsid sh -c 'sleep 300 & exec sleep 300' &) ; exit 0";

Deno.test(`after ${RUNS} runs that leave daemons behind there is no process of them, no zombie and no open file more`, {
  ignore: Deno.build.os !== "linux",
}, async () => {
  await using stack = new AsyncDisposableStack();
  const folder = await temporaryFolder(stack);
  const hub = await startHubProcess(stack, folder);
  const node = await startNodeProcess(stack, hub, folder, { id: "n1", slots: AT_ONCE });
  const ids: string[] = [];
  const run = async (command: string[]) => {
    const result = ended(await ask(hub.admin, "n1", "silent.exec", { command }, { waitMs: 30_000 }));
    assert.equal(result.state, "succeeded");
    ids.push(result.id);
  };
  const inTurn = async (count: number, command: string[]) => {
    for (let done = 0; done < count; done += AT_ONCE) {
      await Promise.all(Array.from({ length: AT_ONCE }, () => run(command)));
    }
  };
  await inTurn(AT_ONCE, ["sh", "-c", LEAVES]);
  const files = () => [...Deno.readDirSync(`/proc/${node.pid}/fd`)].length;
  const before = { files: files(), children: childrenOf(node.pid).length };
  await inTurn(RUNS - AT_ONCE, ["sh", "-c", LEAVES]);
  for (const id of ids) assert.deepEqual(await survivors({ groups: [], mark: markOf("n1", id) }), []);
  await until("the agent to have buried its children", () => childrenOf(node.pid).length <= before.children);
  const after = files();
  assert.ok(after <= before.files + 2, `${before.files} files were open, ${after} are now`);
});
