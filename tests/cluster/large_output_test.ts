import assert from "node:assert/strict";
import { readStream, STREAM } from "../../lib/nats/streams.ts";
import { newCommandId } from "../../lib/protocol/id.ts";
import { HEADER } from "../../lib/protocol/run.ts";
import { logSubject } from "../../lib/protocol/subjects.ts";
import { ask, ongoing, resultOf } from "../asking.ts";
import { copyProject, startFleet } from "../fleet.ts";
import { spawnXtask } from "../xtask_process.ts";

/** A gigabyte as the scenario has it; the gate does with less. */
const BYTES = Number(Deno.env.get("XTASK_TEST_OUTPUT_BYTES") ?? 200_000_000);
/** From source it has 143 MiB after 20 MB, 185 after 200, 205 at most during a gigabyte. */
const RSS_BYTES_MAX = 256 * 1024 * 1024;
const TASKFILE = `
version: "3"
silent: true
tasks:
  flood:
    cmds:
      - yes "a line of output that is neither long nor short" | head -c ${BYTES}
`;

/** Resident bytes of a process now, and at most so far. */
async function resident(pid: number): Promise<{ now: number; most: number }> {
  const status = await Deno.readTextFile(`/proc/${pid}/status`);
  const kilobytes = (field: string) => Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1]);
  return { now: kilobytes("VmRSS") * 1024, most: kilobytes("VmHWM") * 1024 };
}

Deno.test(`${BYTES / 1e6} MB of output pass through an agent of bounded memory, every byte accounted for`, {
  ignore: Deno.build.os !== "linux",
}, async () => {
  await using fleet = await startFleet({ nodes: [] });
  const { admin } = fleet;
  const dir = `${fleet.folder}/edge/project`;
  await copyProject(dir, TASKFILE);
  const { token } = await fleet.up.hub.invite("node");
  const args = ["agent", "--json", "--hub", fleet.url, "--join", token, "--name", "edge", "--allow", "task"];
  await using agent = await spawnXtask(args, { home: `${fleet.folder}/edge`, cwd: dir });
  await agent.ready();
  const id = newCommandId();
  ongoing(await ask(admin, "edge", "task.run", { args: ["flood"] }, { id, waitMs: 0 }));
  let bytes = 0;
  let total: number | undefined;
  const follow = { subjects: [logSubject("edge", id)], from: "first" as const, follow: true };
  for await (const message of readStream(admin, STREAM.logs, follow)) {
    assert.equal(Number(message.header(HEADER.logOffset)), bytes, "bytes are in order and none is missing");
    bytes += message.data.length;
    const end = message.header(HEADER.logEnd);
    if (end === undefined) continue;
    total = Number(end);
    break;
  }
  assert.deepEqual([bytes, total], [BYTES, BYTES]);
  const { state, output } = await resultOf(admin, "edge", id);
  assert.deepEqual([state, output.bytes, output.truncated], ["succeeded", BYTES, true]);
  const { now, most } = await resident(agent.pid);
  const megabytes = (value: number) => `${Math.round(value / 1024 ** 2)} MiB`;
  assert.ok(most < RSS_BYTES_MAX, `${megabytes(most)} at most, ${megabytes(now)} at the end`);
});
