/** The least that can answer a request over NATS: `echo.ts URL CREDS SUBJECT` sends each payload back. */
import process from "node:process";
import { connect } from "../../../lib/nats/connect.ts";

const [servers = "", creds = "", subject = ""] = Deno.args;
const connection = await connect({ servers, creds: await Deno.readTextFile(creds) });
connection.subscribe(subject, {
  callback: (_, message) => {
    message.respond(message.data);
  },
});
await connection.flush();
process.stdout.write("ready\n");
