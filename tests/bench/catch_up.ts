/** How soon a node that was cut off has handed over what it kept, against bare messages to the same stream. */
import { openBus } from "../../lib/nats/bus.ts";
import { outState } from "../../lib/nats/own_streams.ts";
import { lastOf, lastSequence, STREAM } from "../../lib/nats/streams.ts";
import { publishStored } from "../../lib/nats/uplink.ts";
import { newCommandId } from "../../lib/protocol/id.ts";
import { statusSubject, storedResult, upEvent } from "../../lib/protocol/subjects.ts";
import { openKeyring } from "../../lib/auth/keyring.ts";
import { ask, ended } from "../asking.ts";
import { relayTo } from "../faults/relay.ts";
import { startFleet } from "../fleet.ts";
import { until } from "../until.ts";
import { inMs, type Measurement, median, ratioOf, timed } from "./measurement.ts";

const REPORTS = 1_000;
const ROUNDS = 3;
/** What is asked of it. */
const WITHIN_MS = 5_000;
const AT_ONCE = 8;

/** `deno task bench catch-up` */
export const catchUp: Measurement = {
  name: "catch-up",
  summary: `a leaf node hands over ${REPORTS} reports after an outage, against as many bare messages`,
  async run(say) {
    await using stack = new AsyncDisposableStack();
    const fleet = stack.use(await startFleet({ nodes: [] }));
    const { admin, up } = fleet;
    const link = stack.use(relayTo(up.server.leafPort ?? 0));
    await fleet.start({ id: "n1", leaf: { port: link.port }, slots: AT_ONCE });
    const own = stack.use(await openBus({ servers: fleet.node("n1").localAddress ?? "" }));
    const { projects: [keyring] } = await openKeyring(`${fleet.folder}/hub/hub/keys.json`, []);
    const hub = stack.use(await openBus({ servers: fleet.url, creds: keyring.hubCreds() }));
    const [whole, moving, bare]: [number[], number[], number[]] = [[], [], []];
    let reports = 0;
    for (let round = 0; round < ROUNDS; round++) {
      say(`round ${round + 1} of ${ROUNDS}`);
      await until("the node at the hub", () => reachable(admin));
      link.cut();
      const before = (await outState(own)).last;
      let last = "";
      while ((await outState(own)).last - before < REPORTS) {
        const ids = Array.from({ length: AT_ONCE }, () => newCommandId());
        await Promise.all(
          ids.map(async (id) =>
            ended(await ask(own, "n1", "silent.exec", { command: ["true"] }, { id, waitMs: 20_000 }))
          ),
        );
        last = ids.at(-1) ?? "";
      }
      reports = (await outState(own)).last - before;
      const stood = await lastSequence(admin, STREAM.up);
      const begun = performance.now();
      link.restore();
      await until("the first of it", async () => await lastSequence(admin, STREAM.up) > stood, { timeoutMs: 60_000 });
      const first = performance.now();
      await until("the last of it", () => lastOf(admin, STREAM.results, storedResult(last, "n1")), {
        timeoutMs: 60_000,
      });
      whole.push(performance.now() - begun);
      moving.push(performance.now() - first);
      const payload = new TextEncoder().encode("x".repeat(300));
      bare.push(
        await timed(() =>
          Promise.all(
            Array.from({ length: reports }, () =>
              publishStored(hub, { subject: upEvent("bench", "alert"), headers: {}, payload })),
          )
        ),
      );
    }
    await fleet[Symbol.asyncDispose]();
    const rate = (samples: readonly number[]) => Math.round(reports / median(samples) * 1_000);
    return [
      {
        name: `until the last of ${REPORTS} reports, against ${WITHIN_MS} ms`,
        ratio: median(whole) / WITHIN_MS,
        tolerance: 1,
        aim: 1,
        note: `${inMs(whole)} from the link on, ${rate(whole)} a second`,
      },
      {
        name: "from the first one on, against bare messages",
        ratio: ratioOf(moving, bare),
        tolerance: 1,
        note: `${inMs(moving)}, bare ${inMs(bare)}: ${rate(bare)} a second`,
      },
    ];
  },
};

async function reachable(bus: Parameters<typeof lastOf>[0]): Promise<boolean> {
  return await bus.request(statusSubject("n1"), "", { timeoutMs: 1_000 }).then(() => true, () => false);
}
