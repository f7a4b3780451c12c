/**
 * The least that can bring a program's output into a stream: `pipe.ts URL CREDS PROGRAM ARG…` publishes it in messages of
 * 64 KiB, as many on their way at once as an agent has.
 */
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "../../../lib/nats/connect.ts";

const MESSAGE_BYTES = 64 * 1024;
const IN_FLIGHT_MAX = 64;
const SUBJECT = "xtask.bench-pipe.output.bytes";

const [servers = "", creds = "", program = "", ...args] = Deno.args;
const connection = await connect({ servers, creds: await Deno.readTextFile(creds) });
const { streams } = await jetstreamManager(connection);
await streams.add({ name: "BENCH", subjects: [SUBJECT] });
const child = new Deno.Command(program, { args, stdin: "null", stdout: "piped" }).spawn();

const underWay = new Set<Promise<unknown>>();
const message = new Uint8Array(MESSAGE_BYTES);
let filled = 0;
const publish = async () => {
  if (underWay.size >= IN_FLIGHT_MAX) await Promise.race(underWay);
  // The answer says whether it was stored; an error would have no sequence.
  const stored = connection.request(SUBJECT, message.slice(0, filled), { timeout: 60_000 }).then((answer) => {
    if (answer.json<{ seq?: number }>().seq === undefined) throw new Error(answer.string());
    underWay.delete(stored);
  });
  underWay.add(stored);
  filled = 0;
};
for await (const chunk of child.stdout) {
  for (let at = 0; at < chunk.length;) {
    const part = chunk.subarray(at, at + MESSAGE_BYTES - filled);
    message.set(part, filled);
    filled += part.length;
    at += part.length;
    if (filled === MESSAGE_BYTES) await publish();
  }
}
if (filled > 0) await publish();
await Promise.all(underWay);
await streams.delete("BENCH");
await connection.close();
Deno.exit((await child.status).code);
