/** Running something without knowing its words: all that nodes can do, and a form for each verb, made of its definition. */
import type { Frame } from "./frame.ts";
import { elementId, Empty } from "./parts.tsx";

/** A field of a form: a `Field` of the definition, as far as a form shows it. */
export interface FormField {
  readonly name: string;
  readonly kind: "text" | "number" | "boolean" | "list" | "map";
  readonly required: boolean;
  readonly description: string;
  readonly choices?: readonly string[];
  readonly default?: unknown;
}

/** A verb, and how many nodes have it. */
export interface Offered {
  readonly capability: string;
  readonly verb: string;
  readonly summary: string;
  readonly effect: "read" | "change";
  readonly nodes: number;
}

/** A task that nodes advertise. */
export interface OfferedTask {
  readonly name: string;
  readonly desc: string;
  readonly nodes: readonly string[];
}

/** All that can be run. */
export function offeredFrame(tasks: readonly OfferedTask[], verbs: readonly Offered[], online: number): Frame {
  const html = String(
    <section id="offered" aria-label="What can be run">
      <h2>Tasks</h2>
      {tasks.length === 0
        ? (
          <Empty title="No node that is there has a task">
            <p>Start an agent in a folder with a Taskfile, and its tasks are listed here.</p>
          </Empty>
        )
        : (
          <ul class="tasks">
            {tasks.map(({ name, desc, nodes }) => (
              <li key={name}>
                <button type="button" class="task" data-console={`task run ${name} --on ${nodesText(nodes, online)}`}>
                  <code>{name}</code>
                  <span>{desc}</span>
                  <span class="task-nodes">{nodes.length === 1 ? nodes[0] : `${nodes.length} nodes`}</span>
                </button>
              </li>
            ))}
          </ul>
        )}
      <h2>Everything else</h2>
      <ul class="tasks">
        {verbs.map(({ capability, verb, summary, nodes }) => (
          <li key={`${capability}.${verb}`}>
            <a class="task" href={`/run/${capability}/${verb}`} data-key-item>
              <code>{capability} {verb}</code>
              <span>{summary}</span>
              <span class="task-nodes">{nodes === 1 ? "1 node" : `${nodes} nodes`}</span>
            </a>
          </li>
        ))}
      </ul>
    </section>,
  );
  return { id: "offered", parts: [], html };
}

function nodesText(nodes: readonly string[], online: number): string {
  if (nodes.length === online) return "all";
  return nodes.length === 1 ? String(nodes[0]) : `'id=${nodes.join("|")}'`;
}

/** Options of {@linkcode VerbForm}. */
export interface VerbFormOptions {
  readonly capability: string;
  readonly verb: string;
  readonly summary: string;
  readonly effect: "read" | "change";
  readonly fields: readonly FormField[];
  /** Where it is to run, as a selector. */
  readonly on: string;
  /** Whether it is to be left for nodes that are away. */
  readonly queue: boolean;
  /** Nodes that can be named. */
  readonly nodes: readonly string[];
}

/** A form for one verb. */
export function VerbForm({ capability, verb, summary, effect, fields, on, queue, nodes }: VerbFormOptions) {
  return (
    <form class="verb-form" data-ask data-capability={capability} data-verb={verb}>
      <p class="count">{summary}. {effect === "read" ? "It changes nothing." : "It changes something on the node."}</p>
      {fields.map((field) => <FieldOf key={field.name} field={field} />)}
      <label>
        <span>Where</span>
        <input
          name="target"
          type="text"
          required
          value={on}
          list="nodes-known"
          spellcheck={false}
          autocapitalize="off"
          placeholder="all, a node, or os=linux,has=docker"
          data-target
        />
      </label>
      <datalist id="nodes-known">
        <option value="all" />
        {nodes.map((node) => <option key={node} value={node} />)}
      </datalist>
      <label>
        <span>How many of them</span>
        <select name="any" data-target-any>
          <option value="">every node that matches</option>
          <option value="1">the best one: free slots, then load</option>
        </select>
      </label>
      <label class="verb-check">
        <input type="checkbox" name="queue" data-target-queue checked={queue} />
        <span>
          Leave it for nodes that are away <small>The hub gives it to them when they are back.</small>
        </span>
      </label>
      <div class="reach" role="status" data-target-meant></div>
      <p class="problem" role="alert" hidden></p>
      <p>
        <button type="submit" class="run">Run</button>
      </p>
    </form>
  );
}

function FieldOf({ field }: { readonly field: FormField }) {
  const { name, kind, required, description, choices } = field;
  const id = elementId("field", name);
  const about = elementId("about", name);
  const common = { id, name, required, "aria-describedby": about, "data-kind": kind };
  const usual = field.default === undefined || kind === "boolean" ? "" : String(field.default);
  if (kind === "boolean") {
    return (
      <label class="verb-check">
        <input type="checkbox" {...common} required={false} checked={field.default === true} />
        <span>
          {name} <small id={about}>{description}</small>
        </span>
      </label>
    );
  }
  return (
    <label>
      <span>
        {name}
        {required ? "" : " (optional)"} <small id={about}>{description}{hint(kind)}</small>
      </span>
      {choices !== undefined
        ? (
          <select {...common}>
            {!required && <option value="">{usual === "" ? "–" : `${usual}, as usual`}</option>}
            {choices.map((choice) => <option key={choice} value={choice}>{choice}</option>)}
          </select>
        )
        : kind === "list" || kind === "map"
        ? <textarea {...common} rows={2} spellcheck={false} placeholder={usual}></textarea>
        : (
          <input
            {...common}
            type={kind === "number" ? "number" : "text"}
            placeholder={usual}
            spellcheck={false}
            autocapitalize="off"
          />
        )}
    </label>
  );
}

function hint(kind: FormField["kind"]): string {
  return kind === "list" ? " (one a line)" : kind === "map" ? " (NAME=VALUE, one a line)" : "";
}
