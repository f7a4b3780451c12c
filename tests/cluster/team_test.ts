import assert from "node:assert/strict";
import { readNotes, sendNote, whoIsHere } from "../../lib/client/team.ts";
import { connectFleet } from "../../lib/client/fleet.ts";
import type { Bus } from "../../lib/nats/bus.ts";
import { lastOf, nextMessage, STREAM } from "../../lib/nats/streams.ts";
import { newCommandId } from "../../lib/protocol/id.ts";
import { HERE_MS } from "../../lib/protocol/limits.ts";
import {
  commandSubject,
  hereSubject,
  hubSubject,
  inboxPrefix,
  logSubject,
  noteSubject,
  resultSubject,
  upEvent,
  upResult,
} from "../../lib/protocol/subjects.ts";
import { hear, refused } from "../asking.ts";
import { startFleet } from "../fleet.ts";
import { until } from "../until.ts";

/** What the server says no to, by subject. */
function refusalsOf(bus: Bus): Disposable & { readonly subjects: ReadonlySet<string> } {
  const subjects = new Set<string>();
  let listening = true;
  void (async () => {
    for await (const status of bus.connection.status()) {
      if (!listening) return;
      if (status.type === "error") subjects.add(/"([^"]+)"/.exec(status.error.message)?.[1] ?? "");
    }
  })();
  return { subjects, [Symbol.dispose]: () => void (listening = false) };
}

