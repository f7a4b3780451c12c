import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { UNLIMITED_ACCOUNT, UNLIMITED_USER } from "./claims.ts";
import { decodeJwt, encodeJwt, type NewClaims } from "./jwt.ts";
import { generateNkey } from "./nkey.ts";

const operator = generateNkey("operator");
const account = generateNkey("account");
const scoped = generateNkey("account");
const user = generateNkey("user");

const accountClaims: NewClaims = {
  sub: account.publicKey,
  name: "project",
  exp: 2_000_000_000,
  nats: {
    type: "account",
    limits: UNLIMITED_ACCOUNT,
    signing_keys: [generateNkey("account").publicKey, {
      kind: "user_scope",
      key: scoped.publicKey,
      role: "node",
      template: {
        ...UNLIMITED_USER,
        pub: { allow: ["a.{{name()}}.>"], deny: ["a.*.secret"] },
        sub: { allow: ["b"] },
        resp: { max: 1, ttl: 1_000_000_000 },
        allowed_connection_types: ["STANDARD", "LEAFNODE"],
      },
    }],
    revocations: { [user.publicKey]: 1_700_000_000 },
    imports: [{ name: "in", subject: "x", type: "service", account: operator.publicKey }],
  },
};

Deno.test("what was encoded is decoded, fields unknown to xtask included", () => {
  const { iss, nats, ...rest } = decodeJwt(encodeJwt(operator, { ...accountClaims, iat: 1_800_000_000 }));
  assert.equal(iss, operator.publicKey);
  assert.deepEqual(nats, { ...accountClaims.nats, version: 2 });
  const { jti, ...times } = rest;
  assert.match(jti ?? "", /^[A-Z2-7]{52}$/);
  assert.deepEqual(times, { sub: account.publicKey, name: "project", iat: 1_800_000_000, exp: 2_000_000_000 });
});

Deno.test("a changed claim is noticed", () => {
  const [head, body = "", signature] = encodeJwt(operator, accountClaims).split(".");
  const claims = Buffer.from(body, "base64url").toString();
  const forged = Buffer.from(claims.replace('"project"', '"another"')).toString("base64url");
  assert.throws(() => decodeJwt([head, forged, signature].join(".")), { code: "unauthenticated" });
});

Deno.test("the signature of another key is noticed", () => {
  const signed = encodeJwt(operator, accountClaims).split(".").slice(0, 2).join(".");
  const signature = Buffer.from(generateNkey("operator").sign(Buffer.from(signed))).toString("base64url");
  assert.throws(() => decodeJwt(`${signed}.${signature}`), { code: "unauthenticated" });
});

Deno.test("keys must fit what they vouch for", () => {
  const nats = { type: "user", ...UNLIMITED_USER } as const;
  assert.throws(() => encodeJwt(operator, { sub: user.publicKey, name: "ann", nats }), { code: "invalid" });
  assert.throws(() => encodeJwt(account, { sub: account.publicKey, name: "ann", nats }), { code: "invalid" });
  assert.throws(() => encodeJwt(account, accountClaims), { code: "invalid" });
});

Deno.test("what is no JWT, or no NATS JWT of version 2, is refused", () => {
  const [, body, signature] = encodeJwt(operator, accountClaims).split(".");
  const old = Buffer.from('{"typ":"jwt","alg":"ed25519"}').toString("base64url");
  const none = Buffer.from('{"typ":"JWT","alg":"none"}').toString("base64url");
  for (const text of ["", "a.b", "a.b.c.d", "!.!.!", `${old}.${body}.${signature}`, `${none}.${body}.`]) {
    assert.throws(() => decodeJwt(text), { code: "invalid" });
  }
});
