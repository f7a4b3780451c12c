import assert from "node:assert/strict";
import fc from "fast-check";
import { makeCertificates, OPENSSL } from "../../tests/certificates.ts";
import { XtaskError } from "../protocol/error.ts";
import { parse } from "../protocol/parse.ts";
import { decodeJwt } from "./jwt.ts";
import { checkProof, createInvitation, createJoinRequest, JoinRequest, readToken } from "./invite.ts";
import { openKeyring } from "./keyring.ts";
import { nkeyFromSeed } from "./nkey.ts";

const NOW = Date.UTC(2026, 0, 1);
const LATER = NOW + 60_000;

async function invited(role: "node" | "operator" = "node", ca?: string) {
  const dir = await Deno.makeTempDir();
  try {
    return createInvitation((await openKeyring(`${dir}/keyring.json`, ["acme"])).projects[0], {
      role,
      expiresAt: LATER,
      ...(ca === undefined ? {} : { ca }),
    });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("a token reads back as the invitation it was made for, pasted with or without a line end", async () => {
  for (const role of ["node", "operator"] as const) {
    const { invitation, token } = await invited(role);
    assert.deepEqual(invitation, { id: invitation.id, role, expiresAt: LATER });
    const read = readToken(`  ${token}\n`, NOW);
    assert.deepEqual({ ...read, creds: "" }, { invitation: invitation.id, expiresAt: LATER, creds: "" });
    const [, jwt = "", seed = ""] = /-+\s+(ey\S+)\s[^]*?-+\s+(SU\S+)\s/.exec(read.creds) ?? [];
    const claims = decodeJwt(jwt);
    assert.equal(claims.name, invitation.id);
    assert.equal(claims.sub, nkeyFromSeed(seed).publicKey, "the holder of the token has the key that is vouched for");
    assert.match(token, /^[A-Za-z0-9_.-]+$/, "no shell reads anything into it");
  }
});

Deno.test("two invitations share neither id nor token", async () => {
  const [first, second] = [await invited(), await invited()];
  assert.notEqual(first.invitation.id, second.invitation.id);
  assert.notEqual(first.token, second.token);
});

Deno.test("a token that has expired is refused as such", async () => {
  const { token } = await invited();
  assert.equal(readToken(token, LATER - 1).expiresAt, LATER);
  for (const now of [LATER, LATER + 1]) assert.throws(() => readToken(token, now), { code: "unauthenticated" });
});

Deno.test("a token that was cut anywhere is refused", async () => {
  const { token } = await invited();
  for (let length = 0; length < token.length; length++) {
    assert.throws(() => readToken(token.slice(0, length), NOW), { code: "invalid" });
    assert.throws(() => readToken(token.slice(token.length - length), NOW), { code: "invalid" });
  }
});

Deno.test({
  name: "a token tells whom to trust, and one that was cut anywhere is refused",
  ignore: !OPENSSL,
  async fn() {
    await using certificates = await makeCertificates();
    await using others = await makeCertificates();
    const ca = certificates.ca + others.ca;
    const { token } = await invited("node", ca);
    assert.equal(readToken(token, NOW).ca, ca);
    assert.match(token, /^[A-Za-z0-9_.-]+$/);
    for (let length = 0; length < token.length; length++) {
      assert.throws(() => readToken(token.slice(0, length), NOW), { code: "invalid" });
    }
    const [seed, first = "", ...rest] = token.split(".");
    const spoilt = [seed, first.slice(0, -40), ...rest].join(".");
    assert.throws(() => readToken(spoilt, NOW), { code: "invalid" });
  },
});

Deno.test("a token of which any character was altered is refused, or means the very same", async () => {
  const { token } = await invited();
  const meant = readToken(token, NOW);
  let same = 0;
  fc.assert(
    fc.property(fc.nat(token.length - 1), fc.constantFrom(...'Aa0_-.zZ~ \n"'), (at, character) => {
      fc.pre(token[at] !== character);
      try {
        // The last character of base64 text may have bits that say nothing.
        const { creds: _, ...read } = readToken(token.slice(0, at) + character + token.slice(at + 1), NOW);
        assert.deepEqual(read, { invitation: meant.invitation, expiresAt: meant.expiresAt });
        same++;
      } catch (error) {
        assert.ok(error instanceof XtaskError && error.code === "invalid", String(error));
      }
    }),
    { numRuns: 500 },
  );
  assert.ok(same < 25, `${same} of 500 alterations were not noticed`);
});

Deno.test("a token whose key is not the one that is vouched for is refused", async () => {
  const [mine, other] = [await invited(), await invited()];
  const mixed = [mine.token.split(".")[0], ...other.token.split(".").slice(1)].join(".");
  assert.throws(() => readToken(mixed, NOW), { code: "invalid" });
});

Deno.test("a join request proves its key, for one name and one invitation", () => {
  const { request, seed } = createJoinRequest("join-1", "mac-1");
  assert.equal(nkeyFromSeed(seed).publicKey, request.publicKey);
  assert.ok(!JSON.stringify(request).includes(seed), "the private key stays where it was made");
  assert.deepEqual(parse(JoinRequest, JSON.parse(JSON.stringify(request)), "join request"), request);
  checkProof("join-1", request);
  const other = createJoinRequest("join-1", "mac-1").request;
  const forged: [string, JoinRequest][] = [
    ["join-2", request],
    ["join-1", { ...request, name: "mac-2" }],
    ["join-1", { ...request, publicKey: other.publicKey }],
    ["join-1", { ...request, proof: other.proof }],
    ["join-1", { ...request, proof: "" }],
    ["join-1", { ...request, proof: btoa("short") }],
  ];
  for (const [invitation, one] of forged) {
    assert.throws(() => checkProof(invitation, one), { code: "unauthenticated" });
  }
});

Deno.test("a join request of the wrong shape is refused at the door", () => {
  const { request } = createJoinRequest("join-1", "mac-1");
  const wrong: unknown[] = [
    null,
    {},
    { ...request, name: "hub" },
    { ...request, name: "../mac" },
    { ...request, publicKey: `A${request.publicKey.slice(1)}` },
    { ...request, proof: "!" },
    { ...request, role: "admin" },
  ];
  for (const one of wrong) assert.throws(() => parse(JoinRequest, one, "join request"), { code: "invalid" });
});
