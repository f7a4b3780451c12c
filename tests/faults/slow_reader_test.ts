import assert from "node:assert/strict";
import { storedLogs } from "../../lib/client/follow.ts";
import { newCommandId } from "../../lib/protocol/id.ts";
import { ask, ongoing, resultOf, runsIn } from "../asking.ts";
import { temporaryFolder } from "../fleet.ts";
import { until } from "../until.ts";
import { spawnXtask, type XtaskProcess } from "../xtask_process.ts";
import { type HubProcess, startHubProcess, startNodeProcess } from "./ground.ts";

const BYTES = 24_000_000;
/** Idle it has some 110 MiB from source; a reader that holds up would add what it does not take. */
const HUB_MIB_MAX = 300;
/** The server takes some 110 MiB more for each such run, watched or not, and gives them back later. */
const SERVER_MORE_MIB_MAX = 280;
const TASKFILE = `
version: "3"
silent: true
tasks:
  flood:
    cmds:
      - echo ran >> runs
      - while [ ! -e open ]; do sleep 0.05; done
      - yes "a line of output that is neither long nor short" | head -c ${BYTES}
`;

/** Asks for a stream of the page as a browser does, and reads nothing of it. */
async function openAndSleep(stack: AsyncDisposableStack, hub: HubProcess, path: string): Promise<void> {
  const headers = { authorization: `Bearer ${hub.token}` };
  const link = await fetch(`${hub.httpUrl}/api/v1/login-links`, { method: "POST", headers });
  const session = await fetch((await link.json()).url, { redirect: "manual" });
  await session.body?.cancel();
  const cookie = session.headers.get("set-cookie")?.split(";")[0] ?? "";
  const { hostname, port, host } = new URL(hub.httpUrl);
  const conn = await Deno.connect({ hostname, port: Number(port) });
  stack.defer(() => conn.close());
  await conn.write(new TextEncoder().encode(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nCookie: ${cookie}\r\n\r\n`));
  const head = new Uint8Array(12);
  await conn.read(head);
  assert.equal(new TextDecoder().decode(head), "HTTP/1.1 200");
}

const mebibytes = async (pid: number) =>
  Number(/VmHWM:\s+(\d+)/.exec(await Deno.readTextFile(`/proc/${pid}/status`))?.[1]) / 1024;

Deno.test(
  "readers that do not read while much is written hold up neither the run nor the hub, and miss nothing of it later",
  {
    ignore: Deno.build.os !== "linux",
  },
  async () => {
    await using stack = new AsyncDisposableStack();
    const folder = await temporaryFolder(stack);
    const hub = await startHubProcess(stack, folder);
    const node = await startNodeProcess(stack, hub, folder, { id: "n1", taskfile: TASKFILE });
    const flood = async (begun: (id: string) => Promise<void>): Promise<number> => {
      const id = newCommandId();
      const before = await runsIn(node.dir);
      ongoing(await ask(hub.admin, "n1", "task.run", { args: ["flood"] }, { id, waitMs: 0 }));
      await until("the run to begin", async () => await runsIn(node.dir) > before);
      await begun(id);
      const start = performance.now();
      await Deno.writeTextFile(`${node.dir}/open`, "");
      const { state, output } = await resultOf(hub.admin, "n1", id, 120_000);
      const ms = performance.now() - start;
      assert.deepEqual([state, output.bytes], ["succeeded", BYTES]);
      await Deno.remove(`${node.dir}/open`);
      await until("all of it to be stored", async () => {
        let bytes = 0;
        for await (const event of storedLogs(hub.admin, { id })) {
          assert.notEqual(event.type, "gap");
          if (event.type === "log") bytes += event.pieces.reduce((sum, piece) => sum + piece.bytes.length, 0);
        }
        return bytes === BYTES;
      });
      return ms;
    };

    const alone = await flood(() => Promise.resolve());
    const before = await mebibytes(await hub.serverPid());
    let reader!: XtaskProcess;
    const watched = await flood(async (id) => {
      reader = stack.use(await spawnXtask(["commands", "logs", id, "-f"], { home: hub.home }));
      await until("the program that follows to be there", async () => {
        const info = await hub.admin.connection.request("$JS.API.CONSUMER.NAMES.XTASK_LOGS", "", { timeout: 2_000 })
          .catch(() => undefined);
        return info !== undefined && info.json<{ total: number }>().total > 0;
      });
      Deno.kill(reader.pid, "SIGSTOP");
      await openAndSleep(stack, hub, `/commands/${id}/log/events?node=n1`);
      await openAndSleep(stack, hub, `/events?view=%2Fcommands%2F%3Aid&id=${id}`);
    });
    const [process, server] = [await mebibytes(hub.pid), await mebibytes(await hub.serverPid())];
    assert.ok(process < HUB_MIB_MAX, `the hub had ${process.toFixed(0)} MiB`);
    const more = server - before;
    assert.ok(more < SERVER_MORE_MIB_MAX, `its server had ${before.toFixed(0)} MiB, and ${more.toFixed(0)} more then`);

    Deno.kill(reader.pid, "SIGCONT");
    assert.equal((await reader.status).code, 0, reader.stderrText());
    await reader.closed;
    assert.equal(reader.stdoutText().length, BYTES, "what it did not read then it reads now");
    const over = (unwatched: number) => watched >= 3 * unwatched + 2_000;
    // The machine may have become busy since the first one.
    const unwatched = over(alone) ? await flood(() => Promise.resolve()) : alone;
    assert.ok(!over(unwatched), `it took ${watched.toFixed(0)} ms, unwatched ${unwatched.toFixed(0)}`);
  },
);
