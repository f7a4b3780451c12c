/** The link of a leaf node's server with its hub's, dialled by the leaf, which may do what a credential lets it. */
import { ROLE_SUBJECTS } from "../../../lib/protocol/subjects.ts";
import type { End } from "../world/network.ts";
import { Interest } from "./interest.ts";
import type { Link } from "./routing.ts";
import type { NatsServer } from "./server.ts";
import type { Message } from "./wire.ts";

type Said =
  | { readonly type: "hello"; readonly node: string; readonly server: NatsServer }
  | { readonly type: "ping" | "pong" }
  | { readonly type: "message"; readonly message: Message };

/** Where servers accept leaf nodes. */
export const LEAF_PORT = 7422;

const DIAL_AGAIN_MS = 1_000;
/** Between pings; two unanswered ones and the link is given up. See lib/nats/server_config.ts. */
const PING_MS = { leaf: 5_000, hub: 20_000 };
const PINGS_MAX = 2;

/** Lets leaf nodes link with a server. */
export function acceptLeaves(server: NatsServer): void {
  server.network.listen(server.process.host, LEAF_PORT, server.process, (end: End<Said>) => {
    speak(server, end, PING_MS.hub, ({ node, server: leaf }) => {
      end.send({ type: "hello", node, server });
      const may = rights(ROLE_SUBJECTS.leaf.subscribe.allow, node);
      return (subject) => may.wants(subject) && wanted(leaf, subject);
    });
  });
}

/** Links a leaf node's server with its hub, again and again. */
export function linkWith(hub: string, server: NatsServer, node: string): void {
  const { world, network, process } = server;
  const may = rights(ROLE_SUBJECTS.leaf.publish.allow, node);
  const dial = async () => {
    let end: End<Said>;
    try {
      end = await network.connect<Said>(process, hub, LEAF_PORT);
    } catch {
      return void world.after(DIAL_AGAIN_MS, process, dial);
    }
    end.send({ type: "hello", node, server });
    const closed = speak(
      server,
      end,
      PING_MS.leaf,
      ({ server: above }) => (subject) => may.wants(subject) && wanted(above, subject),
    );
    closed.then(() => world.after(DIAL_AGAIN_MS, process, dial));
  };
  world.after(0, process, dial);
}

/** One side of a link, from when the other has said who it is. Resolves when it is over. */
function speak(
  server: NatsServer,
  end: End<Said>,
  pingMs: number,
  begin: (hello: Said & { readonly type: "hello" }) => (subject: string) => boolean,
): Promise<void> {
  const { world, process } = server;
  const { promise, resolve } = Promise.withResolvers<void>();
  let link: Link | undefined;
  let unanswered = 0;
  const over = () => {
    if (link !== undefined) server.links.delete(link);
    resolve();
  };
  const ping = () => {
    if (end.closed) return;
    if (unanswered >= PINGS_MAX) {
      end.close();
      return over();
    }
    unanswered++;
    end.send({ type: "ping" });
    world.after(pingMs, process, ping);
  };
  world.after(pingMs, process, ping);
  end.onClosed = over;
  end.onReceive = (said) => {
    switch (said.type) {
      case "hello": {
        const wants = begin(said);
        link = { wants, send: (message) => end.send({ type: "message", message }) };
        server.links.add(link);
        return;
      }
      case "ping":
        return end.send({ type: "pong" });
      case "pong":
        unanswered = 0;
        return;
      case "message":
        return void server.publish(said.message, link);
      default:
        said satisfies never;
    }
  };
  return promise;
}

function rights(allowed: readonly string[], node: string): Interest<true> {
  const may = new Interest<true>();
  for (const pattern of allowed) may.add(pattern.replace("{{name()}}", node), true);
  return may;
}

/** What those who are connected to a server want; of one that has died without a word, all that they may have wanted. */
function wanted(other: NatsServer, subject: string): boolean {
  return !other.process.alive || other.interest.wants(subject);
}
