/**
 * The network between machines. A connection keeps order, as TCP does: what is cut off waits and is sent again later, what a
 * connection has lost is lost with it. So repeats and reordering come as in a real network: what went out on an old connection
 * may arrive after what was sent again on a new one.
 */
import type { Process, World } from "./world.ts";

/** How the way from one machine to another is. */
interface Path {
  /** Nothing gets through. */
  cut: boolean;
  /** Least and most delay. */
  readonly delayMs: readonly [number, number];
  readonly waiting: (() => void)[];
}

/** One end of a connection on which values travel. */
export interface End<T> {
  /** Called with what has arrived, in order. */
  set onReceive(receive: (value: T) => void);
  /** Called when the other end has closed, or is gone. */
  onClosed: () => void;
  readonly closed: boolean;
  send(value: T): void;
  close(): void;
}

/** Accepts connections at an address. */
type Accept = (end: End<unknown>) => void;

const LOOPBACK_MS = [0.02, 0.2] as const;
/** When a cut is over, the systems try again after pauses that have grown. */
const RETRY_MS = 1_500;

/** A network. */
export class Network {
  readonly #world: World;
  readonly #paths = new Map<string, Path>();
  readonly #listeners = new Map<string, { readonly process: Process; readonly accept: Accept }>();
  /** Machines that are without power. */
  readonly #dark = new Set<string>();
  readonly #connections = new Set<Connection>();

  constructor(world: World) {
    this.#world = world;
  }

  path(from: string, to: string): Path {
    const key = `${from}>${to}`;
    let path = this.#paths.get(key);
    if (path === undefined) {
      const least = this.#world.random.between(0.2, 20);
      path = { cut: false, delayMs: from === to ? LOOPBACK_MS : [least, 3 * least], waiting: [] };
      this.#paths.set(key, path);
    }
    return path;
  }

  /** Cuts one way of a link, or lets through what waited for it. */
  setCut(from: string, to: string, cut: boolean): void {
    const path = this.path(from, to);
    path.cut = cut;
    if (!cut) { for (const arrive of path.waiting.splice(0)) arrive(); }
  }

