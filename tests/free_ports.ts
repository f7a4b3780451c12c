/** Ports for what a test starts again on the same ones. */

const COUNT = 10_000;

/**
 * Ports that are free on every address, below those that the system hands out: while nobody listens on them for a moment they
 * are given to nobody else.
 */
export function freePorts(count: number): number[] {
  const end = firstOfSystem();
  const taken: Deno.Listener[] = [];
  const ports: number[] = [];
  while (ports.length < count) {
    const port = end - 1 - Math.floor(Math.random() * COUNT);
    try {
      taken.push(Deno.listen({ hostname: "0.0.0.0", port }));
      ports.push(port);
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
  for (const listener of taken) listener.close();
  return ports;
}

/** Flags that have a hub take the same ports each time that it is started. */
export function portFlags(): string[] {
  const [nats, leaf, http] = freePorts(3);
  return ["--nats-port", `${nats}`, "--leaf-port", `${leaf}`, "--http-port", `${http}`];
}

/** The first port that the system hands out. Linux says it; elsewhere it is higher. */
function firstOfSystem(): number {
  try {
    return Number(Deno.readTextFileSync("/proc/sys/net/ipv4/ip_local_port_range").trim().split(/\s+/)[0]);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return 30_000;
  }
}
