/**
 * The keys of a hub: operator, system account, and one account per project with a signing key for each role. A role's key
 * can only make credentials with exactly that role's rights, so what leaks is bounded by what it was for.
 */
import * as v from "valibot";
import { XtaskError } from "../protocol/error.ts";
import { writeSecretFile } from "../os/secret_file.ts";
import { Id } from "../protocol/id.ts";
import { parseJson } from "../protocol/parse.ts";
import { type Role, ROLE_SUBJECTS } from "../protocol/subjects.ts";
import { UNLIMITED_ACCOUNT, UNLIMITED_USER, type UserScope } from "./claims.ts";
import { formatCreds } from "./creds.ts";
import { encodeJwt } from "./jwt.ts";
import { generateNkey, type Nkey, nkeyFromSeed } from "./nkey.ts";

const Roles = v.object({
  admin: v.string(),
  operator: v.string(),
  node: v.string(),
  /** Came later: a keyring from before has none, and gets one when it is opened. */
  leaf: v.optional(v.string(), () => accountSeed()),
  join: v.string(),
});
const Project = v.object({ id: Id, account: v.string(), roles: Roles });
const Keys = v.object({
  version: v.literal(1),
  operator: v.string(),
  system: v.string(),
  projects: v.pipe(v.array(Project), v.minLength(1)),
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
  readonly trust: ServerTrust;
  /** In the order in which they came; the first one is meant where none is named. */
  readonly projects: readonly [ProjectKeys, ...ProjectKeys[]];
}

/** The keys of a project: an account of the hub's server, so that nothing of it is seen from any other. */
export interface ProjectKeys {
  readonly project: string;
  /** Whether it can vouch for anybody. */
  readonly signs: boolean;
  /** The JWT of a user whose private key stays where it was made. */
  issue(user: NewUser): string;
  /** A credential for the hub itself, which may do everything inside the project's account. Made anew each time. */
  hubCreds(): string;
}

/** Projects of one hub; each has streams and buckets of its own. */
export const PROJECTS_MAX = 32;

/**
 * Reads the keys of a hub, or makes them on its first start; the file is for its owner alone. A project that is wanted and
 * has no keys yet gets some; one that is not named any more keeps its own.
 *
 * @param wanted Ids of projects; none for those there are, or `default`
 * @throws {XtaskError} `invalid` where the file is there and is not a keyring, which is never overwritten; `exhausted` for
 * too many projects
 */
export async function openKeyring(path: string, wanted: readonly string[]): Promise<Keyring> {
  const before = await readText(path);
  const known = before === undefined ? undefined : parseJson(Keys, before, `keyring ${path}`);
  const keys = known ?? { version: 1, operator: generateNkey("operator").seed, system: accountSeed(), projects: [] };
  const ids = known === undefined && wanted.length === 0 ? ["default"] : wanted;
  const added = [...new Set(ids)].filter((id) => !keys.projects.some((one) => one.id === id)).map(makeProject);
  const all: Keys = { ...keys, projects: [...keys.projects, ...added] };
  if (all.projects.length > PROJECTS_MAX) {
    throw new XtaskError("exhausted", `A hub serves ${PROJECTS_MAX} projects at most`, {
      details: ["start another hub for more: xtask up with another XTASK_HOME"],
    });
  }
  const text = JSON.stringify(all, undefined, 2);
  if (text !== before) await writeSecretFile(path, text);
  return keyringOf(all);
}

/**
 * What stands for the keys of a project whose account others have made, as with nsc: one credential, and nothing to sign with.
 *
 * @param creds Text of a credential that may do everything in the account
 */
export function foreignKeys(project: string, creds: string): ProjectKeys {
  return {
    project,
    signs: false,
    issue() {
      throw new XtaskError("invalid", "This hub has no signing keys, so it can invite nobody", {
        details: [
          "make a user in its account with the tool that made the account, such as: nsc add user --account A --name ci-1",
          "a node starts with that: XTASK_NATS_CREDS=ci-1.creds xtask agent --hub URL --name ci-1 --client",
          "a person uses it: NATS_URL=URL NATS_CREDS=ann.creds xtask nodes",
        ],
      });
    },
    hubCreds: () => creds,
  };
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

const accountSeed = () => generateNkey("account").seed;

function makeProject(id: string): Keys["projects"][number] {
  const roles = {
    admin: accountSeed(),
    operator: accountSeed(),
    node: accountSeed(),
    leaf: accountSeed(),
    join: accountSeed(),
  };
  return { id, account: accountSeed(), roles };
}

function keyringOf({ operator, system, projects }: Keys): Keyring {
  const operatorKey = nkeyFromSeed(operator);
  const systemKey = nkeyFromSeed(system);
  const account = (key: Nkey, name: string, extra: Record<string, unknown>) =>
    encodeJwt(operatorKey, { sub: key.publicKey, name, nats: { type: "account", ...extra } });
  const made = projects.map((project) => {
    const accountKey = nkeyFromSeed(project.account);
    const roleKeys = Object.fromEntries(
      Object.entries(project.roles).map(([role, seed]) => [role, nkeyFromSeed(seed)]),
    ) as Record<Role, Nkey>;
    const scopes = (Object.keys(roleKeys) as Role[]).map((role) => scopeOf(role, roleKeys[role].publicKey));
    const jwt = account(accountKey, project.id, { limits: UNLIMITED_ACCOUNT, signing_keys: scopes });
    return { keys: projectKeys(project.id, accountKey, roleKeys), account: [accountKey.publicKey, jwt] as const };
  });
  return {
    // The schema asks for one at least.
    projects: made.map(({ keys }) => keys) as [ProjectKeys, ...ProjectKeys[]],
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
        ...Object.fromEntries(made.map(({ account }) => account)),
      },
    },
  };
}

function projectKeys(project: string, accountKey: Nkey, roleKeys: Readonly<Record<Role, Nkey>>): ProjectKeys {
  return {
    project,
    signs: true,
    issue({ role, name, publicKey, expiresAt }) {
      // Its own subjects would be those on which the people of the project talk.
      if ((role === "node" || role === "leaf") && name === project) {
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
