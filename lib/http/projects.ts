/** The projects that are served: of each its fleet, what is known of it, and the outputs of its runs. */
import type { Fleet } from "../client/fleet.ts";
import { beHere } from "../client/team.ts";
import { XtaskError } from "../protocol/error.ts";
import { Id } from "../protocol/id.ts";
import { parse } from "../protocol/parse.ts";
import { type Model, openModel } from "./live/model.ts";
import { createRunLogs, type RunLogs } from "./run_logs.ts";

/** A project, and how it is asked. */
export interface Project {
  readonly project: string;
  /** Asked with the rights that the page is to have: to command and read, not to forge facts. It stays its owner's. */
  readonly fleet: Fleet;
}

/** A project that is served. */
export interface ServedProject extends Project {
  readonly model: Model;
  readonly logs: RunLogs;
}

/** The projects that are served. Disposing them forgets what is known of them. */
export interface Projects extends AsyncDisposable {
  /** The first one is meant where none is named. */
  readonly names: readonly string[];
  /**
   * The project that is meant. Whoever is let in may see these and no other.
   *
   * @throws {XtaskError} `invalid` for what cannot be a project, `not_found`
   */
  get(asked?: string): ServedProject;
}

/** Opens projects; of each what is known is there when this resolves, or nothing where its hub is away. */
export async function openProjects(
  list: readonly [Project, ...Project[]],
  log: (message: string) => void,
): Promise<Projects> {
  await using stack = new AsyncDisposableStack();
  const stop = new AbortController();
  const served = await Promise.all(list.map(async (one) => ({
    ...one,
    model: stack.use(await openModel({ ...one, log })),
    logs: stack.use(createRunLogs(one.fleet.bus)),
  })));
  const here = Promise.all(
    served.map(({ fleet: { bus }, project, model }) =>
      beHere(bus, project, "page", () => model.watchers, stop.signal)
        .catch((error) => log(`nobody hears who is here: ${XtaskError.from(error).message}`))
    ),
  );
  stack.defer(async () => {
    stop.abort();
    await here;
  });
  const [first] = served;
  const byName = new Map(served.map((one) => [one.project, one]));
  const owned = stack.move();
  return {
    names: [...byName.keys()],
    get(asked) {
      const found = asked === undefined ? first : byName.get(asked);
      if (found !== undefined) return found;
      parse(Id, asked, "project");
      throw new XtaskError("not_found", `There is no project '${asked}' here`, {
        details: [`there is ${[...byName.keys()].join(", ")}`],
      });
    },
    [Symbol.asyncDispose]: () => owned[Symbol.asyncDispose](),
  };
}
