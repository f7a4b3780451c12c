import assert from "node:assert/strict";
import { connectFleet } from "../../lib/client/fleet.ts";
import { type LogLine, openRunLog } from "../../lib/client/log/run_log.ts";
import { newCommandId } from "../../lib/protocol/id.ts";
import { ask, ongoing } from "../asking.ts";
import { startFleet } from "../fleet.ts";
import { handBack, inState, submit } from "../moving.ts";
import { until } from "../until.ts";

const TASKFILE = JSON.stringify({
  version: "3",
  silent: true,
  tasks: {
    // Colours go over line ends, lines are cut anywhere, and the last one is never ended.
    lines: {
      cmds: [
        `i=0; while [ $i -lt 1500 ]; do i=$((i+1)); printf '\\033[3%dmline %d\\n' $((i % 8)) $i; done; printf 'the end'`,
      ],
    },
    attempts: { cmds: ["echo attempt $XTASK_ATTEMPT", "until [ -f go ]; do sleep 0.05; done"] },
  },
});

Deno.test("the newest lines are the same from memory as from the stream, while they come and after", async () => {
  await using fleet = await startFleet({ nodes: ["n1"], taskfile: TASKFILE });
  const id = newCommandId();
  ongoing(await ask(fleet.admin, "n1", "task.run", { args: ["lines"] }, { id, waitMs: 0 }));
  await using following = openRunLog(fleet.admin, "n1", id);
  await until("the output to end", () => following.ended);
  assert.equal(following.lines, 1501);
  const seen: LogLine[] = [];
  for (let from = 0; from < following.lines; from += 97) seen.push(...await following.range(from, 97));
  assert.deepEqual(seen.map(({ number }) => number), Array.from({ length: 1501 }, (_, n) => n));
  assert.deepEqual(seen.at(-1)?.pieces.map(({ text }) => text), ["the end"]);
  const inks = seen.map(({ pieces }) => pieces[0]?.style.ink);
  // Whatever the place that reading began at, the colour of a line is the one that was set last.
  assert.deepEqual(inks, Array.from({ length: 1501 }, (_, n) => Math.min(n + 1, 1500) % 8));
});

Deno.test("where a command came to a node again, its output is what the newest attempt wrote", async () => {
  await using fleet = await startFleet({ nodes: ["n1"], taskfile: TASKFILE });
  await using asking = await connectFleet({ servers: fleet.url, creds: fleet.up.adminCreds });
  const { id } = await submit(asking, "attempts");
  await using following = openRunLog(fleet.admin, "n1", id);
  await until("attempt 1 to write", () => following.attempt === 1 && following.lines > 0);
  await handBack(fleet, "n1");
  await until("attempt 1 to end", () => following.ended);
  await fleet.start("n1");
  await until("attempt 2 to write", () => following.attempt === 2 && following.lines > 0);
  assert.equal(following.ended, false);
  await Deno.writeTextFile(`${fleet.node("n1").dir}/go`, "");
  await inState(asking, id, "succeeded");
  await until("attempt 2 to end", () => following.ended);
  await using late = openRunLog(fleet.admin, "n1", id);
  await late.indexed;
  for (const log of [following, late]) {
    const texts = (await log.range(0, 9)).map(({ pieces }) => pieces.map(({ text }) => text).join(""));
    assert.deepEqual([texts, log.attempt, log.ended], [["attempt 2"], 2, true]);
  }
});