  /** A machine loses its power: its connections are gone, and nobody is told. */
  darken(host: string): void {
    this.#dark.add(host);
    for (const connection of this.#connections) connection.lose(host);
  }

  /** It is there again. Those who still talk to what it was are told that it is gone. */
  lighten(host: string): void {
    this.#dark.delete(host);
  }

  isDark(host: string): boolean {
    return this.#dark.has(host);
  }

  /** All connections between two machines break, as when something in between forgets them. */
  reset(a: string, b: string): void {
    for (const connection of [...this.#connections]) if (connection.joins(a, b)) connection.break();
  }

  /** Accepts connections, on which both sides say values of one type. */
  listen<T>(host: string, port: number, process: Process, accept: (end: End<T>) => void): void {
    const address = `${host}:${port}`;
    const listener = { process, accept: accept as Accept };
    this.#listeners.set(address, listener);
    process.onKilled.push(() => {
      if (this.#listeners.get(address) === listener) this.#listeners.delete(address);
    });
  }

  /** Opens a connection. Rejects where nobody listens; waits for as long as the way is cut. */
  connect<T>(process: Process, host: string, port: number): Promise<End<T>> {
    const { promise, resolve, reject } = Promise.withResolvers<End<T>>();
    const there = this.path(process.host, host);
    const back = this.path(host, process.host);
    const knock = () => {
      // Nobody answers, and the system knocks again.
      if (this.#dark.has(host)) return void this.#world.after(this.#world.random.around(RETRY_MS), process, knock);
      const listener = this.#listeners.get(`${host}:${port}`);
      if (listener === undefined || !listener.process.alive) {
        this.#through(back, process, () => reject(new Deno.errors.ConnectionRefused("Connection refused")));
        return;
      }
      const connection = new Connection(this, this.#world, process, listener.process, () => {
        this.#connections.delete(connection);
      });
      this.#connections.add(connection);
      this.#world.after(0, listener.process, () => listener.accept(connection.far));
      this.#through(back, process, () => {
        if (connection.near.closed) reject(new Deno.errors.ConnectionReset("Connection reset"));
        else resolve(connection.near as End<T>);
      });
    };
    this.#through(there, this.#world.outside, knock);
    return promise;
  }

  /** Has something arrive at a process by a path, now or when it is whole again. */
  #through(path: Path, process: Process, act: () => void): void {
    const arrive = () => {
      if (!path.cut) return act();
      path.waiting.push(() => this.#world.after(this.#world.random.around(RETRY_MS), process, arrive));
    };
    this.#world.after(this.#world.random.between(...path.delayMs), process, arrive);
  }
}

/** A connection between two processes. */
class Connection {
  readonly near: Side;
  readonly far: Side;

  constructor(net: Network, world: World, near: Process, far: Process, over: () => void) {
    const done = () => {
      if (this.near.over && this.far.over) over();
    };
    this.near = new Side(net, world, near, done);
    this.far = new Side(net, world, far, done);
    this.near.peer = this.far;
    this.far.peer = this.near;
  }

  joins(a: string, b: string): boolean {
    const hosts = [this.near.process.host, this.far.process.host];
    return hosts.includes(a) && hosts.includes(b);
  }

  lose(host: string): void {
    for (const side of [this.near, this.far]) if (side.process.host === host) side.lose();
  }

  break(): void {
    this.near.break();
    this.far.break();
  }
}

const CLOSED = Symbol("closed");

/** One end of a connection. */
class Side implements End<unknown> {
  readonly process: Process;
  readonly #net: Network;
  readonly #world: World;
  readonly #done: () => void;
  peer!: Side;
  closed = false;
  /** Its machine lost its power: it knows nothing of the connection any more. */
  #lost = false;
  #ended = false;
  onClosed: () => void = () => {};
  #onReceive: ((value: unknown) => void) | undefined;
  /** On its way to this end, or here before anybody asked for it. */
  #queue: unknown[] = [];
  #arrivesAt = 0;
  #underway = false;

  constructor(net: Network, world: World, process: Process, done: () => void) {
    [this.#net, this.#world, this.process, this.#done] = [net, world, process, done];
    // The system closes what a process leaves behind.
    process.onKilled.push(() => this.close());
  }

  set onReceive(receive: (value: unknown) => void) {
    this.#onReceive = receive;
    if (this.#queue.length > 0 && !this.#underway) this.#schedule(0);
  }

  get over(): boolean {
    return this.closed && this.#queue.length === 0 || this.#lost;
  }

  send(value: unknown): void {
    if (!this.closed && !this.#lost) this.peer.#arrive(value);
  }

  close(): void {
    if (this.closed || this.#lost) return;
    this.closed = true;
    this.peer.#arrive(CLOSED);
    this.#done();
  }

  /** Both ends learn of it at once; what was on its way is lost. */
  break(): void {
    this.#queue = [];
    this.#world.after(0, this.process, () => this.#end());
  }

  lose(): void {
    this.#lost = true;
    this.#underway = false;
    this.#queue = [];
    this.#done();
  }

  #arrive(value: unknown): void {
    this.#queue.push(value);
    if (!this.#underway) this.#schedule(this.#world.random.between(...this.#path.delayMs));
  }

  get #path() {
    return this.#net.path(this.peer.process.host, this.process.host);
  }

  #schedule(delayMs: number): void {
    this.#underway = true;
    this.#arrivesAt = Math.max(this.#arrivesAt, this.#world.now + delayMs);
    const process = this.#lost ? this.#world.outside : this.process;
    this.#world.after(this.#arrivesAt - this.#world.now, process, () => this.#deliver());
  }

  #deliver(): void {
    const path = this.#path;
    if (path.cut) {
      path.waiting.push(() => this.#schedule(this.#world.random.around(RETRY_MS)));
      return;
    }
    this.#underway = false;
    const receive = this.#onReceive;
    if (receive === undefined && !this.#lost) return;
    const values = this.#queue;
    this.#queue = [];
    // The machine may be there again and know no such connection: whoever speaks on it is told so.
    if (this.#lost) return this.#net.isDark(this.process.host) ? undefined : this.peer.break();
    for (const value of values) {
      if (this.closed || this.#ended) break;
      if (value === CLOSED) this.#end();
      else receive?.(value);
    }
    this.#done();
  }

  #end(): void {
    if (this.#ended || this.closed) return;
    this.#ended = true;
    this.closed = true;
    this.onClosed();
    if (this.peer.closed) this.#done();
    else this.peer.#arrive(CLOSED);
  }
}
