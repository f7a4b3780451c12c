import assert from "node:assert/strict";
import { jetstreamManager } from "@nats-io/jetstream";
import { CAPABILITY_NAMES, loadCapability } from "../../lib/capability/registry.ts";
import { connectFleet } from "../../lib/client/fleet.ts";
import { createApp } from "../../lib/http/app.ts";
import { openProjects } from "../../lib/http/projects.ts";
import { openSessions } from "../../lib/http/session.ts";
import { lastSequence, STREAM } from "../../lib/nats/streams.ts";
import { upEvent } from "../../lib/protocol/subjects.ts";
import { startFleet, type TestFleet } from "../fleet.ts";
import { replaced } from "../replaced.ts";
import { until } from "../until.ts";

const headersOf = ({ up }: TestFleet) => ({ authorization: `Bearer ${up.token}`, "content-type": "application/json" });

/** Events as they are read, until there are so many. */
async function readEvents(fleet: TestFleet, query: string, count: number, more: Record<string, string> = {}) {
  const stop = new AbortController();
  const { body, status } = await fetch(`${fleet.up.http.url}/api/v1/events?${query}`, {
    headers: { ...headersOf(fleet), ...more },
    signal: stop.signal,
  });
  assert.equal(status, 200);
  const events: { id: number; type: string; data: Record<string, unknown> }[] = [];
  let text = "";
  for await (const chunk of body!.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    const blocks = text.split("\n\n");
    text = blocks.pop() ?? "";
    for (const block of blocks.filter((one) => one.startsWith("id: "))) {
      const [id = "", type = "", data = ""] = block.split("\n").map((line) => line.slice(line.indexOf(": ") + 2));
      events.push({ id: Number(id), type, data: JSON.parse(data) });
    }
    if (events.length >= count) break;
  }
  stop.abort();
  return events.slice(0, count);
}

Deno.test("events are read from any of them on, each once and in order", async () => {
  await using fleet = await startFleet({ nodes: ["n1"] });
  const run = async () => {
    const body = JSON.stringify({ command: "task run hello --on n1" });
    const answer = await fetch(`${fleet.up.http.url}/api/v1/tasks`, {
      method: "POST",
      headers: headersOf(fleet),
      body,
    });
    return (await answer.json()).id as string;
  };
  const ids = [await run(), await run(), await run()];
  // The node's own joining, and three events of each command.
  const all = await until("all events", async () => {
    const read = await readEvents(fleet, "after=0", 10);
    return read.length === 10 && read;
  });
  assert.deepEqual(all.map(({ id }) => id), [...all.map(({ id }) => id)].sort((a, b) => a - b));
  for (const id of ids) {
    const types = all.filter(({ data }) => data.command === id).map(({ type }) => type);
    assert.deepEqual(types, ["command_accepted", "command_started", "command_result"]);
  }
  const [, second, third] = all;
  const resumed = await readEvents(fleet, "", 8, { "last-event-id": String(second?.id) });
  assert.deepEqual(resumed[0], third, "it goes on with the very next one");
  assert.deepEqual(resumed, all.slice(2));
  const results = await readEvents(fleet, "types=command_result&after=0", 3);
  assert.ok(results.every(({ type }) => type === "command_result"));
  for (const wrong of ["x", "-1", "1.5"]) {
    const answer = await fetch(`${fleet.up.http.url}/api/v1/events?after=${wrong}`, { headers: headersOf(fleet) });
    assert.equal(answer.status, 400, await answer.text());
  }
});

