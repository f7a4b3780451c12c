/** The environment that tests give to what they start. */

/** What would lead to another hub, or have tools write other things where a build service runs the tests than elsewhere. */
const LEFT_OUT = /^(XTASK_|NATS_|TASK_|GITHUB_|GITLAB_|CLICOLOR|(CI|FORCE_COLOR|NO_COLOR)$)/;

/** That of this process, without what would make it another test. */
export function surroundings(): Record<string, string> {
  return Object.fromEntries(Object.entries(Deno.env.toObject()).filter(([name]) => !LEFT_OUT.test(name)));
}
