/** A consumer of a stream: what it delivers next, to whoever pulls or to where it pushes. */
import { matches } from "./interest.ts";
import type { Router } from "./routing.ts";
import type { Stored, Stream } from "./stream.ts";
import { EMPTY, headOf } from "./wire.ts";

/** How a consumer is to be. Times are in nanoseconds. */
export interface ConsumerConfig {
  readonly name?: string;
  readonly deliver_policy: "all" | "last_per_subject" | "new" | "by_start_sequence" | "by_start_time" | "last";
  readonly opt_start_seq?: number;
  readonly opt_start_time?: string;
  readonly filter_subject?: string;
  readonly filter_subjects?: readonly string[];
  readonly deliver_subject?: string;
}

interface Pull {
  readonly reply: string;
  left: number;
  readonly expiresAt: number;
  readonly beatMs: number;
  beatAt: number;
}

/** A consumer; it is gone with the server. */
export class Consumer {
  readonly name: string;
  readonly config: ConsumerConfig;
  readonly #server: Router;
  readonly #stream: Stream;
  readonly #filters: readonly string[];
  /** Chosen at the start: the newest of each subject. */
  #chosen: Stored[] = [];
  #next: number;
  #delivered = 0;
  #pulls: Pull[] = [];
  #ticking = false;

  constructor(server: Router, stream: Stream, name: string, config: ConsumerConfig) {
    [this.#server, this.#stream, this.name, this.config] = [server, stream, name, config];
    const { filter_subject, filter_subjects, deliver_policy, opt_start_seq = 1, opt_start_time = "" } = config;
    this.#filters = filter_subjects ?? (filter_subject === undefined ? [">"] : [filter_subject]);
    this.#next = stream.last + 1;
    if (deliver_policy === "all") this.#next = 1;
    else if (deliver_policy === "by_start_sequence") this.#next = opt_start_seq;
    else if (deliver_policy === "by_start_time") {
      const time = Date.parse(opt_start_time);
      this.#next = [...stream.from(1)].find((stored) => stored.time >= time)?.sequence ?? stream.last + 1;
    } else if (deliver_policy === "last_per_subject") this.#chosen = stream.lastOfEach(this.#filters);
    else if (deliver_policy === "last") this.#next = Math.max(1, stream.last);
  }

  /** The last message that it does not deliver any more. */
  get passed(): number {
    return this.#next - 1;
  }

  /** How many more there are. */
  get pending(): number {
    let count = this.#chosen.length;
    for (const stored of this.#stream.from(this.#next)) if (this.#wants(stored)) count++;
    return count;
  }

  /** @param options As the client sends them */
  pull(reply: string, { batch = 1, expires = 0, idle_heartbeat = 0 }: Record<string, number>): void {
    const { now } = this.#server.world;
    const beatMs = idle_heartbeat / 1e6;
    this.#pulls.push({ reply, left: batch, expiresAt: now + expires / 1e6, beatMs, beatAt: now + beatMs });
    this.deliver();
    this.#tick();
  }

  /** Delivers what there is to whoever wants it. */
  deliver(): void {
    const { deliver_subject: push } = this.config;
    for (;;) {
      const pull = this.#pulls[0];
      const to = push ?? pull?.reply;
      if (to === undefined || push !== undefined && !this.#server.hasInterest(push)) return;
      const stored = this.#take();
      if (stored === undefined) return;
      const { sequence, subject, headers, data, time } = stored;
      const place = `1.${sequence}.${++this.#delivered}.${Math.floor(time) * 1e6}.${this.pending}`;
      const reply = `$JS.ACK.${this.#stream.config.name}.${this.name}.${place}`;
      const head = Object.keys(headers).length === 0 ? undefined : headOf(headers);
      this.#server.deliver(to, { subject, reply, head, data });
      if (pull === undefined) continue;
      pull.beatAt = this.#server.world.now + pull.beatMs;
      if (--pull.left === 0) this.#pulls.shift();
    }
  }

  #wants({ subject }: Stored): boolean {
    return this.#filters.some((filter) => matches(filter, subject));
  }

  #take(): Stored | undefined {
    const chosen = this.#chosen.shift();
    if (chosen !== undefined) return chosen;
    for (const stored of this.#stream.from(this.#next)) {
      this.#next = stored.sequence + 1;
      if (this.#wants(stored)) return stored;
    }
    return undefined;
  }

  /** Ends what has expired, and says to whoever waits that the consumer is there. */
  #tick(): void {
    if (this.#ticking || this.#pulls.length === 0) return;
    const { world, process } = this.#server;
    this.#ticking = true;
    const next = Math.min(
      ...this.#pulls.flatMap(({ expiresAt, beatMs, beatAt }) => beatMs > 0 ? [expiresAt, beatAt] : [expiresAt]),
    );
    world.after(next - world.now, process, () => {
      this.#ticking = false;
      for (const pull of [...this.#pulls]) {
        if (pull.expiresAt <= world.now) {
          this.#pulls = this.#pulls.filter((other) => other !== pull);
          const left = { "Nats-Pending-Messages": String(pull.left), "Nats-Pending-Bytes": "0" };
          this.#say(pull.reply, "408 Request Timeout", left);
        } else if (pull.beatMs > 0 && pull.beatAt <= world.now) {
          pull.beatAt = world.now + pull.beatMs;
          this.#say(pull.reply, "100 Idle Heartbeat", {
            "Nats-Last-Consumer": String(this.#delivered),
            "Nats-Last-Stream": String(this.#next - 1),
          });
        }
      }
      // Nobody listens any more: then it need not be kept.
      this.#pulls = this.#pulls.filter(({ reply }) => this.#server.hasInterest(reply));
      this.#tick();
    });
  }

  #say(to: string, status: string, headers: Readonly<Record<string, string>>): void {
    this.#server.deliver(to, { subject: to, head: headOf(headers, status), data: EMPTY });
  }
}
