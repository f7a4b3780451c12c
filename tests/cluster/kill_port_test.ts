import assert from "node:assert/strict";
import { commandSubject, eventSubject } from "../../lib/protocol/subjects.ts";
import { parseJson } from "../../lib/protocol/parse.ts";
import { Reply } from "../../lib/protocol/run.ts";
import { ended, hear, refused } from "../asking.ts";
import { startFleet } from "../fleet.ts";

const LISTENER =
  "const one = Deno.listen({ hostname: '127.0.0.1', port: 0 }); console.log(one.addr.port); await one.accept()";

/** A process that listens on a port of its own choice. */
async function listener(): Promise<
  { pid: number; port: number; status: Promise<Deno.CommandStatus> } & AsyncDisposable
> {
  const child = new Deno.Command(Deno.execPath(), { args: ["eval", LISTENER], stdout: "piped" }).spawn();
  let ended = false;
  const status = child.status.then((status) => {
    ended = true;
    return status;
  });
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.includes("\n")) {
    const { value, done } = await reader.read();
    if (done) throw new Error("the listener ended");
    text += value;
  }
  return {
    pid: child.pid,
    port: Number(text),
    status,
    async [Symbol.asyncDispose]() {
      if (!ended) child.kill("SIGKILL");
      await status;
      await reader.cancel();
    },
  };
}

Deno.test("a port is freed by asking for it in the subject", async (t) => {
  await using fleet = await startFleet({ allow: ["kill-port"] });
  const { admin } = fleet;
  const kill = async (token: string, input = "") =>
    ended(parseJson(
      Reply,
      (await admin.request(commandSubject("n1", "kill-port", token), input, { timeoutMs: 15_000 })).text(),
      "answer",
    ));

  await t.step("who listens there is ended", async () => {
    await using victim = await listener();
    using accepted = await hear(admin, eventSubject("default", "command_accepted"));
    const result = await kill(String(victim.port));
    assert.equal(result.state, "succeeded");
    const { killed, free } = result.data as { killed: { pid: number; signal: string }[]; free: boolean };
    assert.deepEqual([killed.map(({ pid, signal }) => [pid, signal]), free], [[[victim.pid, "SIGTERM"]], true]);
    assert.equal((await victim.status).signal, "SIGTERM");
    const { capability, verb, input } = JSON.parse((await accepted.first()).text());
    assert.deepEqual([capability, verb, input.port], ["kill-port", "kill", victim.port]);
    assert.deepEqual((await kill(String(victim.port))).data, { port: victim.port, killed: [], free: true });
  });

  await t.step("the agent itself and what is above it are not", async () => {
    using own = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const result = await kill(String((own.addr as Deno.NetAddr).port));
    assert.deepEqual([result.state, result.error?.code], ["failed", "forbidden"]);
  });

  await t.step("what is no port is refused", async () => {
    for (const token of ["0", "65536", "999999999"]) await refused(kill(token), "invalid", /port/);
    for (const token of ["kill", "http", "-1", "80a"]) await refused(kill(token), "not_found", /verb/);
  });

  await t.step("the subject's port counts, whatever the payload says", async () => {
    await using victim = await listener();
    using other = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const result = await kill(String(victim.port), JSON.stringify({ port: (other.addr as Deno.NetAddr).port }));
    assert.equal((result.data as { port: number }).port, victim.port);
    await victim.status;
  });
});
