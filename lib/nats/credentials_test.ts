/** Keys, JWTs and credentials of lib/auth, judged by the server and by the published libraries. */
import assert from "node:assert/strict";
import { nkeys } from "@nats-io/nats-core/internal";
import { startTestServer, type TestServer } from "../../tests/nats_server.ts";
import { UNLIMITED_ACCOUNT, UNLIMITED_USER } from "../auth/claims.ts";
import { formatCreds } from "../auth/creds.ts";
import { encodeJwt, type NewClaims } from "../auth/jwt.ts";
import { generateNkey, type Nkey } from "../auth/nkey.ts";
import { connect, natsError } from "./connect.ts";

const operator = generateNkey("operator");
const operatorSigner = generateNkey("operator");
const system = generateNkey("account");
const account = generateNkey("account");
const accountSigner = generateNkey("account");
const nodeSigner = generateNkey("account");

const WITHIN = { timeout: 10_000 };

Deno.test("a server in operator mode judges our JWTs", async (t) => {
  await using server = await operatorServer();
  const { url: servers } = server;
  await using admin = await connect({ servers, creds: creds(accountSigner, { name: "admin" }) });
  admin.subscribe("xtask.>", { callback: (_error, message) => void message.respond(message.subject) });
  await admin.flush();

  await t.step("a user under a scoped key has the template's rights with its own name in them", async () => {
    const scoped = { creds: creds(nodeSigner, { name: "n1", scoped: true }), inboxPrefix: "_INBOX_n1" };
    await using node = await connect({ servers, ...scoped });
    assert.equal((await node.request("xtask.up.n1.results", "", WITHIN)).string(), "xtask.up.n1.results");
    const elsewhere = await node.request("xtask.up.n2.results", "", WITHIN).then(() => undefined, natsError);
    assert.equal(elsewhere?.code, "forbidden");
  });

  await t.step("a user under a scoped key may not bring rights of its own", async () => {
    await refused(server, creds(nodeSigner, { name: "n1" }));
  });

  await t.step("an expired JWT is refused, and the error says since when", async () => {
    const { details } = await refused(server, creds(accountSigner, { name: "late", exp: 1_700_000_000 }));
    assert.deepEqual(details, ["they expired at 2023-11-14T22:13:20.000Z"]);
  });

  await t.step("a JWT signed by a key that the account does not know is refused", async () => {
    await refused(server, creds(generateNkey("account"), { name: "ann" }));
  });

  await t.step("another user's seed is refused", async () => {
    await refused(server, creds(accountSigner, { name: "ann", seed: generateNkey("user").seed }));
  });

  await t.step("a revoked user is refused", async () => {
    await refused(server, creds(accountSigner, { name: "gone", user: revoked, iat: 1_700_000_000 }));
    await using again = await connect({ servers, creds: creds(accountSigner, { name: "back", user: revoked }) });
    await again.flush();
  });

  await t.step("a connection whose JWT runs out is ended for good", async () => {
    const exp = Math.floor(Date.now() / 1000) + 6;
    const connection = await connect({ servers, creds: creds(accountSigner, { name: "brief", exp }) });
    const reason = await connection.closed();
    assert.equal(natsError(reason).code, "unauthenticated");
  });
});

Deno.test("keys are those of the published nkeys library", () => {
  const { publicKey, seed, sign } = generateNkey("user");
  const theirs = nkeys.fromSeed(new TextEncoder().encode(seed));
  const bytes = crypto.getRandomValues(new Uint8Array(64));
  assert.equal(theirs.getPublicKey(), publicKey);
  assert.deepEqual(theirs.sign(bytes), sign(bytes));
});

const revoked = generateNkey("user");

function operatorServer(): Promise<TestServer> {
  const claims: NewClaims[] = [
    { sub: system.publicKey, name: "SYS", nats: { type: "account", limits: UNLIMITED_ACCOUNT } },
    {
      sub: account.publicKey,
      name: "project",
      nats: {
        type: "account",
        limits: UNLIMITED_ACCOUNT,
        signing_keys: [accountSigner.publicKey, {
          kind: "user_scope",
          key: nodeSigner.publicKey,
          role: "node",
          template: {
            ...UNLIMITED_USER,
            pub: { allow: ["xtask.up.{{name()}}.>"] },
            sub: { allow: ["_INBOX_{{name()}}.>"] },
          },
        }],
        revocations: { [revoked.publicKey]: 1_700_000_001 },
      },
    },
  ];
  return startTestServer({
    operator: encodeJwt(operator, {
      sub: operator.publicKey,
      name: "operator",
      nats: { type: "operator", signing_keys: [operatorSigner.publicKey], system_account: system.publicKey },
    }),
    system_account: system.publicKey,
    resolver: "MEMORY",
    resolver_preload: Object.fromEntries(claims.map((claim) => [claim.sub, encodeJwt(operatorSigner, claim)])),
  });
}

interface UserToMake extends Pick<NewClaims, "name" | "exp" | "iat"> {
  readonly user?: Nkey;
  /** Written instead of the user's own. */
  readonly seed?: string;
  /** Whether to leave all rights to the signing key's template. */
  readonly scoped?: boolean;
}

function creds(issuer: Nkey, { user = generateNkey("user"), seed, scoped = false, ...claims }: UserToMake): string {
  const nats = { type: "user", issuer_account: account.publicKey, ...(scoped ? {} : UNLIMITED_USER) } as const;
  return formatCreds(encodeJwt(issuer, { ...claims, sub: user.publicKey, nats }), seed ?? user.seed);
}

async function refused({ url: servers }: TestServer, creds: string) {
  const error = await connect({ servers, creds }).then(() => undefined, natsError);
  assert.equal(error?.code, "unauthenticated");
  return { details: error.details };
}
