/** Waiting for what a test cannot be told of. */
const STEP_MS = 10;

/**
 * Asks again and again until there is an answer other than undefined or false, and returns it.
 *
 * @param what Names it in the error: "the server's port".
 * @throws {Error} if there is none within the time allowed
 */
export async function until<T>(
  what: string,
  ask: () => T | undefined | false | Promise<T | undefined | false>,
  { timeoutMs = 15_000 }: { timeoutMs?: number } = {},
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  while (performance.now() < deadline) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    await new Promise((resolve) => setTimeout(resolve, STEP_MS));
  }
  throw new Error(`Waited ${timeoutMs} ms in vain for ${what}`);
}
