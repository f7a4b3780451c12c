import assert from "node:assert/strict";
import { join } from "node:path";
import { LOGIN_LINK_MS, LOGIN_LINKS_MAX, SESSION_MS, SESSIONS_MAX } from "../protocol/limits.ts";
import { until } from "../../tests/until.ts";
import { newSecret, openSessions, type SessionsOptions } from "./session.ts";

/** Sessions under a clock that stands where it is put. */
async function opened(options: Partial<SessionsOptions> = {}) {
  const clock = { now: Date.now() };
  const sessions = await openSessions({ token: "the-token", now: () => clock.now, ...options });
  const login = async () => (await sessions.login(sessions.invite().secret))!;
  return { clock, sessions, login, [Symbol.asyncDispose]: () => sessions[Symbol.asyncDispose]() };
}

/** A path for a file of sessions, in a folder that goes. */
async function place(): Promise<{ readonly path: string } & AsyncDisposable> {
  const folder = await Deno.makeTempDir();
  return {
    path: join(folder, "sessions.json"),
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
}

Deno.test("a link logs in once and not for long", async () => {
  await using all = await opened();
  const { sessions, clock } = all;
  const { secret, expiresAt } = sessions.invite();
  assert.equal(expiresAt, clock.now + LOGIN_LINK_MS);
  const session = await sessions.login(secret);
  assert.equal(sessions.ofCookie(session!.secret)?.kind, "session");
  assert.equal(await sessions.login(secret), undefined, "used");
  assert.equal(await sessions.login(newSecret()), undefined, "a guess");
  assert.equal(sessions.ofCookie(secret), undefined, "the link's secret is not the session's");
  const late = sessions.invite();
  clock.now = late.expiresAt;
  assert.equal(await sessions.login(late.secret), undefined, "too old");
});

Deno.test("links that nobody uses make room for new ones", async () => {
  await using all = await opened();
  const links = Array.from({ length: LOGIN_LINKS_MAX + 1 }, () => all.sessions.invite());
  assert.equal(await all.sessions.login(links[0]!.secret), undefined);
  assert.notEqual(await all.sessions.login(links[1]!.secret), undefined);
});

Deno.test("a session ends when its time is over, and with it what it has open", async () => {
  await using all = await opened();
  const { secret, expiresAt } = await all.login();
  assert.equal(expiresAt, all.clock.now + SESSION_MS);
  all.clock.now = expiresAt - 1;
  assert.notEqual(all.sessions.ofCookie(secret), undefined);
  all.clock.now = expiresAt;
  assert.equal(all.sessions.ofCookie(secret), undefined);

  await using kept = await place();
  {
    await using before = await opened({ path: kept.path });
    before.clock.now += 5_000 - SESSION_MS;
    const { secret } = await before.login();
    await using after = await openSessions({ token: "the-token", path: kept.path });
    const { signal } = after.ofCookie(secret)!;
    await until("its time to be over", () => signal.aborted);
    assert.equal(after.ofCookie(secret), undefined);
  }
});

Deno.test("logging out ends one session and what it has open, and no other", async () => {
  await using all = await opened();
  const [one, other] = [await all.login(), await all.login()];
  const caller = all.sessions.ofCookie(one.secret)!;
  const stays = all.sessions.ofCookie(other.secret)!;
  assert.notEqual(caller.key, stays.key);
  await all.sessions.logout(caller);
  assert.deepEqual([caller.signal.aborted, stays.signal.aborted], [true, false]);
  assert.deepEqual([all.sessions.ofCookie(one.secret), all.sessions.ofCookie(other.secret)], [undefined, stays]);
  await all.sessions.logout(caller);
  await all.sessions.logout(all.sessions.ofToken("the-token")!);
  assert.notEqual(all.sessions.ofToken("the-token"), undefined, "the token is no session");
});

Deno.test("the oldest session ends for one too many", async () => {
  await using all = await opened();
  const first = await all.login();
  const { signal } = all.sessions.ofCookie(first.secret)!;
  const second = await all.login();
  for (let count = 2; count <= SESSIONS_MAX; count++) await all.login();
  assert.deepEqual([signal.aborted, all.sessions.ofCookie(first.secret)], [true, undefined]);
  assert.notEqual(all.sessions.ofCookie(second.secret), undefined);
});

Deno.test("the token is taken whole or not at all, and ends only with the server", async () => {
  const { sessions } = await opened();
  for (const wrong of ["", "the-toke", "the-token ", "THE-TOKEN", "the-tokenn"]) {
    assert.equal(sessions.ofToken(wrong), undefined, wrong);
  }
  const { kind, signal } = sessions.ofToken("the-token")!;
  assert.deepEqual([kind, signal.aborted], ["token", false]);
  await sessions[Symbol.asyncDispose]();
  assert.equal(signal.aborted, true);
});

Deno.test("sessions outlive the process where they are kept, as hashes that only their owner can read", async () => {
  await using kept = await place();
  let secret: string;
  let gone: string;
  {
    await using before = await opened({ path: kept.path });
    ({ secret } = await before.login());
    ({ secret: gone } = await before.login());
    const { signal } = before.sessions.ofCookie(secret)!;
    await before.sessions.logout(before.sessions.ofCookie(gone)!);
    assert.equal(signal.aborted, false);
  }
  const text = await Deno.readTextFile(kept.path);
  assert.ok(!text.includes(secret));
  if (Deno.build.os !== "windows") assert.equal((await Deno.stat(kept.path)).mode! & 0o777, 0o600);
  {
    await using after = await opened({ path: kept.path });
    assert.notEqual(after.sessions.ofCookie(secret), undefined);
    assert.equal(after.sessions.ofCookie(gone), undefined, "who has logged out stays so");
    const { sessions: [{ hash }] } = JSON.parse(text);
    assert.equal(after.sessions.ofCookie(hash), undefined, "what is kept lets nobody in");
  }
  const late = await openSessions({ token: "t", path: kept.path, now: () => Date.now() + SESSION_MS });
  assert.equal(late.ofCookie(secret), undefined, "those that are over are not read again");
  await late[Symbol.asyncDispose]();
  await Deno.writeTextFile(kept.path, '{"sessions":[{"hash":1}]}');
  await assert.rejects(openSessions({ token: "t", path: kept.path }), { code: "invalid" });
});
