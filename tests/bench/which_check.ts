/** From a request to its result, against the least that can answer a request. */
import type { NatsConnection } from "../../lib/nats/connect.ts";
import { commandSubject } from "../../lib/protocol/subjects.ts";
import { startBenchHub } from "./hub.ts";
import { type Figure, inMs, interleaved, type Measurement, ratioOf, timed } from "./measurement.ts";
import { startProgram } from "./program.ts";

const REQUEST = JSON.stringify({ names: ["sh"] });
const LOADS = [
  { inFlight: 1, requests: 200, rounds: 15 },
  { inFlight: 64, requests: 2_000, rounds: 9 },
];

/** `deno task bench which-check` */
export const whichCheck: Measurement = {
  name: "which-check",
  summary: "request to result of which.check, against a bare echo",
  async run(say) {
    await using hub = await startBenchHub();
    const { fleet } = hub;
    const { connection } = fleet.admin;
    await hub.agent("bench-node", fleet.folder);
    const bareSubject = commandSubject("bench-echo", "which", "check");
    await using _echo = await startProgram("echo", [fleet.url, await hub.nodeCreds("bench-echo"), bareSubject]);
    const subject = commandSubject("bench-node", "which", "check");
    await assertAnswers(connection, subject);
    const figures: Figure[] = [];
    for (const { inFlight, requests, rounds } of LOADS) {
      const variant = (subject: string) => async () =>
        await timed(() => ask(connection, subject, requests, inFlight)) / requests;
      await interleaved(2, { xtask: variant(subject), bare: variant(bareSubject) });
      say(`${inFlight} in flight`);
      const { xtask, bare } = await interleaved(rounds, { xtask: variant(subject), bare: variant(bareSubject) });
      figures.push({
        name: `${inFlight} in flight, against a bare echo`,
        ratio: ratioOf(xtask, bare),
        tolerance: 0.35,
        aim: 2,
        note: `a request ${inMs(xtask)}, bare ${inMs(bare)}`,
      });
    }
    return figures;
  },
};

/** Asks so many times, so many at once. */
export async function ask(
  connection: NatsConnection,
  subject: string,
  requests: number,
  inFlight: number,
): Promise<void> {
  let left = requests;
  await Promise.all(Array.from({ length: inFlight }, async () => {
    while (left-- > 0) await connection.request(subject, REQUEST, { timeout: 20_000 });
  }));
}

/** A refusal is an answer too, and a fast one. */
export async function assertAnswers(connection: NatsConnection, subject: string): Promise<void> {
  const answer = (await connection.request(subject, REQUEST, { timeout: 20_000 })).string();
  if (!answer.includes('"succeeded"')) throw new Error(`which.check does not succeed here: ${answer}`);
}
