/** What a node says of itself: its record, and what of it can be changed while it runs. */
import * as v from "valibot";
import type { Capability } from "../capability/define.ts";
import type { Labels, NodeRecord } from "../protocol/node.ts";
import { parseJson } from "../protocol/parse.ts";
import { platformHere } from "../protocol/platform.ts";
import { VERSION } from "../protocol/version.ts";
import type { JournalPort } from "./journal.ts";
import { loadHere } from "./presence.ts";
import type { Slots } from "./slots.ts";

/** What {@linkcode Self} needs. */
export interface SelfOptions {
  readonly node: string;
  readonly hostname: string;
  /** Those it was started with; those set later count more, and outlive the agent. */
  readonly labels: Labels;
  readonly capabilities: ReadonlyMap<string, Capability>;
  readonly journal: JournalPort;
  readonly slots: Slots;
  /** Whether what runs have started ends with the agent, however that ends. */
  readonly guarded: boolean;
  /** Ids of the runs that have not ended. */
  readonly running: () => readonly string[];
  readonly link: () => NodeRecord["link"];
  readonly schedules: () => NonNullable<NodeRecord["schedules"]>;
  readonly now: () => number;
}

const SavedLabels = v.record(v.string(), v.nullable(v.string()));

/** A node's own account of itself. */
export class Self {
  readonly #options: SelfOptions;
  /** Tells this process from any other that claims the same id. */
  readonly #instance = crypto.randomUUID();
  readonly #bootedAt: string;
  readonly #labels: Map<string, string>;
  #draining: boolean;
  #state: NodeRecord["state"] = "online";
  #since: string;
  /** The tasks of its Taskfile. */
  tasks: NodeRecord["tasks"] = [];

  constructor(options: SelfOptions) {
    const { labels, journal, now } = options;
    this.#options = options;
    this.#labels = new Map(Object.entries(labels));
    this.#apply(savedLabels(journal));
    this.#draining = journal.setting("draining") === "true";
    this.#since = new Date(now()).toISOString();
    this.#bootedAt = new Date(now() - Deno.osUptime() * 1_000).toISOString();
  }

  get draining(): boolean {
    return this.#draining;
  }

  /** Changes labels; null takes one away. */
  async label(changes: Readonly<Record<string, string | null>>): Promise<void> {
    const { journal } = this.#options;
    await journal.setSetting("labels", JSON.stringify({ ...savedLabels(journal), ...changes }));
    this.#apply(changes);
  }

  /** Takes new commands or not. A person's wish is kept; that of an agent which is being stopped is not. */
  async drain(draining: boolean, { keep }: { keep: boolean }): Promise<void> {
    if (keep) await this.#options.journal.setSetting("draining", String(draining));
    this.#draining = draining;
  }

  /** The record as it is now. */
  record(): NodeRecord {
    const { node, hostname, capabilities, slots, guarded, running, link, schedules, now } = this.#options;
    const state = this.#draining ? "draining" : slots.free === 0 ? "busy" : "online";
    if (state !== this.#state) this.#since = new Date(now()).toISOString();
    this.#state = state;
    return {
      id: node,
      instance: this.#instance,
      hostname,
      bootedAt: this.#bootedAt,
      platform: platformHere(),
      labels: Object.fromEntries(this.#labels),
      version: VERSION,
      capabilities: [...capabilities.values()].map(({ name, verbs }) => ({ name, verbs: Object.keys(verbs) })),
      tasks: this.tasks,
      slots: { total: slots.total, free: slots.free },
      queued: slots.queued,
      load: loadHere(),
      state,
      since: this.#since,
      link: link(),
      guarded,
      leases: true,
      running: [...running()],
      schedules: schedules(),
    };
  }

  #apply(changes: Readonly<Record<string, string | null>>): void {
    for (const [name, value] of Object.entries(changes)) {
      if (value === null) this.#labels.delete(name);
      else this.#labels.set(name, value);
    }
  }
}

function savedLabels(journal: JournalPort): Record<string, string | null> {
  const saved = journal.setting("labels");
  return saved === undefined ? {} : parseJson(SavedLabels, saved, "saved labels");
}
