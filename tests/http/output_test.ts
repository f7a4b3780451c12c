import assert from "node:assert/strict";
import { startFleet, type TestFleet } from "../fleet.ts";
import { until } from "../until.ts";

const TASKFILE = `
version: "3"
silent: true
tasks:
  count: { cmds: ["seq 1 3000"] }
  looks: { cmds: ["printf '\\\\033[31mred\\\\033[0m 10%%\\\\r20%% <b>\\\\n'; printf UNFINISHED"] }
  trouble: { cmds: ["echo trouble >&2"] }
  fails: { cmds: ["exit 3"] }
`;

interface Line {
  readonly number: number;
  readonly stream: string;
  readonly text: string;
}

function api({ up }: TestFleet) {
  const ask = async (path: string, init: RequestInit = {}) => {
    const answer = await fetch(`${up.http.url}/api/v1${path}`, {
      ...init,
      headers: { authorization: `Bearer ${up.token}`, "content-type": "application/json", ...init.headers },
    });
    return { status: answer.status, headers: answer.headers, text: await answer.text() };
  };
  const get = async (path: string) => {
    const { status, text } = await ask(path);
    return { status, body: JSON.parse(text) };
  };
  const post = async (path: string, body: unknown) => {
    const { status, text } = await ask(path, { method: "POST", body: JSON.stringify(body) });
    return { status, body: JSON.parse(text) };
  };
  return {
    ask,
    get,
    post,
    /** Runs to the end, and is known to the hub. */
    async run(command: string): Promise<string> {
      const { body } = await post("/tasks?wait=30000", { command });
      assert.equal(body.results?.length, body.nodes?.length, JSON.stringify(body));
      await until("the hub to hear of all runs", async () => {
        const { runs = {} } = (await get(`/commands/${body.id}`)).body;
        return Object.keys(runs).length === body.nodes.length;
      });
      return body.id;
    },
  };
}

Deno.test("what a run wrote is read by range, page, tail and search, as JSON and as text", async (t) => {
  await using fleet = await startFleet({ nodes: ["n1", "n2"], taskfile: TASKFILE });
  const { ask, get, run } = api(fleet);
  const id = await run("task run count --on n1");
  const all = Array.from({ length: 3_000 }, (_, at) => String(at + 1));
  const logs = async (query: string) => {
    const { status, body } = await get(`/commands/${id}/logs${query}`);
    assert.equal(status, 200, JSON.stringify(body));
    return body as { node: string; total: number; ended: boolean; lines: Line[]; next?: number };
  };
  const texts = ({ lines }: { lines: Line[] }) => lines.map(({ text }) => text);
  await until("all output to be stored", async () => (await logs("?tail=1")).ended);

  await t.step("a range, from its first to its last line", async () => {
    const some = await logs("?from=120&to=130");
    assert.deepEqual(texts(some), all.slice(119, 130));
    assert.deepEqual([some.node, some.total, some.ended, some.next], ["n1", 3_000, true, undefined]);
    assert.deepEqual(some.lines[0], { ...some.lines[0], number: 120, stream: "out" });
    assert.deepEqual(texts(await logs("?from=2999&to=9999")), ["2999", "3000"]);
    assert.deepEqual(texts(await logs("?from=4000")), []);
  });

  await t.step("pages, one behind the other, are all of it", async () => {
    const read: string[] = [];
    let after: number | undefined = 0;
    let pages = 0;
    while (after !== undefined) {
      const page = await logs(`?after=${after}&limit=700`);
      read.push(...texts(page));
      after = page.next;
      pages++;
    }
    assert.deepEqual([read, pages], [all, 5]);
    const first = await logs("");
    assert.deepEqual([first.lines.length, first.next], [500, 500], "a page is bounded where nobody says by how much");
    const most = await logs("?from=1&to=3000");
    assert.deepEqual([most.lines.length, most.next], [2_000, 2_000]);
  });

  await t.step("the tail, and what matches", async () => {
    assert.deepEqual(texts(await logs("?tail=3")), ["2998", "2999", "3000"]);
    assert.deepEqual((await logs("?tail=2000")).lines.length, 2_000);
    assert.deepEqual(texts(await logs("?search=299")), all.filter((text) => text.includes("299")));
    assert.deepEqual(texts(await logs("?search=299&from=1000&to=2994")), [
      "1299",
      "2299",
      "2990",
      "2991",
      "2992",
      "2993",
      "2994",
    ]);
    const one = await logs("?search=7&limit=2");
    assert.deepEqual([texts(one), one.next], [["7", "17"], 17]);
    assert.deepEqual(texts(await logs("?search=7&limit=2&after=17")), ["27", "37"]);
  });

  await t.step("as text for those who want text", async () => {
    const plain = await ask(`/commands/${id}/logs?from=1&to=3`, { headers: { accept: "text/plain" } });
    assert.deepEqual([plain.text, plain.headers.get("content-type")], ["1\n2\n3\n", "text/plain; charset=utf-8"]);
    const page = await ask(`/commands/${id}/logs?limit=2`, { headers: { accept: "text/plain" } });
    assert.deepEqual(["next", "total", "ended"].map((name) => page.headers.get(`xtask-${name}`)), [
      "2",
      "3000",
      "true",
    ]);
    const either = await ask(`/commands/${id}/logs?tail=1`, { headers: { accept: "*/*" } });
    assert.match(either.headers.get("content-type") ?? "", /^application\/json/);
  });

  await t.step("what drives a terminal is no part of a line, and what it wrote over is gone", async () => {
    const looks = await run("task run looks --on all");
    const unclear = await get(`/commands/${looks}/logs`);
    assert.deepEqual([unclear.status, unclear.body.error.code], [400, "invalid"]);
    assert.match(unclear.body.error.details[0], /n1, n2/);
    const lines = await until<Line[]>("its output", async () => {
      const { body } = await get(`/commands/${looks}/logs?node=n2`);
      return body.ended && body.lines;
    });
    assert.deepEqual(lines.map(({ text }) => text), ["20% <b>", "UNFINISHED"]);
    assert.deepEqual(texts((await get(`/commands/${looks}/logs?node=n2&search=unfinished`)).body), ["UNFINISHED"]);
    assert.deepEqual(texts((await get(`/commands/${looks}/logs?node=n2&search=unfinished&case=1`)).body), []);
    const trouble = await run("task run trouble --on n1");
    const [err] = await until<Line[]>("its output", async () => {
      const { body } = await get(`/commands/${trouble}/logs`);
      return body.ended && body.lines;
    });
    assert.deepEqual([err?.stream, err?.text], ["err", "trouble"]);
  });

  await t.step("what cannot be meant is refused", async () => {
    const rows: [string, number][] = [
      [`/commands/${id}/logs?tail=3&after=1`, 400],
      [`/commands/${id}/logs?from=0`, 400],
      [`/commands/${id}/logs?limit=2001`, 400],
      [`/commands/${id}/logs?tail=99999999999999999999`, 400],
      [`/commands/${id}/logs?search=`, 400],
      [`/commands/${id}/logs?node=*`, 400],
      ["/commands/nosuch/logs", 400],
      ["/commands/01JAAAAAAAAAAAAAAAAAAAAAAA/logs", 404],
      ["/commands/01JAAAAAAAAAAAAAAAAAAAAAAA/results", 404],
    ];
    for (const [path, status] of rows) assert.equal((await get(path)).status, status, path);
  });
});

