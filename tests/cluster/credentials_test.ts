import assert from "node:assert/strict";
import { openKeyring } from "../../lib/auth/keyring.ts";
import type { Bus } from "../../lib/nats/bus.ts";
import { newCommandId } from "../../lib/protocol/id.ts";
import {
  agentLogSubject,
  BROADCASTS,
  broadcastSubject,
  commandSubject,
  DISCOVER,
  eventsOf,
  eventSubject,
  HEARTBEAT_ANY,
  HEARTBEATS,
  heartbeatSubject,
  HUB_ANY,
  hubSubject,
  inboxPrefix,
  JOIN_ANY,
  joinSubject,
  LOGS_ANY,
  logSubject,
  nodeControlSubject,
  nodeSubjects,
  REGISTER_ANY,
  registerSubject,
  resultSubject,
  runSubject,
  statusSubject,
  UP_ANY,
  upAlert,
  upEvent,
  upLog,
  upResult,
} from "../../lib/protocol/subjects.ts";
import { hear, refused } from "../asking.ts";
import { startFleet, type TestFleet } from "../fleet.ts";
import { until } from "../until.ts";

/** What the server says no to, by subject. */
function refusals(bus: Bus): ReadonlySet<string> {
  const subjects = new Set<string>();
  void (async () => {
    for await (const status of bus.connection.status()) {
      if (status.type !== "error") continue;
      const { message } = status.error;
      const subject = /"([^"]+)"/.exec(message)?.[1];
      if (subject !== undefined && /permissions violation/i.test(message)) subjects.add(subject);
    }
  })();
  return subjects;
}

/** Somebody who hears everything of the project, as the hub does. */
async function listenToAll(fleet: TestFleet): Promise<Bus> {
  const { projects: [keyring] } = await openKeyring(`${fleet.folder}/hub/hub/keys.json`, []);
  return await fleet.connect(keyring.hubCreds());
}

/** Publishes to each subject; asserts that each is refused and that none of it arrives anywhere. */
async function assertCannotPublish(fleet: TestFleet, bus: Bus, subjects: readonly string[]): Promise<void> {
  const payload = `forged ${crypto.randomUUID()}`;
  const everywhere = await listenToAll(fleet);
  using all = await hear(everywhere, ">");
  const refusedSubjects = refusals(bus);
  for (const subject of subjects) bus.publish(subject, payload);
  await bus.flush();
  await until(
    "the server's refusals",
    () => subjects.every((subject) => refusedSubjects.has(subject)),
    { timeoutMs: 5_000 },
  ).catch(() => {});
  assert.deepEqual(subjects.filter((subject) => !refusedSubjects.has(subject)), [], "not refused");
  await everywhere.flush();
  assert.deepEqual(all.messages.filter((message) => message.text() === payload).map(({ subject }) => subject), []);
}

async function assertCannotSubscribe(bus: Bus, subjects: readonly string[]): Promise<void> {
  const refusedSubjects = refusals(bus);
  const subscriptions = subjects.map((subject) => bus.subscribe(subject, () => {}));
  await bus.flush();
  await until("refusals", () => subjects.every((subject) => refusedSubjects.has(subject)), { timeoutMs: 5_000 })
    .catch(() => {});
  assert.deepEqual(subjects.filter((subject) => !refusedSubjects.has(subject)), [], "not refused");
  for (const subscription of subscriptions) subscription[Symbol.dispose]();
}

