import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { download, type DownloadOptions } from "./download.ts";
import { cutBody, type Ground, isError, testGround } from "./ground_for_tests.ts";
import { FRUITLESS_MAX } from "./retry.ts";

const BYTES = crypto.getRandomValues(new Uint8Array(50_000));
const SHA256 = createHash("sha256").update(BYTES).digest("hex");
const ETAG = '"v1"';

async function get(ground: Ground, url: string, options: Partial<DownloadOptions> = {}) {
  const path = `${ground.dir}/file`;
  using file = await Deno.open(path, { write: true, create: true, truncate: true });
  const got = await download(new URL(url), file, {
    maxBytes: 1_000_000,
    backoffMs: 1,
    signal: new AbortController().signal,
    ...options,
  });
  assert.deepEqual(await Deno.readFile(path), BYTES, "what is written must be what was sent");
  return got;
}

function rangeOf(request: Request): number | undefined {
  const range = /^bytes=(\d+)-$/.exec(request.headers.get("range") ?? "");
  return range === null ? undefined : Number(range[1]);
}

/** The rest of the file from a byte on, as a server gives it that knows ranges. */
function rest(from: number, body: BodyInit = BYTES.slice(from)): Response {
  const headers = {
    "content-range": `bytes ${from}-${BYTES.length - 1}/${BYTES.length}`,
    "content-length": `${BYTES.length - from}`,
  };
  return new Response(body, { status: 206, headers });
}

/** The first bytes of the whole file; then the connection is cut. */
function cutAfter(bytes: number, headers: Record<string, string> = {}): Response {
  return new Response(cutBody(BYTES.slice(0, bytes)), { headers: { "content-length": `${BYTES.length}`, ...headers } });
}

Deno.test("a file arrives whole, with its length and sha256, whether or not its length is announced", async () => {
  await using ground = await testGround();
  const seen: [number, number | undefined][] = [];
  const known = ground.serve(() => new Response(BYTES));
  const onProgress = (bytes: number, total: number | undefined) => void seen.push([bytes, total]);
  assert.deepEqual(await get(ground, known, { onProgress }), { bytes: BYTES.length, sha256: SHA256 });
  assert.deepEqual(seen.at(-1), [BYTES.length, BYTES.length]);
  const chunked = ground.serve(() => new Response(new Blob([BYTES]).stream()));
  assert.equal((await get(ground, chunked)).sha256, SHA256);
});

Deno.test("a lost connection is resumed where it was lost, again and again", async () => {
  await using ground = await testGround();
  const asked: [number | undefined, string | null][] = [];
  const url = ground.serve((request) => {
    const from = rangeOf(request);
    asked.push([from, request.headers.get("if-range")]);
    if (from === undefined) return cutAfter(20_000, { etag: ETAG });
    return from < 40_000 ? rest(from, cutBody(BYTES.slice(from, from + 10_000))) : rest(from);
  });
  assert.equal((await get(ground, url)).sha256, SHA256);
  assert.deepEqual(asked, [[undefined, null], [20_000, ETAG], [30_000, ETAG], [40_000, ETAG]]);
});

Deno.test("a download begins again where the server cannot resume, changed the file, or gives another part", async () => {
  const modified = "Tue, 01 Jan 2030 00:00:00 GMT";
  const servers: Record<
    string,
    { readonly first: Record<string, string>; readonly then: (from?: number) => Response }
  > = {
    "no validator": { first: {}, then: (from) => new Response(from === undefined ? BYTES : "never asked") },
    "a weak validator": {
      first: { etag: 'W/"1"' },
      then: (from) => new Response(from === undefined ? BYTES : "never asked"),
    },
    "a changed file": { first: { "last-modified": modified }, then: () => new Response(BYTES) },
    "another part": {
      first: { etag: ETAG },
      then: (from) => from === undefined ? new Response(BYTES) : rest(from + 1),
    },
    "no such part": {
      first: { etag: ETAG },
      then: (from) => new Response(BYTES, { status: from === undefined ? 200 : 416 }),
    },
  };
  for (const [name, { first, then }] of Object.entries(servers)) {
    await using ground = await testGround();
    let requests = 0;
    const url = ground.serve((request) => requests++ === 0 ? cutAfter(20_000, first) : then(rangeOf(request)));
    assert.equal((await get(ground, url)).sha256, SHA256, name);
  }
});

