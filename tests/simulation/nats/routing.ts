/** How messages find those who want them, inside a server. */
import type { Process, World } from "../world/world.ts";
import type { Interest } from "./interest.ts";
import type { Message } from "./wire.ts";

/** Where messages go that somebody subscribed to. */
export interface Subscriber {
  take(message: Message): void;
}

/** A link to another server. */
export interface Link {
  /** Whether the other side wants it, and may have it. */
  wants(subject: string): boolean;
  send(message: Message): void;
}

/** The part of a server that others of its parts stand on. */
export interface Router {
  readonly world: World;
  readonly process: Process;
  readonly interest: Interest<Subscriber>;
  /** Hears of new interest. */
  readonly onInterest: ((subject: string) => void)[];
  hasInterest(subject: string): boolean;
  /** Routes a message. False where nobody wants it. */
  publish(message: Message): boolean;
  /** Hands a message to those who listen on `to`, whatever its own subject is. */
  deliver(to: string, message: Message): void;
}
