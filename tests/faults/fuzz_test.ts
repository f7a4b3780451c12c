import assert from "node:assert/strict";
import fc from "fast-check";
import { openBus } from "../../lib/nats/bus.ts";
import { lastOf, STREAM } from "../../lib/nats/streams.ts";
import { XtaskError } from "../../lib/protocol/error.ts";
import { HEADER } from "../../lib/protocol/run.ts";
import {
  broadcastSubject,
  commandSubject,
  DISCOVER,
  heartbeatSubject,
  hubSubject,
  inboxPrefix,
  nodeControlSubject,
  registerSubject,
  runSubject,
  statusSubject,
  storedEvents,
  upEvent,
  upLog,
  upMetrics,
  upResult,
} from "../../lib/protocol/subjects.ts";
import { ask, ended, hear } from "../asking.ts";
import { startFleet } from "../fleet.ts";
import { until } from "../until.ts";

const RUNS = 60;
const FIELDS: Readonly<Record<string, readonly string[]>> = {
  task: ["args", "dir", "vars"],
  which: ["names"],
  silent: ["command", "dir", "env", "timeoutMs"],
};

const deep = (depth: number) => "[".repeat(depth) + "]".repeat(depth);
/** What a program with a mistake, or somebody who means ill, may send. */
const payloads: fc.Arbitrary<string> = fc.oneof(
  fc.json({ maxDepth: 6 }),
  fc.string({ unit: "binary", maxLength: 200 }),
  fc.integer({ min: 1, max: 40_000 }).map(deep),
  fc.constantFrom(
    '{"__proto__":{"args":["hello"]}}',
    '{"constructor":{"prototype":{"polluted":true}}}',
    '{"args":["hello"],"args":7}',
    '{"args":{"length":3}}',
    '{"names":["sh"],"__proto__":{"admin":true}}',
    '{"id":"01JAAAAAAAAAAAAAAAAAAAAAAA","id":null}',
    '{"select":{"toString":1}}',
    "1e400",
    "\ufeff{}",
    '"\\ud800"',
  ),
);
const headers = fc.dictionary(
  fc.constantFrom(HEADER.commandId, HEADER.deadline, HEADER.wait),
  fc.string({ unit: "grapheme-ascii", maxLength: 40 }),
  { maxKeys: 2 },
);

Deno.test("whatever is sent, nobody falls: node and hub refuse it or answer, keep the connection, and go on", async () => {
  await using fleet = await startFleet();
  const { admin } = fleet;
  using accepted = await hear(admin, "xtask.events.*.command_accepted");
  const subjects = [
    commandSubject("n1", "task", "run"),
    commandSubject("n1", "which", "check"),
    commandSubject("n1", "silent", "exec"),
    broadcastSubject("which", "check"),
    DISCOVER,
    nodeControlSubject("n1", "label"),
    runSubject("n1", "status"),
    runSubject("n1", "cancel"),
    statusSubject("n1"),
    ...["node.list", "command.list", "command.show", "command.cancel", "command.queue", "alert.list", "alert.mute"]
      .map((name) => hubSubject(...name.split(".") as [string, string])),
  ];
  const wellFormed = new Set(["invalid", "not_found", "conflict", "unavailable", "exhausted"]);
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...subjects), payloads, headers, async (subject, payload, more) => {
      try {
        await admin.request(subject, payload, { headers: { [HEADER.wait]: "0", ...more } });
      } catch (error) {
        const { code, message } = XtaskError.from(error);
        assert.ok(wellFormed.has(code), `${subject} said ${code}: ${message}`);
      }
    }),
    { numRuns: RUNS * 5 },
  );
  assert.equal(({} as { polluted?: true }).polluted, undefined);
  assert.ok(admin.up, "the connection was kept");
  assert.equal(ended(await ask(admin, "n1", "which.check", { names: ["sh"] })).state, "succeeded");
  // What was taken was meant: no field but those of a schema has gone through.
  for (const message of accepted.messages) {
    const { capability, input } = JSON.parse(message.text());
    const known = FIELDS[capability] ?? assert.fail(`${capability} was asked`);
    for (const field of Object.keys(input ?? {})) assert.ok(known.includes(field), `${capability} took '${field}'`);
  }
});

Deno.test("whatever a node reports, the hub passes over what it cannot read, says so, and hears the others", async () => {
  await using fleet = await startFleet();
  const { admin, up } = fleet;
  const node = "liar";
  const creds = await fleet.join("node", node);
  await using author = await openBus({ servers: fleet.url, creds, inboxPrefix: inboxPrefix(node) });
  const subjects = [
    upResult(node, "01JAAAAAAAAAAAAAAAAAAAAAAA"),
    upEvent(node, "command_accepted"),
    upEvent(node, "command_result"),
    upEvent(node, "alert"),
    upLog(node, "01JAAAAAAAAAAAAAAAAAAAAAAA"),
    upMetrics(node),
    heartbeatSubject(node),
    registerSubject(node),
  ];
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...subjects), payloads, headers, async (subject, payload, more) => {
      author.publish(subject, payload, more);
      await author.flush();
    }),
    { numRuns: RUNS * 3 },
  );
  assert.ok(author.up, "the connection was kept");
  const { id } = ended(await ask(admin, "n1", "silent.exec", { command: ["true"] }));
  await until("the hub to follow what came behind", () => up.hub.commands.get(id)?.runs.n1?.state === "succeeded");
  assert.equal((await lastOf(admin, STREAM.events, storedEvents("default")))?.text.includes(id), true);
  assert.match(fleet.logText(), /warn hub default: event \d+: /, "what could not be read was told");
  assert.deepEqual(
    JSON.parse((await admin.request(hubSubject("node", "list"), "{}")).text()).nodes.map(
      ({ id }: { id: string }) => id,
    ),
    ["n1"],
    "none of it made a node",
  );
});