Deno.test("people speak, are here and ask commands under their own name alone", async (t) => {
  await using fleet = await startFleet({ nodes: ["n1"] });
  const person = async (name: string) =>
    await connectFleet({
      servers: fleet.url,
      creds: await fleet.join("operator", name),
      inboxPrefix: inboxPrefix(name),
    });
  await using olga = await person("olga");
  await using bob = await person("bob");
  const notes = async () => {
    const all = [];
    for await (const { author, to, text } of readNotes(bob.bus, "default", {})) all.push({ author, to, text });
    return all;
  };

  await t.step("a note is stored under its author's name, for the team, one of it, or all", async () => {
    await sendNote(olga.bus, "default", "team", "  deploying\nnow ");
    await sendNote(olga.bus, "default", "bob", "have a look");
    await sendNote(bob.bus, "default", "global", "the hub moves at noon");
    assert.deepEqual(await notes(), [
      { author: "olga", to: "team", text: "deploying\nnow" },
      { author: "olga", to: "bob", text: "have a look" },
      { author: "bob", to: "global", text: "the hub moves at noon" },
    ]);
    for (
      const [to, text] of [["team", " "], ["team", "a\x1b[2J"], ["team", "ä".repeat(2_049)], ["a.b", "x"], [">", "x"]]
    ) {
      await assert.rejects(sendNote(olga.bus, "default", to as string, text as string), { code: "invalid" });
    }
  });

  await t.step("nobody speaks, announces or is here as another, and none of it becomes a report", async () => {
    const before = await notes();
    using reports = await hear(fleet.admin, resultSubject("*"));
    for (
      const subject of [
        noteSubject("default", "team", "olga"),
        noteSubject("default", "global", "olga"),
        hereSubject("default", "olga"),
        noteSubject("default", "team", "bob.olga"),
        upEvent("bob", "note"),
        resultSubject("bob"),
      ]
    ) await refused(bob.bus.request(subject, '{"text":"forged"}'), "forbidden");
    // On a channel that looks like a report's, with its own name behind it: a project cannot be called so.
    await refused(bob.bus.request(noteSubject("up", "results", "bob"), '{"text":"forged"}'), "forbidden");
    await refused(bob.bus.request(noteSubject("events", "default", "bob"), '{"text":"forged"}'), "forbidden");
    await refused(bob.bus.request(`$JS.API.STREAM.PURGE.${STREAM.notes}`, ""), "forbidden");
    assert.deepEqual(await notes(), before);
    assert.equal(reports.messages.length, 0);
  });

  await t.step("no answer of the server, a node or the hub is sent where a report would be", async () => {
    const author = await fleet.connect(fleet.up.adminCreds);
    bob.bus.publish(noteSubject("default", "team", "bob"), '{"forged":true}');
    await bob.bus.flush();
    const forged = Array.from({ length: 4 }, () => newCommandId());
    const [direct, node, hub, push] = forged.map((id) => upResult("n1", id));
    using denied = refusalsOf(bob.bus);
    const ask = (subject: string, input: unknown, reply?: string) =>
      bob.bus.connection.publish(subject, JSON.stringify(input), reply === undefined ? {} : { reply });
    const last = { last_by_subj: noteSubject("default", "team", "bob") };
    for (const stream of [STREAM.notes, STREAM.here, STREAM.logs, STREAM.results, STREAM.events, STREAM.alerts]) {
      ask(`$JS.API.DIRECT.GET.${stream}`, last, direct);
    }
    ask(commandSubject("n1", "which", "check"), { names: ["sh"] }, node);
    ask(hubSubject("command", "list"), {}, hub);
    const config = { name: "push", deliver_subject: push, deliver_policy: "all", ack_policy: "none" };
    await bob.bus.request(
      `$JS.API.CONSUMER.CREATE.${STREAM.notes}.push`,
      JSON.stringify({ stream_name: STREAM.notes, config }),
    );
    await until("the server's refusals", () => denied.subjects.size === 6);
    // What was asked before this has been answered, in order, when this is.
    await bob.bus.request(commandSubject("n1", "which", "check"), '{"names":["sh"]}');
    await bob.bus.request(hubSubject("command", "list"), "{}");
    for (const id of forged) assert.equal(await lastOf(author, STREAM.up, upResult("n1", id)), undefined);
  });

  await t.step("who says to be here is here, for a while", async () => {
    assert.deepEqual(await whoIsHere(olga.bus, "default", Date.now()), []);
    olga.bus.publish(hereSubject("default", "olga"), '{"via":"cli","open":1}');
    bob.bus.publish(hereSubject("default", "bob"), "nonsense");
    const here = await until("olga to be here", async () => {
      const found = await whoIsHere(bob.bus, "default", Date.now());
      return found.length > 0 && found;
    });
    assert.deepEqual(here.map(({ user, via }) => [user, via]), [["olga", "cli"]]);
    assert.deepEqual(await whoIsHere(bob.bus, "default", Date.now() + HERE_MS + 1_000), []);
  });

  await t.step("a command tells who asked, by proof or by word", async () => {
    const asked = await olga.ask({ capability: "task", verb: "run", input: { args: ["hello"] }, nodes: ["n1"] });
    const byOf = (id: string) => until(`who asked ${id}`, () => fleet.up.hub.commands.get(id)?.by);
    assert.deepEqual(await byOf(asked.id), { user: "olga", proven: true });
    const input = '{"args":["hello"]}';
    await refused(bob.bus.request(commandSubject("n1", "task", "run", "olga"), input), "forbidden");
    const id = newCommandId();
    await bob.bus.request(commandSubject("n1", "task", "run"), input, {
      headers: { "Xtask-User": "olga", "Xtask-Command-Id": id },
    });
    assert.deepEqual(await byOf(id), { user: "olga", proven: false });
  });

  await t.step("an operator looks a message of the logs up without direct get", async () => {
    const { id } = await olga.ask({ capability: "task", verb: "run", input: { args: ["hello"] }, nodes: ["n1"] });
    const subject = logSubject("n1", id);
    const first = await until("output", () => nextMessage(bob.bus, STREAM.logs, subject, 1));
    assert.equal(first.subject, subject);
    assert.match(new TextDecoder().decode(first.data), /Hello/);
    const last = await until("the end", async () => {
      const message = await nextMessage(bob.bus, STREAM.logs, subject, first.sequence + 1);
      return message?.header("Xtask-Log-End") !== undefined && message;
    });
    assert.equal(await nextMessage(bob.bus, STREAM.logs, subject, last.sequence + 1), undefined);
  });

  await t.step("no node has the project's id, whose subjects are people's", async () => {
    await refused(fleet.join("node", "default"), "invalid", /the id of its project/);
  });
});
