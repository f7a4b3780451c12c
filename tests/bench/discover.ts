/** A question to 1,000 and 5,000 nodes until the last has answered, against as many messages from one sender. */
import type { NatsConnection } from "../../lib/nats/connect.ts";
import { broadcastSubject, DISCOVER } from "../../lib/protocol/subjects.ts";
import { startBenchHub } from "./hub.ts";
import { inMs, interleaved, type Measurement, ratioOf, timed } from "./measurement.ts";
import { startProgram } from "./program.ts";

const NODES = 1_000;
/** On few connections alone: as many of their own are more than this machine can hold and answer for. */
const MANY = 5_000;
const ROUNDS = 7;
const LAST_REPLY_MS_MAX = 30_000;
/** On few connections each of them stands for so many nodes: what is left is what the answers themselves cost. */
const FEW = 8;

/** `deno task bench discover` */
export const discover: Measurement = {
  name: "discover",
  summary: `${NODES} and ${MANY} nodes answer one question, against as many messages from one sender`,
  async run(say) {
    await using hub = await startBenchHub();
    const { fleet, hubCreds } = hub;
    const creds = await hub.nodeCreds("bench-nodes");
    const { connection } = fleet.admin;
    const flood = "xtask.bench-flood.ask.records";
    const questions = { discover: DISCOVER, broadcast: broadcastSubject("which", "check") };
    const measureWith = async (nodes: number, connections: number) => {
      say(`${nodes} nodes on ${connections} connections`);
      await using _nodes = await startProgram("replies", [
        "nodes",
        fleet.url,
        // The server lets a node answer a question a few times, not for a hundred others.
        connections < nodes ? hubCreds : creds,
        String(nodes),
        String(connections),
      ]);
      await using _flood = await startProgram("replies", ["flood", fleet.url, hubCreds, String(nodes), flood]);
      const variants = {
        bare: () => timed(() => ask(connection, flood, nodes)),
        discover: () => timed(() => ask(connection, questions.discover, nodes)),
        broadcast: () => timed(() => ask(connection, questions.broadcast, nodes)),
      };
      await interleaved(2, variants);
      const { bare, ...asked } = await interleaved(ROUNDS, variants);
      return (["discover", "broadcast"] as const).map((name) => ({
        name: `${name}, ${connections} connections, until the last of ${nodes} replies`,
        ratio: ratioOf(asked[name], bare),
        tolerance: 0.6,
        note: `${inMs(asked[name])}, bare ${inMs(bare)}`,
      }));
    };
    return [...await measureWith(NODES, FEW), ...await measureWith(NODES, NODES), ...await measureWith(MANY, FEW)];
  },
};

/** Asks, and resolves when the last reply has come. */
async function ask(connection: NatsConnection, subject: string, nodes: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const inbox = `_INBOX.${crypto.randomUUID()}`;
  let replies = 0;
  const timer = setTimeout(() => reject(new Error(`${replies} replies came to ${subject}`)), LAST_REPLY_MS_MAX);
  const subscription = connection.subscribe(inbox, {
    callback: () => {
      if (++replies === nodes) resolve();
    },
  });
  connection.publish(subject, JSON.stringify(subject === DISCOVER ? { select: "all" } : { names: ["sh"] }), {
    reply: inbox,
  });
  try {
    await promise;
  } finally {
    clearTimeout(timer);
    subscription.unsubscribe();
  }
}