Deno.test("results are told by node and by page; a node's labels and its taking part are changed", async (t) => {
  await using fleet = await startFleet({ nodes: ["n1", "n2"], taskfile: TASKFILE });
  const { get, post, run } = api(fleet);

  await t.step("results", async () => {
    const id = await run("task run fails --on all");
    const results = async (query: string) => {
      const { status, body } = await get(`/commands/${id}/results${query}`);
      assert.equal(status, 200, JSON.stringify(body));
      return body as { results: { node: string; state: string; exitCode: number }[]; next?: number };
    };
    const both = await until("both results to be stored", async () => {
      const found = await results("");
      return found.results.length === 2 && found;
    });
    assert.deepEqual(both.results.map(({ state, exitCode }) => [state, exitCode]), [["failed", 3], ["failed", 3]]);
    assert.equal(both.next, undefined);
    assert.deepEqual((await results("?node=n2")).results.map(({ node }) => node), ["n2"]);
    const first = await results("?limit=1");
    const second = await results(`?limit=1&after=${first.next}`);
    assert.deepEqual([...first.results, ...second.results], both.results);
    assert.equal(second.next, undefined);
  });

  await t.step("labels and draining", async () => {
    const labelled = await post("/nodes/n1/label", { labels: { region: "eu-west", tier: "prod" } });
    assert.deepEqual([labelled.status, labelled.body.labels], [200, { region: "eu-west", tier: "prod" }]);
    assert.deepEqual((await post("/nodes/n1/label", { labels: { tier: null } })).body.labels, { region: "eu-west" });
    for (const body of [{ labels: { "a b": "c" } }, { labels: { a: "b,c" } }, { label: {} }, {}]) {
      assert.equal((await post("/nodes/n1/label", body)).status, 400, JSON.stringify(body));
    }
    assert.equal((await post("/nodes/n1/drain", {})).body.state, "draining");
    assert.equal((await post("/nodes/n1/silent/exec", { command: ["true"] })).status, 503);
    assert.equal((await post("/nodes/n1/resume", {})).body.state, "online");
    assert.equal((await post("/nodes/n1/silent/exec", { command: ["true"] })).status, 202);
    const nobody = await post("/nodes/n9/drain", {});
    assert.deepEqual([nobody.status, nobody.body.error.message], [404, "There is no node 'n9'"]);
    assert.equal((await post("/nodes/all/drain", {})).status, 404);
    assert.equal((await post("/nodes/nodes/drain", {})).status, 400, "a word of the subjects is no node");
  });
});