Deno.test("what is stored from the moment on that events follow is told", async () => {
  await using fleet = await startFleet({ nodes: ["n1"] });
  await using client = await connectFleet({ servers: fleet.url, creds: fleet.up.adminCreds });
  const { promise: stored, resolve: goOn } = Promise.withResolvers<void>();
  // The server begins to read no sooner than the event is stored.
  const connection = replaced(client.bus.connection, "request", async (subject, ...more) => {
    if (subject.startsWith(`$JS.API.CONSUMER.CREATE.${STREAM.events}`)) await stored;
    return await client.bus.connection.request(subject, ...more);
  });
  const held = { ...client, bus: replaced(client.bus, "connection", connection) };
  await using projects = await openProjects([{ project: "default", fleet: held }], () => {});
  await using sessions = await openSessions({ token: "token" });
  const app = await createApp({ projects, sessions, version: "0", unready: () => [], log: () => {} });
  const { body, status } = await app.request("http://127.0.0.1/api/v1/events", {
    headers: { authorization: "Bearer token", host: "127.0.0.1" },
  });
  assert.equal(status, 200);
  const node = await fleet.connect(fleet.node("n1").creds, { inboxPrefix: "_INBOX_n1" });
  const tell = async (message: string) => {
    const before = await lastSequence(fleet.admin, STREAM.events);
    const alert = { type: "alert", at: new Date().toISOString(), node: "n1", severity: "info", message };
    node.publish(upEvent("n1", "alert"), JSON.stringify(alert));
    await until("it to be stored", async () => await lastSequence(fleet.admin, STREAM.events) > before);
  };
  await tell("at once");
  goOn();
  await tell("later");
  let text = "";
  for await (const chunk of body!.pipeThrough(new TextDecoderStream())) if ((text += chunk).includes("later")) break;
  assert.match(text, /at once/);
});

Deno.test("nobody is told that events follow where they cannot be read", async () => {
  await using fleet = await startFleet({ nodes: [] });
  const manager = await jetstreamManager(fleet.admin.connection);
  await manager.streams.delete(STREAM.events);
  const answer = await fetch(`${fleet.up.http.url}/api/v1/events`, { headers: headersOf(fleet) });
  await answer.body?.cancel();
  assert.equal(answer.status, 404);
});

Deno.test("nodes and capabilities are told, and every verb of every capability is a route", async () => {
  await using fleet = await startFleet({ nodes: ["n1", "n2"] });
  const get = async (path: string) => {
    const answer = await fetch(`${fleet.up.http.url}/api/v1${path}`, { headers: headersOf(fleet) });
    return { status: answer.status, body: await answer.json() };
  };
  assert.deepEqual((await get("/nodes")).body.nodes.map(({ id }: { id: string }) => id), ["n1", "n2"]);
  assert.deepEqual((await get("/nodes?select=n2")).body.nodes.map(({ id }: { id: string }) => id), ["n2"]);
  assert.equal((await get("/nodes/n1")).body.id, "n1");
  assert.deepEqual([(await get("/nodes/n9")).status, (await get("/nodes/N_9*")).status], [404, 400]);
  const { capabilities } = (await get("/capabilities")).body as {
    capabilities: { name: string; verbs: { name: string }[] }[];
  };
  assert.deepEqual(capabilities.map(({ name }) => name), CAPABILITY_NAMES);
  for (const { name, verbs } of capabilities) {
    const definition = await loadCapability(name as typeof CAPABILITY_NAMES[number]);
    assert.deepEqual(verbs.map((verb) => verb.name), Object.keys(definition.verbs));
    for (const { name: verb } of verbs) {
      const answer = await fetch(`${fleet.up.http.url}/api/v1/nodes/n1/${name}/${verb}`, {
        method: "POST",
        headers: headersOf(fleet),
        body: JSON.stringify({ "no such field": true }),
      });
      const { error } = await answer.json();
      assert.deepEqual([answer.status, error.code], [400, "invalid"], `${name}.${verb} reads its input by its schema`);
    }
  }
  const check = async (query: string, names: readonly string[]) => {
    const answer = await fetch(`${fleet.up.http.url}/api/v1/nodes/n1/which/check${query}`, {
      method: "POST",
      headers: headersOf(fleet),
      body: JSON.stringify({ names }),
    });
    return { status: answer.status, body: await answer.json() };
  };
  const taken = await check("", ["sh"]);
  assert.deepEqual([taken.status, taken.body.nodes, taken.body.results], [202, ["n1"], undefined]);
  const ended = await check("?wait=30000", ["sh", "no-such-program"]);
  assert.equal(ended.status, 200);
  const [{ state, data }] = ended.body.results;
  assert.deepEqual([state, data.missing, data.found[0].name], ["succeeded", ["no-such-program"], "sh"]);
  for (const wrong of ["?wait=60001", "?wait=-1", "?wiat=1"]) assert.equal((await check(wrong, ["sh"])).status, 400);
});

