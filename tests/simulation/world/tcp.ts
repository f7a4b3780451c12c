/** A connection of the network as Deno gives one, for production code. */
import type { Connect } from "./globals.ts";
import type { End, Network } from "./network.ts";
import type { World } from "./world.ts";

/** Opens connections in the name of whoever asks. */
export function tcpOf(world: World, network: Network): Connect {
  return async ({ hostname, port }) => {
    const process = world.current;
    return connOf(await network.connect<Uint8Array>(process, hostname, port));
  };
}

function connOf(end: End<Uint8Array>): Deno.TcpConn {
  const arrived: Uint8Array[] = [];
  let over = false;
  let wake = () => {};
  end.onReceive = (bytes) => {
    arrived.push(bytes);
    wake();
  };
  end.onClosed = () => {
    over = true;
    wake();
  };
  const conn: Pick<Deno.TcpConn, "read" | "write" | "close" | "setNoDelay"> = {
    async read(into) {
      while (arrived.length === 0 && !over) await new Promise<void>((resolve) => wake = resolve);
      const next = arrived[0];
      if (next === undefined) return null;
      const length = Math.min(into.length, next.length);
      into.set(next.subarray(0, length));
      if (length === next.length) arrived.shift();
      else arrived[0] = next.subarray(length);
      return length;
    },
    write(bytes) {
      if (end.closed) return Promise.reject(new Deno.errors.BrokenPipe("Broken pipe"));
      end.send(bytes.slice());
      return Promise.resolve(bytes.length);
    },
    close() {
      if (over) return;
      over = true;
      end.close();
      wake();
    },
    setNoDelay() {},
  };
  return conn as Deno.TcpConn;
}
