/** What a server of its own costs a node: from a request to its result, against a node that is a client of the hub. */
import { commandSubject } from "../../lib/protocol/subjects.ts";
import { startBenchHub } from "./hub.ts";
import { type Figure, inMs, interleaved, type Measurement, ratioOf, timed } from "./measurement.ts";
import { ask, assertAnswers } from "./which_check.ts";

const LOADS = [
  { inFlight: 1, requests: 200, rounds: 9 },
  { inFlight: 64, requests: 2_000, rounds: 7 },
];

/** `deno task bench leaf-cost` */
export const leafCost: Measurement = {
  name: "leaf-cost",
  summary: "request to result of which.check on a leaf node, against a client",
  async run(say) {
    await using hub = await startBenchHub();
    const { connection } = hub.fleet.admin;
    await hub.agent("bench-client", hub.fleet.folder);
    await hub.agent("bench-leaf", hub.fleet.folder, { leaf: true });
    const subjects = {
      leaf: commandSubject("bench-leaf", "which", "check"),
      client: commandSubject("bench-client", "which", "check"),
    };
    for (const subject of Object.values(subjects)) await assertAnswers(connection, subject);
    const figures: Figure[] = [];
    for (const { inFlight, requests, rounds } of LOADS) {
      const asking = (subject: string) => async () =>
        await timed(() => ask(connection, subject, requests, inFlight)) / requests;
      const variants = { leaf: asking(subjects.leaf), client: asking(subjects.client) };
      await interleaved(2, variants);
      say(`${inFlight} in flight`);
      const { leaf, client } = await interleaved(rounds, variants);
      figures.push({
        name: `${inFlight} in flight, against a client`,
        ratio: ratioOf(leaf, client),
        tolerance: 0.35,
        note: `a request ${inMs(leaf)}, of a client ${inMs(client)}`,
      });
    }
    return figures;
  },
};
