import assert from "node:assert/strict";
import { follow, type FollowEvent } from "../../lib/client/follow.ts";
import { newCommandId } from "../../lib/protocol/id.ts";
import type { Heartbeat } from "../../lib/protocol/node.ts";
import { HEADER, type Result } from "../../lib/protocol/run.ts";
import {
  commandSubject,
  HEARTBEATS,
  heartbeatSubject,
  hubSubject,
  noteSubject,
  resultSubject,
  runSubject,
} from "../../lib/protocol/subjects.ts";
import { ask, GATED, hear, ongoing } from "../asking.ts";
import { startFleet } from "../fleet.ts";

/** What somebody who may read a stream can have the server do with what is stored there. */
const WAYS = ["push", "pull"] as const;

Deno.test("what is stored as a note and delivered as a report is believed by nobody", async (t) => {
  await using fleet = await startFleet({ nodes: ["n1", { id: "n2", leaf: {} }], taskfile: GATED });
  const mallory = await fleet.connect(await fleet.join("operator", "mallory"));

  /** Stores words of one's own with another's headers, and has the server deliver them to a subject. */
  const deliver = async (way: typeof WAYS[number], to: string, payload: string, headers: Record<string, string>) => {
    const note = await mallory.request(noteSubject("default", "team", "mallory"), payload, { headers });
    const { seq } = JSON.parse(note.text());
    const name = crypto.randomUUID();
    const config = {
      name,
      ack_policy: "none",
      deliver_policy: "by_start_sequence",
      opt_start_seq: seq,
      inactive_threshold: 60e9,
      ...(way === "push" ? { deliver_subject: to } : {}),
    };
    // As another NATS client hears it, which shows that it was delivered there indeed.
    const { promise: delivered, resolve } = Promise.withResolvers<string>();
    const subscription = fleet.admin.connection.subscribe(to, {
      callback: (_, message) => void (message.string() === payload && resolve(message.subject)),
    });
    await fleet.admin.flush();
    await mallory.request(
      `$JS.API.CONSUMER.CREATE.XTASK_NOTES.${name}`,
      JSON.stringify({ stream_name: "XTASK_NOTES", config }),
    );
    if (way === "pull") {
      mallory.connection.publish(`$JS.API.CONSUMER.MSG.NEXT.XTASK_NOTES.${name}`, '{"batch":1}', { reply: to });
    }
    assert.equal(await delivered, noteSubject("default", "team", "mallory"), "under the subject it was stored as");
    subscription.unsubscribe();
    // Answers of the server come in order: whoever would hear it has heard it now.
    await fleet.admin.flush();
  };

  for (const way of WAYS) {
    await t.step(`as a result, by ${way}`, async () => {
      const id = newCommandId();
      ongoing(await ask(fleet.admin, "n1", "task.run", { args: ["gate"] }, { id, waitMs: 0 }));
      const events: FollowEvent[] = [];
      const stop = new AbortController();
      const following = (async () => {
        for await (const event of follow(fleet.admin, id, ["n1"], stop.signal)) events.push(event);
      })();
      const at = new Date().toISOString();
      const forged: Result = {
        ...{ id, node: "n1", capability: "task", verb: "run", attempt: 1, state: "failed", durationMs: 0 },
        ...{ acceptedAt: at, finishedAt: at, output: { head: "", tail: "", bytes: 0, lines: 0, truncated: false } },
      };
      const as = { "Nats-Stream": "XTASK_RESULTS", "Nats-Subject": `${resultSubject(id)}.n1` };
      await deliver(way, resultSubject(id), JSON.stringify(forged), as);
      stop.abort();
      await following;
      assert.deepEqual(events.filter(({ type }) => type === "result"), []);
      await fleet.admin.request(runSubject("n1", "cancel"), JSON.stringify({ id }));
    });

    await t.step(`as a heartbeat, by ${way}`, async () => {
      const { instance, slots, queued, load, running } = await fleet.record("n1");
      const at = new Date().toISOString();
      const beat: Heartbeat = { id: "n1", at, instance, digest: "x", state: "offline", slots, queued, load, running };
      await deliver(way, HEARTBEATS, JSON.stringify(beat), { "Nats-Subject": heartbeatSubject("n1") });
      const { nodes } = JSON.parse((await fleet.admin.request(hubSubject("node", "list"), "{}")).text());
      assert.equal(nodes.find(({ id }: { id: string }) => id === "n1").state, "online");
    });

    for (const node of ["n1", "n2"]) {
      await t.step(`as a command under another's name, by ${way}, to ${node}`, async () => {
        using accepted = await hear(fleet.admin, "xtask.events.default.command_accepted");
        await deliver(way, commandSubject(node, "task", "run", "olga"), '{"args":["hello"]}', {
          [HEADER.commandId]: newCommandId(),
        });
        // One that is asked after it and accepted shows that the node has passed it by.
        const id = newCommandId();
        await ask(fleet.admin, node, "task.run", { args: ["hello"] }, { id });
        const own = await accepted.first((message) => JSON.parse(message.text()).command === id);
        assert.ok(own);
        assert.deepEqual(accepted.messages.map((message) => JSON.parse(message.text()).command), [id]);
      });
    }
  }
});
