/** What the tests of `got` stand on: a folder, a run's context, and real servers on loopback. */
import assert from "node:assert/strict";
import { newCommandId } from "../../protocol/id.ts";
import { XtaskError } from "../../protocol/error.ts";
import type { ErrorCode } from "../../protocol/error.ts";
import { platformHere } from "../../protocol/platform.ts";
import type { RunContext } from "../define.ts";

/** The ground of one test; everything goes when it is disposed. */
export interface Ground extends AsyncDisposable {
  /** The node's folder. */
  readonly dir: string;
  /** A folder beside it, which nothing may touch. */
  readonly outside: string;
  /** What runs have logged. */
  readonly logs: string[];
  /** A context as the host gives to a handler. */
  context(signal?: AbortSignal): RunContext;
  /** Starts a server and gives its URL, without a slash at the end. */
  serve(handler: (request: Request) => Response | Promise<Response>): string;
  /** Names of all that lies in the node's folder, sorted, with `/`. */
  files(): Promise<string[]>;
}

/** Makes a ground. */
export async function testGround(): Promise<Ground> {
  await using stack = new AsyncDisposableStack();
  const root = await Deno.realPath(await Deno.makeTempDir({ prefix: "got" }));
  stack.defer(() => Deno.remove(root, { recursive: true }));
  const dir = `${root}/node`;
  const outside = `${root}/outside`;
  await Deno.mkdir(dir);
  await Deno.mkdir(outside);
  const logs: string[] = [];
  const owned = stack.move();
  return {
    dir,
    outside,
    logs,
    context: (signal = new AbortController().signal) => ({
      command: newCommandId(),
      node: { id: "local", platform: platformHere(), dir, tools: {}, protectedPids: [], env: {} },
      signal,
      log: (text) => void logs.push(text),
      exec: () => Promise.reject(new TypeError("got runs no programs")),
      kill: () => false,
    }),
    serve(handler) {
      const closing = new AbortController();
      const options = { hostname: "127.0.0.1", port: 0, signal: closing.signal, onListen: () => {} };
      const server = Deno.serve(options, handler);
      // Not shutdown(), which waits for answers that a test may never give.
      owned.defer(() => {
        closing.abort();
        return server.finished;
      });
      return `http://127.0.0.1:${server.addr.port}`;
    },
    files: async () => (await namesUnder(dir, "")).sort(),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** What `assert.rejects` takes for an XtaskError with this code and a message that matches. */
export function isError(code: ErrorCode, message = /./): (error: unknown) => true {
  return (error) => {
    assert(error instanceof XtaskError, `expected an XtaskError, got ${error}`);
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    return true;
  };
}

/** A body that ends before the length that its response announces: the server then ends the connection. */
export function cutBody(bytes: Uint8Array): ReadableStream<Uint8Array> {
  const parts = [bytes];
  return new ReadableStream({
    pull(controller) {
      const part = parts.pop();
      if (part === undefined) controller.close();
      else controller.enqueue(part);
    },
  }, { highWaterMark: 0 });
}

async function namesUnder(folder: string, prefix: string): Promise<string[]> {
  const names: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    names.push(prefix + name);
    if (isDirectory) names.push(...await namesUnder(`${folder}/${name}`, `${prefix}${name}/`));
  }
  return names;
}
