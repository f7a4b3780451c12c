/**
 * Preloaded by `deno task test:delays`: what a connection reads and writes is held up at random, in order, and each on its own.
 * So what travels by different connections comes in any order, as it may on a busy machine, only far more often.
 */
import { pause } from "../lib/os/pause.ts";

/** Of all reads and writes so many are held up, for up to so long. */
const SHARE = 0.2;
const MOST_MS = 80;

const { connect } = Deno;
const delaying = async (options: Deno.ConnectOptions) => delayed(await connect(options));
Object.assign(Deno, { connect: delaying });

function delayed(conn: Deno.TcpConn): Deno.TcpConn {
  const closed = new AbortController();
  const { read, write, close } = conn;
  const holdUp = () => Math.random() < SHARE ? pause(Math.random() * MOST_MS, closed.signal) : undefined;
  return Object.assign(conn, {
    async read(bytes: Uint8Array<ArrayBuffer>) {
      const length = await read.call(conn, bytes);
      await holdUp();
      return length;
    },
    async write(bytes: Uint8Array<ArrayBuffer>) {
      await holdUp();
      return await write.call(conn, bytes);
    },
    close() {
      closed.abort();
      close.call(conn);
    },
  });
}
