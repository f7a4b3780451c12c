import assert from "node:assert/strict";
import { newCommandId } from "../../lib/protocol/id.ts";
import { HEADER } from "../../lib/protocol/run.ts";
import { commandSubject, eventSubject, logSubject, resultSubject } from "../../lib/protocol/subjects.ts";
import { ask, ended, GATED, hear, ongoing, refused, resultOf, runsIn } from "../asking.ts";
import { startFleet } from "../fleet.ts";
import { until } from "../until.ts";

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

Deno.test("a plain NATS request with nothing but credentials gets the documented answers", async (t) => {
  await using fleet = await startFleet();
  const { admin } = fleet;
  const run = commandSubject("n1", "task", "run");

  await t.step("a task that ends within the wait answers with its result", async () => {
    const { id, acceptedAt, startedAt, finishedAt, durationMs, ...rest } = JSON.parse(
      (await admin.request(run, '{"args":["hello"]}')).text(),
    );
    assert.match(id, /^[0-9A-HJKMNP-TV-Z]{26}$/);
    for (const time of [acceptedAt, startedAt, finishedAt]) assert.match(time, TIME);
    assert.ok(acceptedAt <= startedAt && startedAt <= finishedAt);
    assert.equal(durationMs, Date.parse(finishedAt) - Date.parse(startedAt));
    const head: string = rest.output.head;
    assert.match(head, /^Hello from \w+\/\w+\n$/);
    assert.deepEqual(rest, {
      node: "n1",
      capability: "task",
      verb: "run",
      attempt: 1,
      state: "succeeded",
      exitCode: 0,
      data: { exitCode: 0 },
      output: { head, tail: "", bytes: head.length, lines: 1, truncated: false },
    });
  });

  await t.step("a failing task answers with the exit code of its own command", async () => {
    const result = ended(await ask(admin, "n1", "task.run", { args: ["fail"] }));
    assert.deepEqual([result.state, result.exitCode, result.error], ["failed", 3, undefined]);
    assert.match(result.output.head, /fails on purpose/);
  });

  await t.step("a task that goes on answers so; its output and result are then published", async () => {
    const begun = performance.now();
    const id = newCommandId();
    using logs = await hear(admin, logSubject("n1", id));
    using results = await hear(admin, resultSubject(id));
    const headers = { [HEADER.wait]: "200", [HEADER.commandId]: id };
    const answer = await admin.request(run, '{"args":["slow"]}', { headers });
    assert.ok(performance.now() - begun < 2_000, "it was not waited for to its end");
    assert.deepEqual(JSON.parse(answer.text()), {
      id,
      node: "n1",
      state: "running",
      logs: `xtask.logs.n1.${id}`,
      results: `xtask.results.${id}`,
    });
    const first = await logs.first((message) => message.text().includes("step 1 of 20"));
    assert.equal(first.header(HEADER.logOffset), "0");
    assert.equal(results.messages.length, 0, "output comes while it runs");
    const result = JSON.parse((await results.first()).text());
    assert.equal(result.state, "succeeded");
    const end = await logs.first((message) => message.header(HEADER.logEnd) !== undefined);
    const text = logs.messages.map((message) => message.text()).join("");
    assert.equal(text, Array.from({ length: 20 }, (_, i) => `step ${i + 1} of 20\n`).join(""));
    assert.equal(end.header(HEADER.logEnd), String(text.length));
    assert.deepEqual(result.output, { head: text, tail: "", bytes: text.length, lines: 20, truncated: false });
    const sequences = logs.messages.map((message) => Number(message.header(HEADER.logSeq)));
    assert.deepEqual(sequences, sequences.map((_, i) => i));
  });

  await t.step("typed answers, and a task list with an empty payload", async () => {
    const which = ended(await ask(admin, "n1", "which.check", { names: ["sh", "no-such-program"] }));
    const { found, missing } = which.data as { found: { name: string }[]; missing: string[] };
    assert.deepEqual([found.map(({ name }) => name), missing], [["sh"], ["no-such-program"]]);
    const list = JSON.parse((await admin.request(commandSubject("n1", "task", "list"), "")).text());
    assert.ok(list.data.tasks.some(({ name }: { name: string }) => name === "hello"));
  });

  await t.step("a refusal carries the services error headers and the same in its body", async () => {
    const raw = await admin.connection.request(run, '{"args":1}');
    assert.equal(raw.headers?.get("Nats-Service-Error-Code"), "400");
    assert.match(raw.headers?.get("Nats-Service-Error") ?? "", /input of task\.run/);
    const { node, state, error } = raw.json<{ node: string; state: string; error: Record<string, unknown> }>();
    assert.deepEqual([node, state, error.code], ["n1", "refused", "invalid"]);
    assert.match(String((error.details as string[])[0]), /^args: /);
  });
});

Deno.test("a command's id is its idempotency key", async (t) => {
  await using fleet = await startFleet({ taskfile: GATED });
  const { admin } = fleet;
  const { dir } = fleet.node("n1");
  const id = newCommandId();
  const input = { args: ["gate"] };

  await t.step("asked ten times at once, it runs once and all get the one answer", async () => {
    using events = await hear(admin, eventSubject("default", "command_accepted"));
    const asked = Array.from({ length: 10 }, () => ask(admin, "n1", "task.run", input, { id }));
    await until("the run to begin", async () => await runsIn(dir) > 0);
    await Deno.writeTextFile(`${dir}/open`, "");
    const results = (await Promise.all(asked)).map(ended);
    assert.equal(results[0]?.state, "succeeded");
    for (const result of results) assert.deepEqual(result, results[0]);
    assert.equal(await runsIn(dir), 1);
    await events.first();
    assert.equal(events.messages.length, 1);
  });

  await t.step("asked again after the end, it answers the same and does not run", async () => {
    const first = await resultOf(admin, "n1", id);
    assert.deepEqual(ended(await ask(admin, "n1", "task.run", input, { id })), first);
    assert.equal(await runsIn(dir), 1);
  });

  await t.step("asked for something else, it is a conflict, during the run and after", async () => {
    await refused(ask(admin, "n1", "task.run", { args: ["gate", "X=1"] }, { id }), "conflict", /another command/);
    await refused(ask(admin, "n1", "silent.exec", { command: ["true"] }, { id }), "conflict");
    await Deno.remove(`${dir}/open`);
    const other = newCommandId();
    ongoing(await ask(admin, "n1", "task.run", input, { id: other, waitMs: 0 }));
    await refused(ask(admin, "n1", "task.run", { args: [] }, { id: other }), "conflict");
    await Deno.writeTextFile(`${dir}/open`, "");
    assert.equal((await resultOf(admin, "n1", other)).state, "succeeded");
    assert.equal(await runsIn(dir), 2);
  });
});
