/** Asking the page and the API that belong to a context, with the trust that the context has. */
import type { Context } from "./contexts.ts";

/** What came of it. */
export interface PageAnswer {
  readonly status: number;
  readonly text: string;
}

/** Resolves when the whole answer is there; rejects with what `fetch` says where none comes. */
export async function askPage(
  { http, ca }: { readonly http: string } & Pick<Context, "ca">,
  path: string,
  init: RequestInit & { readonly signal: AbortSignal },
): Promise<PageAnswer> {
  using client = ca === undefined ? undefined : Deno.createHttpClient({ caCerts: [await Deno.readTextFile(ca)] });
  const answer = await fetch(`${http}${path}`, { ...init, ...(client === undefined ? {} : { client }) });
  return { status: answer.status, text: await answer.text() };
}
