import assert from "node:assert/strict";
import { formatCreds, parseCreds } from "./creds.ts";
import { UNLIMITED_USER } from "./claims.ts";
import { encodeJwt } from "./jwt.ts";
import { generateNkey } from "./nkey.ts";

const user = generateNkey("user");
const jwt = encodeJwt(generateNkey("account"), {
  sub: user.publicKey,
  name: "ann",
  nats: { type: "user", ...UNLIMITED_USER },
});

Deno.test("credentials survive being written and read, with either line ending", () => {
  const text = formatCreds(jwt, user.seed);
  assert.deepEqual(parseCreds(text), { jwt, seed: user.seed });
  assert.deepEqual(parseCreds(text.replaceAll("\n", "\r\n")), { jwt, seed: user.seed });
});

Deno.test("credentials as nsc writes them are read", () => {
  const text = `-----BEGIN NATS USER JWT-----
${jwt}
------END NATS USER JWT------

************************* IMPORTANT *************************
NKEY Seed printed below can be used to sign and prove identity.
NKEYs are sensitive and should be treated as secrets.

-----BEGIN USER NKEY SEED-----
${user.seed}
------END USER NKEY SEED------

*************************************************************
`;
  assert.deepEqual(parseCreds(text), { jwt, seed: user.seed });
});

Deno.test("the error names the block that is missing", () => {
  const [jwtBlock = "", seedBlock = ""] = formatCreds(jwt, user.seed).split(/\*+ IMPORTANT \*+/);
  assert.throws(() => parseCreds(jwtBlock), { code: "invalid", message: /USER NKEY SEED/ });
  assert.throws(() => parseCreds(seedBlock), { code: "invalid", message: /NATS USER JWT/ });
});
