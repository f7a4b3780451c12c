/** A nats-server, as far as xtask uses one: clients, subjects, JetStream, links to other servers. */
import type { End, Network } from "../world/network.ts";
import type { Process, World } from "../world/world.ts";
import { Interest } from "./interest.ts";
import { JetStream, type Store } from "./jetstream.ts";
import type { Link, Router, Subscriber } from "./routing.ts";
import { type Command, CommandReader, delivery, EMPTY, encode, headOf, type Message } from "./wire.ts";

/** Options of {@linkcode NatsServer}. */
export interface NatsServerOptions {
  readonly world: World;
  readonly network: Network;
  readonly process: Process;
  readonly name: string;
  readonly port: number;
  /** Its disk. */
  readonly store: Store;
}

/** A server. It is gone when its process is killed; its store stays. */
export class NatsServer implements Router {
  readonly world: World;
  readonly network: Network;
  readonly process: Process;
  readonly name: string;
  readonly interest = new Interest<Subscriber>();
  readonly links = new Set<Link>();
  readonly jetStream: JetStream;
  /** Hears of new interest. */
  readonly onInterest: ((subject: string) => void)[] = [];
  #clients = 0;

  constructor({ world, network, process, name, port, store }: NatsServerOptions) {
    [this.world, this.network, this.process, this.name] = [world, network, process, name];
    this.jetStream = new JetStream(this, store);
    network.listen(process.host, port, process, (end: End<Uint8Array>) => this.#serve(end));
  }

  hasInterest(subject: string, except?: Link): boolean {
    if (this.interest.wants(subject)) return true;
    for (const link of this.links) if (link !== except && link.wants(subject)) return true;
    return false;
  }

  /** Routes a message. False where nobody wants it. */
  publish(message: Message, from?: Link): boolean {
    if (message.subject.startsWith("$JS.API.")) {
      this.jetStream.api(message);
      return true;
    }
    const subscribers = this.interest.match(message.subject);
    for (const subscriber of subscribers) subscriber.take(message);
    let taken = subscribers.length > 0;
    for (const link of this.links) {
      if (link === from || !link.wants(message.subject)) continue;
      link.send(message);
      taken = true;
    }
    return taken;
  }

  /** Hands a message to those who listen on `to`, whatever its own subject is. */
  deliver(to: string, message: Message): void {
    for (const subscriber of this.interest.match(to)) subscriber.take(message);
    if (message.subject !== to) return;
    for (const link of this.links) if (link.wants(to)) link.send(message);
  }

  #serve(end: End<Uint8Array>): void {
    const id = ++this.#clients;
    const reader = new CommandReader();
    const subscriptions = new Map<string, { readonly subject: string; readonly subscriber: Subscriber }>();
    const remove = (sid: string) => {
      const known = subscriptions.get(sid);
      if (known === undefined) return;
      this.interest.remove(known.subject, known.subscriber);
      subscriptions.delete(sid);
    };
    const subscribe = (subject: string, sid: string) => {
      const subscriber = { take: (message: Message) => end.send(delivery(sid, message)) };
      subscriptions.set(sid, { subject, subscriber });
      this.interest.add(subject, subscriber);
      for (const hear of this.onInterest) hear(subject);
    };
    const obey = (command: Command) => {
      switch (command.type) {
        case "connect":
        case "pong":
          return;
        case "ping":
          return end.send(encode("PONG\r\n"));
        case "subscribe":
          return subscribe(command.subject, command.sid);
        case "unsubscribe":
          if (command.max === undefined) remove(command.sid);
          return;
        case "publish": {
          const { message } = command;
          if (this.publish(message) || message.reply === undefined) return;
          this.deliver(message.reply, { subject: message.reply, head: headOf({}, "503"), data: EMPTY });
          return;
        }
        default:
          command satisfies never;
      }
    };
    end.onReceive = (bytes) => {
      for (const command of reader.read(bytes)) obey(command);
    };
    end.onClosed = () => {
      for (const sid of [...subscriptions.keys()]) remove(sid);
    };
    const info = {
      server_id: this.name,
      server_name: this.name,
      version: "2.15.0",
      proto: 1,
      headers: true,
      max_payload: 1024 * 1024,
      jetstream: true,
      client_id: id,
    };
    end.send(encode(`INFO ${JSON.stringify(info)}\r\n`));
  }
}
