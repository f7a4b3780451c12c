/** NATS JWTs (version 2): how operators, accounts and users are vouched for. */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import * as v from "valibot";
import { XtaskError } from "../protocol/error.ts";
import { parse, parseJson } from "../protocol/parse.ts";
import { encodeBase32 } from "./base32.ts";
import { type AccountFacts, Claims, type OperatorFacts, type UserFacts } from "./claims.ts";
import { isPublicKey, type Nkey, type NkeyType, verify } from "./nkey.ts";

/** What to vouch for. */
export interface NewClaims {
  /** Public key of whom it is about. */
  readonly sub: string;
  /** Name of whom it is about; for a user under a scoped key it fills `{{name()}}`. */
  readonly name: string;
  /** Not accepted from this time on, in Unix seconds. Never ends by default. */
  readonly exp?: number;
  /** When it was issued, in Unix seconds. @default the present */
  readonly iat?: number;
  readonly nats:
    | v.InferInput<typeof OperatorFacts>
    | v.InferInput<typeof AccountFacts>
    | v.InferInput<typeof UserFacts>;
}

/** Whose signature vouches for whom. */
const ISSUER = { operator: "operator", account: "operator", user: "account" } as const satisfies Record<
  NkeyType,
  NkeyType
>;
const Head = v.object({ typ: v.string(), alg: v.string() });
const HEAD = base64url('{"typ":"JWT","alg":"ed25519-nkey"}');
/** An account with tens of thousands of revocations still fits. */
const JWT_CHARS_MAX = 4 * 1024 * 1024;

/**
 * A signed JWT.
 *
 * A user whose issuer is a scoped key must carry nothing but `type` and `issuer_account`; any other user needs limits
 * ({@linkcode UNLIMITED_USER}), since absent ones allow nothing.
 *
 * @throws {XtaskError} `invalid` if subject or issuer have a key of the wrong type
 */
export function encodeJwt(issuer: Nkey, claims: NewClaims): string {
  const { sub, name, exp, iat = Math.floor(Date.now() / 1000), nats } = claims;
  checkKeys(nats.type, sub, issuer.publicKey);
  const body = {
    iat,
    iss: issuer.publicKey,
    name,
    sub,
    ...(exp === undefined ? {} : { exp }),
    nats: { ...nats, version: 2 },
  };
  const jti = encodeBase32(createHash("sha256").update(JSON.stringify(body)).digest());
  const signed = `${HEAD}.${base64url(JSON.stringify(parse(Claims, { jti, ...body }, `${nats.type} to sign`)))}`;
  return `${signed}.${base64url(issuer.sign(Buffer.from(signed)))}`;
}

/**
 * Reads a JWT and checks its signature against the issuer that it names. Whether that issuer is to be trusted, and whether
 * the JWT has expired, is for the caller to say.
 *
 * @throws {XtaskError} `invalid` if it is no NATS JWT, `unauthenticated` if the signature is not the issuer's
 */
export function decodeJwt(text: string): Claims {
  const [head, body, signature, ...rest] = text.length <= JWT_CHARS_MAX ? text.trim().split(".") : [];
  if (head === undefined || body === undefined || signature === undefined || rest.length > 0) {
    throw new XtaskError("invalid", "This is not a JWT");
  }
  if (head !== HEAD) checkHead(head);
  const claims = parseJson(Claims, Buffer.from(body, "base64url").toString(), "JWT");
  checkKeys(claims.nats.type, claims.sub, claims.iss);
  const signed = Buffer.from(`${head}.${body}`);
  if (!verify(claims.iss, signed, new Uint8Array(Buffer.from(signature, "base64url")))) {
    throw new XtaskError("unauthenticated", "The JWT was not signed by the issuer that it names");
  }
  return claims;
}

function checkKeys(type: NkeyType, subject: string, issuer: string): void {
  if (!isPublicKey(type, subject)) {
    throw new XtaskError("invalid", `The subject of the JWT is no public key of type ${type}`);
  }
  const by = ISSUER[type];
  if (!isPublicKey(by, issuer)) throw new XtaskError("invalid", `The JWT of type ${type} must be signed by an ${by}`);
}

function checkHead(head: string): void {
  const { typ, alg } = parseJson(Head, Buffer.from(head, "base64url").toString(), "head of the JWT");
  if (typ.toUpperCase() !== "JWT" || alg.toLowerCase() !== "ed25519-nkey") {
    throw new XtaskError("invalid", "Only NATS JWTs of version 2 are understood", {
      details: ["expected in its head: alg 'ed25519-nkey'"],
    });
  }
}

function base64url(data: string | Uint8Array): string {
  return Buffer.from(data).toString("base64url");
}
