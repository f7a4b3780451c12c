import assert from "node:assert/strict";
import { STREAMS_MAX, STREAMS_PER_CALLER_MAX } from "../../lib/protocol/limits.ts";
import { upEvent } from "../../lib/protocol/subjects.ts";
import { startFleet } from "../fleet.ts";
import { until } from "../until.ts";

const NAVIGATES = { "sec-fetch-site": "none", "sec-fetch-mode": "navigate", accept: "text/html" };
const FETCHES = { "sec-fetch-site": "same-origin", "sec-fetch-mode": "cors" };

Deno.test("many people with many tabs each take no more streams than there are, and none of what others do", async () => {
  await using fleet = await startFleet({ nodes: ["n1"] });
  const { http } = fleet.up;
  const stop = new AbortController();
  const login = async () => {
    const answer = await fetch(http.loginLink(), { redirect: "manual", headers: NAVIGATES });
    await answer.body?.cancel();
    return { ...FETCHES, cookie: answer.headers.get("set-cookie")?.split(";")[0] ?? "" };
  };
  const open = async (headers: HeadersInit) => {
    const answer = await fetch(`${http.url}/events?view=/`, { headers, signal: stop.signal });
    if (answer.status !== 200) await answer.body?.cancel();
    return answer;
  };
  const people = STREAMS_MAX / STREAMS_PER_CALLER_MAX + 1;
  const answers: Response[] = [];
  for (let person = 0; person < people; person++) {
    const headers = await login();
    answers.push(...await Promise.all(Array.from({ length: STREAMS_PER_CALLER_MAX }, () => open(headers))));
  }
  const statuses = Map.groupBy(answers, ({ status }) => status);
  assert.deepEqual([...statuses].map(([status, all]) => [status, all.length]), [
    [200, STREAMS_MAX],
    [429, STREAMS_PER_CALLER_MAX],
  ]);
  const page = await fetch(`${http.url}/`, { headers: { ...NAVIGATES, cookie: (await login()).cookie } });
  assert.equal(page.status, 200, "what is no stream is served as before");
  assert.match(await page.text(), /<h1 id="title">Fleet<\/h1>/);
  stop.abort();
  await Promise.allSettled(answers.map(({ body }) => body?.cancel()));
  await until("the places to be free again", async () => {
    const metrics = await fetch(`${http.url}/metrics`, { headers: { authorization: `Bearer ${fleet.up.token}` } });
    return (await metrics.text()).includes("\nxtask_event_streams 0\n");
  });
});

Deno.test("what a node reports begins no event of its own on anybody's stream", async () => {
  await using fleet = await startFleet({ nodes: ["n1"] });
  const { http, token } = fleet.up;
  const node = await fleet.connect(fleet.node("n1").creds, { inboxPrefix: "_INBOX_n1" });
  const stop = new AbortController();
  const stream = await fetch(`${http.url}/api/v1/events?types=forged,last`, {
    headers: { authorization: `Bearer ${token}` },
    signal: stop.signal,
  });
  const reader = stream.body!.pipeThrough(new TextDecoderStream()).getReader();
  assert.match((await reader.read()).value ?? "", /^: events follow/);
  // What is read is what comes from now on, and that it has begun is told by nothing: so it is said until it is heard.
  let text = "";
  const saying = setInterval(() => {
    for (const end of ["\r", "\n", "\r\n"]) {
      node.publish(upEvent("n1", "forged"), `x${end}${end}id: 9${end}event: command_result${end}data: {}${end}${end}`);
    }
    node.publish(upEvent("n1", "last"), "{}");
  }, 100);
  try {
    while (!text.includes("event: last")) text += (await reader.read()).value ?? "";
  } finally {
    clearInterval(saying);
    stop.abort();
    await reader.cancel().catch(() => {});
  }
  const lines = text.split(/\r\n|\r|\n/);
  assert.ok(lines.some((line) => line.startsWith("data: x") && line.includes("event: command_result")));
  assert.deepEqual([...new Set(lines.filter((line) => line.startsWith("event: ")))].sort(), [
    "event: forged",
    "event: last",
  ]);
  assert.ok(!lines.includes("id: 9"));
});

Deno.test("no project but the own one is asked about, whatever the words for another are", async () => {
  await using fleet = await startFleet({ nodes: ["n1"] });
  const { http, token } = fleet.up;
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const paths = ["/events?view=/", "/api/v1/events?", "/api/v1/nodes?", "/console?words=", "/?"];
  for (const project of ["*", ">", "default.>", "default.*", "", "Default", "../default", "other", "default\r\nx: y"]) {
    for (const path of paths) {
      const answer = await fetch(`${http.url}${path}&project=${encodeURIComponent(project)}`, { headers });
      assert.ok([400, 404].includes(answer.status), `${path} ${JSON.stringify(project)}: ${answer.status}`);
      await answer.body?.cancel();
    }
    const asked = await fetch(`${http.url}/api/v1/tasks`, {
      method: "POST",
      headers,
      body: JSON.stringify({ command: "task run hello --on all", project }),
    });
    assert.ok([400, 404].includes(asked.status), `${asked.status} ${await asked.text()}`);
  }
});
