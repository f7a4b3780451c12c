import assert from "node:assert/strict";
import { UNLIMITED_USER } from "./claims.ts";
import { decodeJwt } from "./jwt.ts";
import { type Keyring, openKeyring } from "./keyring.ts";
import { generateNkey } from "./nkey.ts";

async function inFolder(act: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await act(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** The claims of the first project's account, which users belong to. */
function projectOf({ projects: [{ project }], trust }: Keyring) {
  const claims = Object.values(trust.accounts).map(decodeJwt).find(({ name }) => name === project);
  assert.ok(claims?.nats.type === "account");
  return { ...claims, nats: claims.nats };
}

/** The signing keys by the role they are for. */
function rolesOf(keyring: Keyring) {
  const scopes = (projectOf(keyring).nats.signing_keys ?? []).filter((key) => typeof key !== "string");
  return Object.fromEntries(scopes.map((scope) => [scope.role, scope]));
}

Deno.test("keys are made once and kept in a file for their owner alone", () =>
  inFolder(async (dir) => {
    const path = `${dir}/keyring.json`;
    const first = await openKeyring(path, ["acme"]);
    const text = await Deno.readTextFile(path);
    const again = await openKeyring(path, []);
    assert.equal(again.projects[0].project, "acme", "what the first start said stands");
    assert.equal(again.trust.systemAccount, first.trust.systemAccount);
    assert.deepEqual(Object.keys(again.trust.accounts), Object.keys(first.trust.accounts));
    assert.deepEqual(rolesOf(again), rolesOf(first));
    assert.equal(await Deno.readTextFile(path), text);
    if (Deno.build.os !== "windows") assert.equal(((await Deno.stat(path)).mode ?? 0) & 0o777, 0o600);
  }));

Deno.test("a project that is named gets keys of its own; those of the others stay, named or not", () =>
  inFolder(async (dir) => {
    const path = `${dir}/keyring.json`;
    const one = await openKeyring(path, []);
    const two = await openKeyring(path, ["shop", "shop"]);
    const three = await openKeyring(path, ["blog", "default"]);
    const names = ({ projects }: Keyring) => projects.map(({ project }) => project);
    assert.deepEqual([one, two, three].map(names), [["default"], ["default", "shop"], ["default", "shop", "blog"]]);
    const accounts = (keyring: Keyring) => Object.keys(keyring.trust.accounts);
    assert.deepEqual(accounts(three).slice(0, 3), accounts(two));
    assert.equal(new Set(accounts(three)).size, 4);
    const many = Array.from({ length: 30 }, (_, n) => `p${n}`);
    await assert.rejects(openKeyring(path, many), { code: "exhausted" });
    assert.deepEqual(names(await openKeyring(path, [])), names(three));
  }));

Deno.test("a keyring from before there were leaf nodes gets a key for them, once, and all others stay", () =>
  inFolder(async (dir) => {
    const path = `${dir}/keyring.json`;
    const { leaf: _, ...before } = rolesOf(await openKeyring(path, ["acme"]));
    await Deno.writeTextFile(path, (await Deno.readTextFile(path)).replace(/\s*"leaf": "[^"]*",/, ""));
    const { leaf, ...after } = rolesOf(await openKeyring(path, []));
    assert.deepEqual(after, before);
    assert.ok(leaf !== undefined);
    assert.deepEqual(rolesOf(await openKeyring(path, [])).leaf, leaf);
  }));

Deno.test("two hubs share no key", () =>
  inFolder(async (dir) => {
    const seeds = await Promise.all(["a", "b"].map(async (name) => {
      await openKeyring(`${dir}/${name}`, ["acme"]);
      return (await Deno.readTextFile(`${dir}/${name}`)).match(/S[OA][A-Z2-7]{56}/g) ?? [];
    }));
    assert.deepEqual(seeds.map(({ length }) => length), [8, 8]);
    assert.equal(new Set(seeds.flat()).size, 16);
  }));

Deno.test("a file that is no keyring is refused and never overwritten", () =>
  inFolder(async (dir) => {
    await openKeyring(`${dir}/good`, ["acme"]);
    const good = await Deno.readTextFile(`${dir}/good`);
    const path = `${dir}/keyring.json`;
    for (const text of ["", "{}", "not ours", good.slice(0, -20), good.replace('"version": 1', '"version": 2')]) {
      await Deno.writeTextFile(path, text);
      await assert.rejects(openKeyring(path, ["acme"]), { code: "invalid" });
      assert.equal(await Deno.readTextFile(path), text);
    }
    // A seed of which one character was lost or changed.
    const damaged = good.replace(/S[OA][A-Z2-7]{56}/, (seed) =>
      `${seed.slice(0, 20)}${seed[20] === "A" ? "B" : "A"}${seed.slice(21)}`);
    await Deno.writeTextFile(path, damaged);
    await assert.rejects(openKeyring(path, ["acme"]), { code: "invalid" });
    assert.equal(await Deno.readTextFile(path), damaged);
  }));

Deno.test("the server is told one operator who vouches for the system's and the project's account", () =>
  inFolder(async (dir) => {
    const { trust } = await openKeyring(`${dir}/keyring.json`, ["acme"]);
    const operator = decodeJwt(trust.operatorJwt);
    assert.equal(operator.iss, operator.sub);
    for (const [key, jwt] of Object.entries(trust.accounts)) {
      const { sub, iss } = decodeJwt(jwt);
      assert.deepEqual({ sub, iss }, { sub: key, iss: operator.sub });
    }
    assert.ok(trust.systemAccount in trust.accounts);
    assert.equal(Object.keys(trust.accounts).length, 2);
  }));

Deno.test("each role's credentials are signed by that role's key, which alone says what they may do", () =>
  inFolder(async (dir) => {
    const keyring = await openKeyring(`${dir}/keyring.json`, ["acme"]);
    const roles = rolesOf(keyring);
    assert.deepEqual(Object.keys(roles).sort(), ["admin", "join", "leaf", "node", "operator"]);
    const { publicKey } = generateNkey("user");
    const keys = (["admin", "operator", "node", "leaf", "join"] as const).map((role) => {
      const { sub, name, iss, exp, nats } = decodeJwt(
        keyring.projects[0].issue({ role, name: "mac-1", publicKey, expiresAt: 2_000_000_000_999 }),
      );
      assert.deepEqual({ sub, name, iss, exp }, {
        sub: publicKey,
        name: "mac-1",
        iss: roles[role]?.key,
        exp: 2_000_000_000,
      });
      assert.ok(nats.type === "user");
      assert.equal(nats.issuer_account, projectOf(keyring).sub);
      assert.ok(!("pub" in nats) && !("sub" in nats), "a scoped credential brings no rights of its own");
      assert.ok((roles[role]?.template.pub?.allow ?? []).length > 0);
      return iss;
    });
    assert.equal(new Set(keys).size, 5);
    const unending = decodeJwt(keyring.projects[0].issue({ role: "node", name: "mac-1", publicKey }));
    assert.equal(unending.exp, undefined);
  }));

Deno.test("the hub's own credential belongs to the project's account and is another each time", () =>
  inFolder(async (dir) => {
    const keyring = await openKeyring(`${dir}/keyring.json`, ["acme"]);
    const [first, second] = [keyring.projects[0].hubCreds(), keyring.projects[0].hubCreds()].map((creds) => {
      const jwt = /BEGIN NATS USER JWT-+\s+(\S+)/.exec(creds)?.[1] ?? "";
      return decodeJwt(jwt);
    });
    assert.equal(first?.iss, projectOf(keyring).sub);
    assert.notEqual(first?.sub, second?.sub);
    assert.ok(first?.nats.type === "user");
    assert.equal(first.nats.subs, UNLIMITED_USER.subs);
  }));
