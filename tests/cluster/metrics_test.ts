import assert from "node:assert/strict";
import { pointsOf, readMetrics } from "../../lib/client/metrics.ts";
import { lastOf, STREAM } from "../../lib/nats/streams.ts";
import { METRICS_MS, SERIES_POINTS_MAX } from "../../lib/protocol/limits.ts";
import { Metrics } from "../../lib/protocol/metrics.ts";
import { parseJson } from "../../lib/protocol/parse.ts";
import { inboxPrefix, metricsSubject, upMetrics } from "../../lib/protocol/subjects.ts";
import { startFleet } from "../fleet.ts";
import { until } from "../until.ts";
import { xtask } from "../xtask_process.ts";

Deno.test("a node measures itself, and an operator reads it as series", async () => {
  await using fleet = await startFleet({ nodes: ["n1"] });
  const operator = await fleet.connect(await fleet.join("operator", "olga"));
  const { text } = await until("a sample", () => lastOf(operator, STREAM.metrics, metricsSubject("n1")));
  const sample = parseJson(Metrics, text, "metrics");
  assert.equal(sample.node, "n1");
  assert.ok(sample.memory.usedBytes > 0 && sample.memory.usedBytes < sample.memory.totalBytes);
  assert.ok((sample.disk?.freeBytes ?? 0) > 0);

  // A node that nobody runs, told of in steps: what is read back is known.
  const author = await fleet.connect(await fleet.join("node", "edge-9"), { inboxPrefix: inboxPrefix("edge-9") });
  author.publish(upMetrics("edge-9"), JSON.stringify({ ...sample, node: "edge-9", load: 7 }));
  await until("it is stored", () => lastOf(operator, STREAM.metrics, metricsSubject("edge-9")));
  const now = Date.now();
  const { nodes, times } = await readMetrics(operator, {
    nodes: ["n1", "edge-9"],
    from: now - 60_000,
    to: now + METRICS_MS,
  });
  assert.equal(nodes["edge-9"]?.load.length, times.length);
  assert.deepEqual(nodes["edge-9"]?.load.filter((point) => point !== null), [7]);
  await assert.rejects(readMetrics(operator, { nodes: [], from: now, to: now }), { code: "invalid" });
});

Deno.test("however long the time, the points stay few", () => {
  const { times, stepMs } = pointsOf({ nodes: [], from: 0, to: 30 * 24 * 3_600_000, stepMs: 1 });
  assert.ok(times.length <= SERIES_POINTS_MAX && stepMs >= METRICS_MS);
  assert.equal(times.at(-1), 30 * 24 * 3_600_000);
});

Deno.test("what nodes measured last is one line for each, however much is kept", async () => {
  await using fleet = await startFleet({ nodes: ["n1"] });
  const { text } = await until("a sample", () => lastOf(fleet.admin, STREAM.metrics, metricsSubject("n1")));
  const author = await fleet.connect(await fleet.join("node", "edge-9"), { inboxPrefix: inboxPrefix("edge-9") });
  for (const load of [1, 2, 3]) {
    author.publish(upMetrics("edge-9"), JSON.stringify({ ...JSON.parse(text), node: "edge-9", load }));
  }
  await until(
    "all to be stored",
    async () => (await lastOf(fleet.admin, STREAM.metrics, metricsSubject("edge-9")))?.text.includes('"load":3'),
  );
  const creds = `${fleet.folder}/admin.creds`;
  await Deno.writeTextFile(creds, fleet.up.adminCreds, { mode: 0o600 });
  const told = async (...words: string[]) => {
    const env = { XTASK_NATS_URL: fleet.url, XTASK_NATS_CREDS: creds };
    const { code, stdout, stderr } = await xtask(["metrics", "--no-follow", "--json", ...words], {
      home: fleet.folder,
      env,
    });
    assert.equal(code, 0, stderr);
    const samples = stdout.trimEnd().split("\n").map((line) => parseJson(Metrics, line, "sample"));
    return samples.filter(({ node }) => node === "edge-9").map(({ load }) => load);
  };
  assert.deepEqual(await told(), [3]);
  assert.deepEqual(await told("--since", "1h"), [1, 2, 3]);
});