Deno.test("the document tells of routes that are served, to those who are let in", async () => {
  await using fleet = await startFleet({ nodes: [] });
  const base = `${fleet.up.http.url}/api/v1`;
  const stranger = await fetch(`${base}/openapi.json`);
  assert.equal(stranger.status, 401, await stranger.text());
  const document = await (await fetch(`${base}/openapi.json`, { headers: headersOf(fleet) })).json();
  const operations = Object.entries<Record<string, unknown>>(document.paths)
    .flatMap(([path, methods]) => Object.keys(methods).map((method) => ({ path, method: method.toUpperCase() })));
  assert.ok(operations.length > 30);
  for (const { path, method } of operations) {
    // A query that no route takes: whoever refuses it is there.
    const url = `${fleet.up.http.url}${
      path.replace("{node}", "n1").replace("{key}", "node_away.n1").replace("{id}", "01JAAAAAAAAAAAAAAAAAAAAAAA")
    }?nosuch=1`;
    const answer = await fetch(url, {
      method,
      headers: headersOf(fleet),
      ...(method === "POST" ? { body: "{}" } : {}),
    });
    const { error } = await answer.json();
    assert.deepEqual([answer.status, error.details], [400, [
      'nosuch: Invalid key: Expected never but received "nosuch"',
    ]]);
  }
  const elsewhere = await fetch(`${base}/nodes/n1/rm/all`, { method: "POST", headers: headersOf(fleet), body: "{}" });
  assert.deepEqual([elsewhere.status, (await elsewhere.json()).error.details], [404, [
    "what there is: /api/v1/openapi.json",
  ]]);
  const otherwise = await fetch(`${base}/nodes/n1/which/check`, { headers: headersOf(fleet) });
  assert.deepEqual([otherwise.status, (await otherwise.json()).error.details], [404, ["it is asked by POST"]]);
});

Deno.test("one caller cannot hold every stream", async () => {
  await using fleet = await startFleet({ nodes: [] });
  const stop = new AbortController();
  const open = () => fetch(`${fleet.up.http.url}/api/v1/events`, { headers: headersOf(fleet), signal: stop.signal });
  const answers = await Promise.all(Array.from({ length: 80 }, open));
  const refused = answers.filter(({ status }) => status === 429);
  assert.equal(answers.length - refused.length, 64);
  assert.match(await (refused[0] as Response).text(), /You have 64 event streams open/);
  stop.abort();
  await Promise.allSettled(answers.map((answer) => answer.body?.cancel()));
  await until("a place to be free again", async () => {
    const again = new AbortController();
    const { status, body } = await fetch(`${fleet.up.http.url}/api/v1/events`, {
      headers: headersOf(fleet),
      signal: again.signal,
    });
    again.abort();
    await body?.cancel().catch(() => {});
    return status === 200;
  });
});

Deno.test("what Prometheus reads is told in its form", async () => {
  await using fleet = await startFleet({ nodes: ["n1"] });
  const get = async () => {
    const answer = await fetch(`${fleet.up.http.url}/metrics`, { headers: headersOf(fleet) });
    assert.match(answer.headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/);
    return await answer.text();
  };
  const text = await until("the node to have measured itself", async () => {
    const told = await get();
    return told.includes('xtask_node_cpu_percent{node="n1"}') && told;
  });
  assert.match(text, /^xtask_hub_up 1$/m);
  assert.match(text, /^xtask_nodes\{state="online"\} 1$/m);
  assert.match(text, /^xtask_node_runs_total\{node="n1",state="succeeded"\} 0$/m);
  for (const line of text.trimEnd().split("\n")) {
    assert.match(line, /^(# (HELP|TYPE) \w+ .+|\w+(\{\w+="[^"]*"(,\w+="[^"]*")*\})? -?\d+(\.\d+)?)$/);
  }
  assert.equal(await fetch(`${fleet.up.http.url}/metrics`).then(async (one) => (await one.text(), one.status)), 401);
});
