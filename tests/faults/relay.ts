/** A link that a test can cut: a relay of TCP connections between a leaf node and its hub. */

/** How a relay treats what it is given. */
type State = "open" | "cut" | "stalled";

/** The relay. Disposing it ends it. */
export interface Link extends AsyncDisposable {
  readonly port: number;
  /** Ends all connections and takes no more. */
  cut(): void;
  /** Takes what is sent and passes on nothing: nobody's TCP notices. */
  stall(): void;
  /** Passes on again; connections that were stalled stay so, as those of a lost way do. */
  restore(): void;
}

/** Starts a relay to a port of this machine. */
export function relayTo(target: number): Link {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const connections = new Set<Deno.Conn>();
  let state: State = "open";
  const close = (conn: Deno.Conn) => {
    connections.delete(conn);
    try {
      conn.close();
    } catch (error) {
      if (!(error instanceof Deno.errors.BadResource)) throw error;
    }
  };
  const pump = async (from: Deno.Conn, to: Deno.Conn, lost: { all: boolean }) => {
    const buffer = new Uint8Array(64 * 1024);
    try {
      for (let size = await from.read(buffer); size !== null; size = await from.read(buffer)) {
        if (state === "stalled") lost.all = true;
        for (let at = 0; at < size && !lost.all;) at += await to.write(buffer.subarray(at, size));
      }
    } catch {
      // Either end went away, or the test cut it.
    }
    close(from);
    close(to);
  };
  const accepting = (async () => {
    for await (const conn of listener) {
      if (state !== "open") {
        conn.close();
        continue;
      }
      const there = await Deno.connect({ hostname: "127.0.0.1", port: target }).catch(() => undefined);
      // It may have been cut or stalled meanwhile.
      if (there === undefined || state !== "open") {
        conn.close();
        there?.close();
        continue;
      }
      connections.add(conn).add(there);
      const lost = { all: false };
      void pump(conn, there, lost);
      void pump(there, conn, lost);
    }
  })();
  return {
    port: listener.addr.port,
    cut() {
      state = "cut";
      for (const conn of [...connections]) close(conn);
    },
    stall: () => void (state = "stalled"),
    restore: () => void (state = "open"),
    async [Symbol.asyncDispose]() {
      listener.close();
      for (const conn of [...connections]) close(conn);
      await accepting.catch(() => {});
    },
  };
}
