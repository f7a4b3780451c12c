/** The least that can keep who is there: `hear.ts URL CREDS SUBJECT` reads each message as JSON and remembers the newest by id. */
import process from "node:process";
import { connect } from "../../../lib/nats/connect.ts";

const [servers = "", creds = "", subject = ""] = Deno.args;
const connection = await connect({ servers, creds: await Deno.readTextFile(creds) });
const known = new Map<string, unknown>();
connection.subscribe(subject, {
  callback: (_, message) => {
    const said = message.json<{ id: string }>();
    known.set(said.id, said);
  },
});
await connection.flush();
process.stdout.write("ready\n");