Deno.test("a server that always cuts at the same place is given up", async () => {
  await using ground = await testGround();
  let requests = 0;
  const url = ground.serve(() => {
    requests++;
    return cutAfter(20_000);
  });
  await assert.rejects(get(ground, url), isError("unavailable"));
  assert.equal(requests, 1 + FRUITLESS_MAX, "the first try did get further");
});

Deno.test("5xx and 429 are tried again and then given up; other refusals are not", async () => {
  await using ground = await testGround();
  const answers: number[] = [503, 500, 429];
  const retries: string[] = [];
  const url = ground.serve(() => {
    const status = answers.shift();
    return status === undefined
      ? new Response(BYTES)
      : new Response("busy", { status, headers: { "retry-after": "0" } });
  });
  await get(ground, url, { onRetry: ({ message }) => void retries.push(message) });
  assert.equal(retries.length, 3);

  const codes = {
    404: "not_found",
    410: "not_found",
    401: "forbidden",
    403: "forbidden",
    400: "invalid",
    204: "invalid",
    503: "unavailable",
  } as const;
  for (const [status, code] of Object.entries(codes)) {
    let requests = 0;
    const refusing = ground.serve(() => {
      requests++;
      return new Response(null, { status: Number(status) });
    });
    await assert.rejects(get(ground, refusing), isError(code, new RegExp(status)));
    assert.equal(requests, code === "unavailable" ? FRUITLESS_MAX : 1);
  }
});

Deno.test("a server that asks for a long pause is not waited for", async () => {
  await using ground = await testGround();
  let requests = 0;
  const url = ground.serve(() => {
    requests++;
    return new Response(null, { status: 503, headers: { "retry-after": "3600" } });
  });
  await assert.rejects(get(ground, url), isError("unavailable", /pause of 3600 s/));
  assert.equal(requests, 1);
});

Deno.test("too many bytes are refused, announced or not", async () => {
  await using ground = await testGround();
  const known = ground.serve(() => new Response(BYTES));
  const chunked = ground.serve(() => new Response(new Blob([BYTES]).stream()));
  for (const url of [known, chunked]) {
    await assert.rejects(get(ground, url, { maxBytes: BYTES.length - 1 }), isError("exhausted", /larger than/));
    await get(ground, url, { maxBytes: BYTES.length });
  }
});

Deno.test("cancelling ends a transfer, a pause and the wait for an answer, with its reason", async () => {
  const reason = new Error("enough");
  const never = new Promise<Response>(() => {});
  const pulled = Promise.withResolvers<void>();
  const stages: Record<string, (stop: () => void) => Response | Promise<Response>> = {
    transfer: (stop) => {
      const body = new ReadableStream({
        start: (controller) => controller.enqueue(BYTES.slice(0, 10)),
        pull: () => {
          stop();
          return pulled.promise;
        },
      });
      return new Response(body);
    },
    answer: (stop) => {
      stop();
      return never;
    },
  };
  for (const [name, answer] of Object.entries(stages)) {
    await using ground = await testGround();
    const abort = new AbortController();
    const url = ground.serve(() => answer(() => abort.abort(reason)));
    await assert.rejects(get(ground, url, { signal: abort.signal }), reason, name);
  }
  await using ground = await testGround();
  const abort = new AbortController();
  const url = ground.serve(() => new Response(null, { status: 503, headers: { "retry-after": "50" } }));
  await assert.rejects(get(ground, url, { signal: abort.signal, onRetry: () => abort.abort(reason) }), reason);
  pulled.resolve();
});
