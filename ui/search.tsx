/** Search and filters. They stand in the address, so that what is shown can be sent to somebody. */
import { STATES } from "../lib/protocol/state.ts";

/** Above the fleet. */
export function FleetSearch({ search, select, as }: {
  readonly search: string;
  readonly select: string;
  /** `map` for the topology. */
  readonly as: string;
}) {
  return (
    <form class="search" method="get" action="/" role="search" data-narrow>
      <label>
        Search
        <input type="search" name="search" value={search} placeholder="name, platform, label, task" data-search />
      </label>
      <label>
        Selector
        <input
          type="search"
          name="select"
          value={select}
          placeholder="os=linux,has=docker"
          spellcheck={false}
          autocapitalize="off"
        />
      </label>
      <label>
        As
        <select name="as">
          <option value="">cards</option>
          <option value="map" selected={as === "map"}>topology</option>
        </select>
      </label>
      <button type="submit" hidden>Show</button>
    </form>
  );
}

/** Above the commands. */
export function CommandSearch({ search, state, node }: {
  readonly search: string;
  readonly state: string;
  readonly node: string;
}) {
  return (
    <form class="search" method="get" action="/commands" role="search" data-narrow>
      <label>
        Search
        <input type="search" name="search" value={search} placeholder="task build" data-search />
      </label>
      <label>
        State
        <select name="state">
          <option value="">any</option>
          {STATES.map((one) => <option key={one} value={one} selected={one === state}>{one}</option>)}
        </select>
      </label>
      <label>
        Node
        <input type="search" name="node" value={node} spellcheck={false} autocapitalize="off" />
      </label>
      <button type="submit" hidden>Show</button>
    </form>
  );
}
