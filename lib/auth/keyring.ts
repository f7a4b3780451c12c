/**
 * The keys of a hub: operator, system account, and one account per project with a signing key for each role. A role's key
 * can only make credentials with exactly that role's rights, so what leaks is bounded by what it was for.
 */
import * as v from "valibot";
import { XtaskError } from "../protocol/error.ts";
import { writeSecretFile } from "../os/secret_file.ts";
import { parseJson } from "../protocol/parse.ts";
import { type Role, ROLE_SUBJECTS } from "../protocol/subjects.ts";
import { UNLIMITED_ACCOUNT, UNLIMITED_USER, type UserScope } from "./claims.ts";
import { formatCreds } from "./creds.ts";
import { encodeJwt } from "./jwt.ts";
import { generateNkey, type Nkey, nkeyFromSeed } from "./nkey.ts";

const Roles = v.object({ admin: v.string(), operator: v.string(), node: v.string(), join: v.string() });
const Keys = v.object({
  version: v.literal(1),
  operator: v.string(),
  system: v.string(),
  project: v.object({ id: v.string(), account: v.string(), roles: Roles }),
});
type Keys = v.InferOutput<typeof Keys>;

/** How long a node may answer a request after it came: more than the longest wait. */
const RESPONSE_TTL_NS = 120e9;
/** A broadcast's answer, an error and a late second thought: nobody needs more. */
const RESPONSES_MAX = 16;

/** What a server has to know to accept the credentials that a keyring issues. */
export interface ServerTrust {
  readonly operatorJwt: string;
  readonly systemAccount: string;
  /** JWT of each account by public key. */
  readonly accounts: Readonly<Record<string, string>>;
}

/** A user to be vouched for. */
export interface NewUser {
  readonly role: Role;
  /** Node, user or invitation id: it fills the role's subjects. */
  readonly name: string;
  readonly publicKey: string;
  /** Milliseconds since 1970. */
  readonly expiresAt?: number;
}

/** The keys of a hub. */
export interface Keyring {
  readonly project: string;
  readonly trust: ServerTrust;
  /** The JWT of a user whose private key stays where it was made. */
  issue(user: NewUser): string;
  /** A credential for the hub itself, which may do everything inside the project's account. Made anew each time. */
  hubCreds(): string;
}

/**
 * Reads the keys of a hub, or makes them on its first start; the file is for its owner alone.
 *
 * @throws {XtaskError} `invalid` where the file is there and is not a keyring: it is never overwritten
 */
export async function openKeyring(path: string, project: string): Promise<Keyring> {
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    text = JSON.stringify(makeKeys(project), undefined, 2);
    await writeSecretFile(path, text);
  }
  return keyringOf(parseJson(Keys, text, `keyring ${path}`));
}

function makeKeys(project: string): Keys {
  const account = () => generateNkey("account").seed;
  return {
    version: 1,
    operator: generateNkey("operator").seed,
    system: account(),
    project: {
      id: project,
      account: account(),
      roles: { admin: account(), operator: account(), node: account(), join: account() },
    },
  };
}

function keyringOf({ operator, system, project }: Keys): Keyring {
  const operatorKey = nkeyFromSeed(operator);
  const systemKey = nkeyFromSeed(system);
  const accountKey = nkeyFromSeed(project.account);
  const roleKeys = Object.fromEntries(
    Object.entries(project.roles).map(([role, seed]) => [role, nkeyFromSeed(seed)]),
  ) as Record<Role, Nkey>;
  const scopes = (Object.keys(roleKeys) as Role[]).map((role) => scopeOf(role, roleKeys[role].publicKey));
  const account = (key: Nkey, name: string, extra: Record<string, unknown>) =>
    encodeJwt(operatorKey, {
      sub: key.publicKey,
      name,
      nats: { type: "account", ...extra },
    });
  return {
    project: project.id,
    trust: {
      operatorJwt: encodeJwt(operatorKey, {
        sub: operatorKey.publicKey,
        name: "xtask",
        nats: { type: "operator", system_account: systemKey.publicKey },
      }),
      systemAccount: systemKey.publicKey,
      accounts: {
        // The system account has no JetStream; limits of -1 for it would be refused.
        [systemKey.publicKey]: account(systemKey, "SYS", {
          limits: { ...UNLIMITED_ACCOUNT, mem_storage: 0, disk_storage: 0, streams: 0, consumer: 0 },
        }),
        [accountKey.publicKey]: account(accountKey, project.id, { limits: UNLIMITED_ACCOUNT, signing_keys: scopes }),
      },
    },
    issue({ role, name, publicKey, expiresAt }) {
      // Its own subjects would be those on which the people of the project talk.
      if (role === "node" && name === project.id) {
        throw new XtaskError("invalid", `A node cannot have the id of its project, '${name}'`, {
          details: ["give it another one with --name"],
        });
      }
      return encodeJwt(roleKeys[role], {
        sub: publicKey,
        name,
        ...(expiresAt === undefined ? {} : { exp: Math.floor(expiresAt / 1000) }),
        nats: { type: "user", issuer_account: accountKey.publicKey },
      });
    },
    hubCreds() {
      const key = generateNkey("user");
      const jwt = encodeJwt(accountKey, { sub: key.publicKey, name: "hub", nats: { type: "user", ...UNLIMITED_USER } });
      return formatCreds(jwt, key.seed);
    },
  };
}

function scopeOf(role: Role, key: string): UserScope {
  const { publish, subscribe } = ROLE_SUBJECTS[role];
  const answers = role === "node" ? { resp: { max: RESPONSES_MAX, ttl: RESPONSE_TTL_NS } } : {};
  return {
    kind: "user_scope",
    key,
    role,
    template: {
      ...UNLIMITED_USER,
      pub: { allow: [...publish.allow], ...("deny" in publish ? { deny: [...publish.deny] } : {}) },
      sub: { allow: [...subscribe.allow] },
      ...answers,
    },
  };
}
