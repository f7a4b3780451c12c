/** Commands: the list of them, newest first. */
import { stateOf } from "../lib/protocol/move.ts";
import type { CommandRecord } from "../lib/protocol/run.ts";
import type { Frame } from "./frame.ts";
import { commandWords, elementId, Empty, State } from "./parts.tsx";
import { Ago, duration } from "./time.tsx";

/** A list of commands. `id` is that of its element. */
export function commandsFrame(
  id: string,
  commands: readonly CommandRecord[],
  filtered: boolean,
  title?: string,
): Frame {
  const parts = commands.map((command) => ({
    id: elementId(`${id}-row`, command.id),
    html: String(<CommandRow list={id} command={command} />),
  }));
  const html = String(
    <section id={id} aria-label={title ?? "Commands"}>
      {title !== undefined && <h2>{title}</h2>}
      {commands.length === 0
        ? (
          <Empty title={filtered ? "No command matches" : "Nothing has been asked yet"}>
            {filtered
              ? (
                <p>
                  <a href="/commands">Show all</a>
                </p>
              )
              : (
                <p>
                  Press <kbd>Ctrl</kbd> <kbd>K</kbd> and type, for example, <code>task build --on all</code>.
                </p>
              )}
          </Empty>
        )
        : (
          <table class="rows">
            <thead>
              <tr>
                <th scope="col">Command</th>
                <th scope="col">State</th>
                <th scope="col">Nodes</th>
                <th scope="col">Took</th>
                <th scope="col">By</th>
                <th scope="col">Asked</th>
              </tr>
            </thead>
            <tbody dangerouslySetInnerHTML={{ __html: parts.map(({ html }) => html).join("") }} />
          </table>
        )}
    </section>,
  );
  return { id, parts, html };
}

function CommandRow({ list, command }: { readonly list: string; readonly command: CommandRecord }) {
  const runs = Object.values(command.runs);
  const took = Math.max(0, ...runs.map(({ durationMs }) => durationMs ?? 0));
  return (
    <tr id={elementId(`${list}-row`, command.id)}>
      <td data-label="Command">
        <a href={`/commands/${command.id}`} data-key-item>
          <code>{commandWords(command.capability, command.verb, command.input)}</code>
        </a>
      </td>
      <td data-label="State">
        <State of={stateOf(command)} />
      </td>
      <td data-label="Nodes">{nodesText(command)}</td>
      <td data-label="Took" class={took > 0 ? "" : "none"}>{took > 0 ? duration(took) : "–"}</td>
      <td data-label="By" class={command.by === undefined ? "none" : ""}>{command.by?.user ?? "–"}</td>
      <td data-label="Asked">
        <Ago at={command.acceptedAt} />
      </td>
    </tr>
  );
}

function nodesText({ runs }: CommandRecord): string {
  const names = Object.keys(runs).sort();
  if (names.length === 0) return "–";
  return names.length <= 2 ? names.join(", ") : `${names.length} nodes`;
}