Deno.test("a credential reaches as far as its role", async (t) => {
  await using fleet = await startFleet({ nodes: ["n1", "n2"], allow: ["which"] });
  const id = newCommandId();
  const n1 = await fleet.connect(fleet.node("n1").creds, { inboxPrefix: inboxPrefix("n1") });
  const operator = await fleet.connect(await fleet.join("operator", "olga"));

  await t.step("a node publishes under no name but its own", () =>
    assertCannotPublish(fleet, n1, [
      upResult("n2", id),
      upLog("n2", id),
      upEvent("n2", "command_result"),
      upAlert("n2", "critical"),
      upEvent("hub", "node_left"),
      heartbeatSubject("n2"),
      registerSubject("n2"),
      HEARTBEATS,
      resultSubject(id),
      logSubject("n1", id),
      agentLogSubject("n1"),
      eventSubject("default", "alert"),
    ]));

  await t.step("a node asks nothing of anybody", () =>
    assertCannotPublish(fleet, n1, [
      commandSubject("n2", "which", "check"),
      commandSubject("n1", "which", "check"),
      runSubject("n2", "cancel"),
      nodeControlSubject("n2", "drain"),
      statusSubject("n2"),
      broadcastSubject("which", "check"),
      DISCOVER,
      hubSubject("node", "list"),
      hubSubject("auth", "invite"),
      joinSubject("join-other"),
    ]));

  await t.step(
    "a node reaches neither streams nor the server nor other people's inboxes",
    () =>
      assertCannotPublish(fleet, n1, [
        "$JS.API.INFO",
        "$JS.API.STREAM.DELETE.XTASK_UP",
        "$JS.API.STREAM.PURGE.XTASK_RESULTS",
        "$JS.API.DIRECT.GET.XTASK_RESULTS",
        "$JS.API.CONSUMER.CREATE.XTASK_LOGS.spy",
        "$KV.xtask_nodes.n2",
        "$SYS.REQ.SERVER.PING",
        "$SRV.PING",
        "_INBOX.somebody",
        `${inboxPrefix("n2")}.somebody`,
        "anything.else",
      ]),
  );

  await t.step("a node hears nothing but what it is asked", () =>
    assertCannotSubscribe(n1, [
      ">",
      "*.>",
      nodeSubjects("n2"),
      nodeSubjects("*"),
      statusSubject("n2"),
      statusSubject("*"),
      "_INBOX.>",
      `${inboxPrefix("n2")}.>`,
      UP_ANY,
      resultSubject("*"),
      LOGS_ANY,
      eventsOf("default"),
      HEARTBEATS,
      HEARTBEAT_ANY,
      REGISTER_ANY,
      HUB_ANY,
      JOIN_ANY,
      "$JS.>",
      "$KV.>",
    ]));

  await t.step("what a node may do, it can", async () => {
    using live = await hear(fleet.admin, resultSubject(id));
    n1.publish(upResult("n1", id), "mine");
    assert.equal((await live.first()).text(), "mine");
    const asked = refusals(n1);
    for (const subject of [nodeSubjects("n1"), BROADCASTS, DISCOVER, statusSubject("n1"), "$SRV.PING"]) {
      n1.subscribe(subject, () => {})[Symbol.dispose]();
    }
    await n1.flush();
    assert.deepEqual([...asked], []);
  });

  await t.step("a node answers whom it was asked by, and only then", async () => {
    const inbox = `_INBOX.${crypto.randomUUID()}`;
    using answers = await hear(fleet.admin, inbox);
    const heard = Promise.withResolvers<void>();
    using _asked = n1.subscribe(DISCOVER, (message) => {
      message.respond("asked");
      heard.resolve();
    });
    await n1.flush();
    await assertCannotPublish(fleet, n1, [inbox]);
    fleet.admin.connection.publish(DISCOVER, '{"select":"none"}', { reply: inbox });
    await heard.promise;
    assert.equal((await answers.first()).text(), "asked");
  });

  await t.step("an operator publishes no reports and hands out no credentials", async () => {
    await assertCannotPublish(fleet, operator, [
      upResult("n1", id),
      upEvent("n1", "command_result"),
      heartbeatSubject("n1"),
      registerSubject("n1"),
      HEARTBEATS,
      resultSubject(id),
      logSubject("n1", id),
      eventSubject("default", "alert"),
      "xtask.alerts.critical",
      hubSubject("auth", "invite"),
      joinSubject("join-other"),
      "$JS.API.STREAM.DELETE.XTASK_RESULTS",
      "$JS.API.STREAM.CREATE.MINE",
      "$KV.xtask_nodes.n1",
      "$SYS.REQ.SERVER.PING",
      "_INBOX.somebody",
    ]);
    await refused(operator.request(hubSubject("auth", "invite"), "{}"), "forbidden");
  });

  await t.step(
    "an admin publishes no reports either",
    () => assertCannotPublish(fleet, fleet.admin, [upResult("n1", id), heartbeatSubject("n1"), resultSubject(id)]),
  );
});
