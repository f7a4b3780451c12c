/** What it costs a hub that nodes are there: their heartbeats, against a program that remembers the newest of each. */
import assert from "node:assert/strict";
import { openKeyring } from "../../lib/auth/keyring.ts";
import { connectFleet } from "../../lib/client/fleet.ts";
import { HEARTBEAT_MS } from "../../lib/protocol/limits.ts";
import { HEARTBEATS } from "../../lib/protocol/subjects.ts";
import { until } from "../until.ts";
import { spawnXtask } from "../xtask_process.ts";
import type { Figure, Measurement } from "./measurement.ts";
import { startProgram } from "./program.ts";
import { cpuMs, settledMiB } from "./resident.ts";

const LOADS = [1_000, 5_000];
const SECONDS = 15;

/** `deno task bench heartbeats` */
export const heartbeats: Measurement = {
  name: "heartbeats",
  summary: "a hub that hears 1,000 and 5,000 nodes, against a program that remembers the newest heartbeat of each",
  async run(say) {
    const figures: Figure[] = [];
    for (const nodes of LOADS) {
      say(`${nodes} nodes for ${SECONDS} s`);
      await using stack = new AsyncDisposableStack();
      const home = await Deno.makeTempDir();
      stack.defer(() => Deno.remove(home, { recursive: true }));
      const ports = ["--http-port", "0", "--nats-port", "0", "--leaf-port", "0"];
      const up = stack.use(await spawnXtask(["up", "--json", "--no-agent", ...ports], { home }));
      const { natsUrl = "" } = await up.ready();
      const { projects: [keyring] } = await openKeyring(`${home}/hub/keys.json`, []);
      await Deno.writeTextFile(`${home}/hub.creds`, keyring.hubCreds(), { mode: 0o600 });
      const hear = stack.use(await startProgram("hear", [natsUrl, `${home}/hub.creds`, HEARTBEATS]));
      stack.use(await startProgram("beats", [natsUrl, `${home}/hub.creds`, String(nodes), String(HEARTBEAT_MS)]));
      const fleet = stack.use(await connectFleet({ servers: natsUrl, creds: keyring.hubCreds() }));
      const online = async () => (await fleet.nodes()).filter(({ state }) => state === "online").length;
      // While it learns of so many at once it is slow to answer.
      await until("every node to be known", async () => await online().catch(() => 0) === nodes, {
        timeoutMs: 180_000,
      });
      const before = [cpuMs(up.pid), cpuMs(hear.pid)];
      await new Promise((resolve) => setTimeout(resolve, SECONDS * 1_000));
      const [ours = NaN, theirs = NaN] = [cpuMs(up.pid), cpuMs(hear.pid)].map((now, at) => now - (before[at] ?? NaN));
      assert.equal(await online(), nodes, "none was lost meanwhile");
      figures.push({
        name: `cpu of the hub, ${nodes} nodes`,
        ratio: ours / theirs,
        tolerance: 0.6,
        note:
          `${(ours / SECONDS / 10).toFixed(1)} % of a core for ${
            (nodes / HEARTBEAT_MS * 1_000).toFixed(0)
          } a second, ` +
          `bare ${(theirs / SECONDS / 10).toFixed(1)} %; ${(await settledMiB(up.pid)).toFixed(0)} MiB`,
      });
    }
    return figures;
  },
};
