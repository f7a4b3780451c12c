import assert from "node:assert/strict";
import { formatCreds } from "../../lib/auth/creds.ts";
import { createInvitation, createJoinRequest, readToken } from "../../lib/auth/invite.ts";
import { openKeyring } from "../../lib/auth/keyring.ts";
import { generateNkey } from "../../lib/auth/nkey.ts";
import { openBus } from "../../lib/nats/bus.ts";
import {
  DISCOVER,
  hubSubject,
  inboxPrefix,
  joinSubject,
  nodeSubjects,
  statusSubject,
} from "../../lib/protocol/subjects.ts";
import { join } from "../../lib/system.ts";
import { refused } from "../asking.ts";
import { startFleet, temporaryFolder } from "../fleet.ts";

Deno.test("a token lets one machine join, once", async (t) => {
  await using fleet = await startFleet({ nodes: ["n1"] });
  const { url: servers, up } = fleet;
  const { projects: [keyring] } = await openKeyring(`${fleet.folder}/hub/hub/keys.json`, []);

  await t.step("the credential that it is handed works, and its key was made by the joiner", async () => {
    const { token } = await up.hub.invite("node");
    const joined = await join({ servers, token, name: "n2" });
    assert.deepEqual([joined.project, joined.role], ["default", "node"]);
    assert.ok(!joined.creds.includes(token.split(".")[0]?.slice("xtask_join_".length) ?? "?"));
    await using bus = await openBus({ servers, creds: joined.creds, inboxPrefix: inboxPrefix("n2") });
    bus.subscribe(nodeSubjects("n2"), () => {});
    await bus.flush();
    await refused(join({ servers, token, name: "n3" }), "unauthenticated", /used already/);
  });

  await t.step("an expired one is refused here, and by the server if it is handed in all the same", async () => {
    const { token } = createInvitation(keyring, { role: "node", expiresAt: Date.now() - 60_000 });
    await refused(join({ servers, token, name: "n3" }), "unauthenticated", /expired/);
    const [seed = "", ...jwt] = token.slice("xtask_join_".length).split(".");
    await refused(openBus({ servers, creds: formatCreds(jwt.join("."), seed), reconnect: false }), "unauthenticated");
  });

  await t.step("one that the hub does not know is refused", async () => {
    const { token } = createInvitation(keyring, { role: "node", expiresAt: Date.now() + 60_000 });
    await refused(join({ servers, token, name: "n3" }), "unauthenticated", /unknown/);
  });

  await t.step("one that was cut or altered is refused", async () => {
    const { token } = await up.hub.invite("node");
    const cuts = [token.slice(0, -1), token.slice(0, -40), token.slice(0, 70), token.slice(5), ""];
    for (const cut of cuts) await refused(join({ servers, token: cut, name: "n3" }), "invalid", /join token/);
    const middle = token.length - 120;
    const other = token[middle] === "A" ? "B" : "A";
    const altered = `${token.slice(0, middle)}${other}${token.slice(middle + 1)}`;
    await assert.rejects(join({ servers, token: altered, name: "n3" }));
    assert.equal((await join({ servers, token, name: "n3" })).role, "node", "the whole one was not used up by this");
  });

  await t.step("a name that a living node holds is refused, and the token stays good for another", async () => {
    const { token } = await up.hub.invite("node");
    await refused(join({ servers, token, name: "n1" }), "conflict", /already there/);
    assert.equal((await join({ servers, token, name: "n4" })).role, "node");
  });

  await t.step("a name that is no id is refused", async () => {
    const { token } = await up.hub.invite("node");
    for (const name of ["hub", "broadcast", "task", "a.b", "a b", "*", ">", "", "N1", "a".repeat(64)]) {
      await refused(join({ servers, token, name }), "invalid");
    }
  });

  await t.step("a request for a key that the asker does not have is refused", async () => {
    const { invitation, creds } = readToken((await up.hub.invite("node")).token, Date.now());
    await using bus = await openBus({ servers, creds, inboxPrefix: inboxPrefix(invitation) });
    const { request } = createJoinRequest(invitation, "n5");
    const stolen = { ...request, publicKey: generateNkey("user").publicKey };
    await refused(bus.request(joinSubject(invitation), JSON.stringify(stolen)), "unauthenticated", /not signed/);
    const renamed = { ...request, name: "n6" };
    await refused(bus.request(joinSubject(invitation), JSON.stringify(renamed)), "unauthenticated", /not signed/);
  });

  await t.step("the token lets its holder do nothing but hand it in", async () => {
    const { invitation, creds } = readToken((await up.hub.invite("operator")).token, Date.now());
    await using bus = await openBus({ servers, creds, inboxPrefix: inboxPrefix(invitation) });
    for (const subject of [hubSubject("node", "list"), DISCOVER, statusSubject("n1"), joinSubject("join-other")]) {
      await refused(bus.request(subject, "", { timeoutMs: 2_000 }), "forbidden");
    }
  });
});

Deno.test("nobody connects without a credential of this hub", async () => {
  await using fleet = await startFleet({ nodes: [] });
  const servers = fleet.url;
  await refused(openBus({ servers, reconnect: false }), "unauthenticated", /asks for credentials/);
  await refused(openBus({ servers: servers.replace("//", "//u:p@"), reconnect: false }), "unauthenticated");
  await using stack = new AsyncDisposableStack();
  const { projects: [foreign] } = await openKeyring(`${await temporaryFolder(stack)}/keys.json`, []);
  await refused(openBus({ servers, creds: foreign.hubCreds(), reconnect: false }), "unauthenticated", /refused/);
});
