/** What every Deno program costs. */
export {};
