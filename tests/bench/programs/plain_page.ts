/**
 * The least that can bring what happens to browsers: `plain_page.ts URL CREDS` writes every message of the logs and events as
 * one server-sent event to everybody who is connected. It keeps no state, and drops whoever is slow.
 */
import process from "node:process";
import { connect } from "../../../lib/nats/connect.ts";

const [servers = "", creds = ""] = Deno.args;
const connection = await connect({ servers, creds: await Deno.readTextFile(creds) });
const clients = new Set<ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>>();
const encoder = new TextEncoder();

for (const subject of ["xtask.logs.>", "xtask.events.>"]) {
  connection.subscribe(subject, {
    callback(_error, message) {
      const event = encoder.encode(`data: ${JSON.stringify({ subject: message.subject, text: message.string() })}\n\n`);
      for (const client of clients) {
        if ((client.desiredSize ?? 0) > 0) client.enqueue(event.slice());
        else {
          clients.delete(client);
          client.close();
        }
      }
    },
  });
}

Deno.serve({
  hostname: "127.0.0.1",
  port: 0,
  onListen: ({ port }) => void process.stdout.write(`http://127.0.0.1:${port}\n`),
}, () => {
  let own: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>;
  const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
    start(controller) {
      clients.add(own = controller);
      controller.enqueue(encoder.encode(": begins\n\n"));
    },
    cancel: () => void clients.delete(own),
  }, { highWaterMark: 1024 });
  return new Response(body, { headers: { "content-type": "text/event-stream" } });
});
