/** The outputs of runs that are looked at over HTTP: each is read once, however many look at it. */
import { openRunLog, type RunLog } from "../client/log/run_log.ts";
import type { Bus } from "../nats/bus.ts";
import { XtaskError } from "../protocol/error.ts";
import { LOGS_OPEN_MAX } from "../protocol/limits.ts";

/** The open outputs. Disposing it forgets them. */
export interface RunLogs extends AsyncDisposable {
  /**
   * The output of a run, until it is disposed.
   *
   * @throws {XtaskError} `exhausted` where as many are in use as may be
   */
  use(node: string, command: string): { readonly log: RunLog } & Disposable;
}

interface Opened {
  readonly log: RunLog;
  users: number;
  usedAt: number;
}

/** An output that nobody looks at is forgotten after this long. */
const IDLE_MS = 60_000;

/** Opens none yet. */
export function createRunLogs(bus: Bus): RunLogs {
  const open = new Map<string, Opened>();
  const forget = ([key, { log }]: [string, Opened]) => {
    open.delete(key);
    void log[Symbol.asyncDispose]();
  };
  const sweeping = setInterval(() => {
    for (const one of open) if (one[1].users === 0 && Date.now() - one[1].usedAt >= IDLE_MS) forget(one);
  }, IDLE_MS);
  Deno.unrefTimer(sweeping);
  return {
    use(node, command) {
      const key = `${command} ${node}`;
      let opened = open.get(key);
      if (opened === undefined) {
        if (open.size >= LOGS_OPEN_MAX) {
          // Whoever walks through many commands needs none but the newest.
          const idle = [...open].filter(([, { users }]) => users === 0).sort(([, a], [, b]) => a.usedAt - b.usedAt)[0];
          if (idle === undefined) throw tooMany(open.size);
          forget(idle);
        }
        opened = { log: openRunLog(bus, node, command), users: 0, usedAt: Date.now() };
        open.set(key, opened);
      }
      const used = opened;
      used.users++;
      let done = false;
      return {
        log: used.log,
        [Symbol.dispose]() {
          if (done) return;
          done = true;
          used.users--;
          used.usedAt = Date.now();
        },
      };
    },
    async [Symbol.asyncDispose]() {
      clearInterval(sweeping);
      await Promise.all([...open.values()].map(({ log }) => log[Symbol.asyncDispose]()));
    },
  };
}

function tooMany(count: number): XtaskError {
  return new XtaskError("exhausted", `${count} outputs are looked at at once, and more are not`, {
    details: ["close some pages, or try again in a minute"],
  });
}
