/** Invitations: a token that lets one machine or person ask for a credential, once, for a short time. */
import * as v from "valibot";
import { authoritiesFrom, authoritiesOf } from "./certificate.ts";
import { XtaskError } from "../protocol/error.ts";
import { Id } from "../protocol/id.ts";
import { formatCreds } from "./creds.ts";
import { decodeJwt } from "./jwt.ts";
import { generateNkey, isPublicKey, nkeyFromSeed, verify } from "./nkey.ts";
import type { ProjectKeys } from "./keyring.ts";

/** What can be invited. */
export const InviteRole = v.picklist(["node", "operator"]);
/** What can be invited. */
export type InviteRole = v.InferOutput<typeof InviteRole>;

/** What the hub keeps of an invitation. */
export const Invitation = v.object({ id: v.string(), role: InviteRole, expiresAt: v.number() });
/** What the hub keeps of an invitation. */
export type Invitation = v.InferOutput<typeof Invitation>;

/** What is asked with a token. The private key stays where it was made; `proof` shows that the asker has it. */
export const JoinRequest = v.strictObject({
  name: Id,
  publicKey: v.pipe(v.string(), v.check((key) => isPublicKey("user", key), "expected a user's public key")),
  proof: v.pipe(v.string(), v.base64()),
  /** Whether it is for the link of a node that has a server of its own. */
  leaf: v.optional(v.literal(true)),
});
/** What is asked with a token. */
export type JoinRequest = v.InferOutput<typeof JoinRequest>;

/** What it is answered with. */
export const JoinReply = v.object({
  jwt: v.string(),
  project: Id,
  role: InviteRole,
  /** Where leaf nodes connect, on the host that was asked. */
  leafPort: v.optional(v.number()),
});
/** What it is answered with. */
export type JoinReply = v.InferOutput<typeof JoinReply>;

const PREFIX = "xtask_join_";

/** A new invitation, and its token, which is shown once and kept nowhere. With `ca` it says whom to trust as well. */
export function createInvitation(
  keys: ProjectKeys,
  { role, expiresAt, ca }: { role: InviteRole; expiresAt: number; ca?: string },
): { readonly invitation: Invitation; readonly token: string } {
  const id = `join-${crypto.randomUUID().slice(0, 13)}`;
  const key = generateNkey("user");
  const jwt = keys.issue({ role: "join", name: id, publicKey: key.publicKey, expiresAt });
  // The JWT last: it notices where the end is missing.
  const words = [key.seed, ...(ca === undefined ? [] : authoritiesOf(ca)), jwt];
  return { invitation: { id, role, expiresAt }, token: `${PREFIX}${words.join(".")}` };
}

/** A token that has been read. */
export interface Token {
  readonly invitation: string;
  /** Text of a creds file that lets its holder hand in the token and nothing else. */
  readonly creds: string;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
  /** PEM of the authorities that vouch for the hub, where it does not rely on those that systems know. */
  readonly ca?: string;
}

/** Words of a JWT. */
const JWT_WORDS = 3;

/**
 * Reads a token.
 *
 * @throws {XtaskError} `invalid` where it is cut or altered, `unauthenticated` where it has expired
 */
export function readToken(text: string, now: number): Token {
  const [seed, ...rest] = text.trim().slice(PREFIX.length).split(".");
  const wrong = (cause?: unknown) =>
    new XtaskError("invalid", "This is not a join token", {
      details: ["paste the whole line that `xtask auth invite` printed"],
      cause,
    });
  if (!text.trim().startsWith(PREFIX) || seed === undefined || rest.length < JWT_WORDS) throw wrong();
  const jwt = rest.slice(-JWT_WORDS).join(".");
  const authorities = rest.slice(0, -JWT_WORDS);
  let claims: ReturnType<typeof decodeJwt>;
  let publicKey: string;
  let ca: string;
  try {
    ({ publicKey } = nkeyFromSeed(seed));
    claims = decodeJwt(jwt);
    ca = authoritiesFrom(authorities);
  } catch (cause) {
    throw wrong(cause);
  }
  if (claims.sub !== publicKey) throw wrong();
  const expiresAt = (claims.exp ?? 0) * 1000;
  if (expiresAt <= now) {
    throw new XtaskError("unauthenticated", "This join token has expired", {
      details: ["ask for a new one: xtask auth invite"],
    });
  }
  const trust = authorities.length === 0 ? {} : { ca };
  return { invitation: claims.name, creds: formatCreds(jwt, seed), expiresAt, ...trust };
}

/** A key made here, and the request to have it vouched for. */
export function createJoinRequest(
  invitation: string,
  name: string,
  { leaf = false }: { leaf?: boolean } = {},
): { readonly request: JoinRequest; readonly seed: string } {
  const key = generateNkey("user");
  const proof = btoa(String.fromCharCode(...key.sign(proofBytes(invitation, name))));
  const request = { name, publicKey: key.publicKey, proof, ...(leaf ? { leaf } as const : {}) };
  return { request, seed: key.seed };
}

/** @throws {XtaskError} `unauthenticated` where the asker does not have the private key */
export function checkProof(invitation: string, { name, publicKey, proof }: JoinRequest): void {
  const signature = Uint8Array.from(atob(proof), (char) => char.charCodeAt(0));
  if (!verify(publicKey, proofBytes(invitation, name), signature)) {
    throw new XtaskError("unauthenticated", "The join request was not signed with the key that it names");
  }
}

function proofBytes(invitation: string, name: string): Uint8Array {
  return new TextEncoder().encode(`xtask-join-v1\n${invitation}\n${name}`);
}
