import assert from "node:assert/strict";
import { type Certificates, makeCertificates, OPENSSL } from "../../tests/certificates.ts";
import { assertTrusted, authoritiesFrom, authoritiesOf, nameFor, readCertificate } from "./certificate.ts";

const textsOf = async ({ cert, key }: Certificates["server"]) => ({
  cert: await Deno.readTextFile(cert),
  key: await Deno.readTextFile(key),
});

Deno.test({ name: "a certificate", ignore: !OPENSSL }, async (t) => {
  await using certificates = await makeCertificates();
  await using others = await makeCertificates();
  const { ca } = certificates;
  const server = await textsOf(certificates.server);
  const elsewhere = await textsOf(certificates.elsewhere);
  const wild = await textsOf(certificates.wild);

  await t.step("tells whom it was made out to", () => {
    const { names, covers } = readCertificate({ ...server, ca });
    assert.deepEqual(names, ["localhost", "127.0.0.1"]);
    for (const host of ["localhost", "127.0.0.1"]) assert.ok(covers(host), host);
    for (const host of ["elsewhere.test", "127.0.0.2", "::1", "0.0.0.0", ""]) assert.ok(!covers(host), host);
  });

  await t.step("is told by the address that is wanted where it covers it, else by a name of its own", () => {
    const read = readCertificate(server);
    assert.equal(nameFor(read, ["127.0.0.1", "localhost"]), "127.0.0.1");
    assert.equal(nameFor(read, ["10.0.0.1"]), "localhost", "it has no other");
    assert.equal(nameFor(readCertificate(elsewhere), ["10.0.0.1"]), "elsewhere.test");
  });

  await t.step("for all names below one needs to be told which is meant", () => {
    assert.throws(() => readCertificate(wild), { code: "invalid", message: /no name of a machine/ });
    assert.throws(() => readCertificate(wild, ["hub.elsewhere.test"]), { code: "invalid" });
    assert.deepEqual(readCertificate(wild, ["other", "hub.example.test"]).names, ["hub.example.test"]);
  });

  await t.step("is refused with another's key, or where one of the texts is none", () => {
    const refused = (texts: Partial<Parameters<typeof readCertificate>[0]>, message: RegExp) =>
      assert.throws(() => readCertificate({ ...server, ...texts }), { code: "invalid", message });
    refused({ key: elsewhere.key }, /another certificate's/);
    refused({ key: server.cert }, /key cannot be read/);
    refused({ cert: server.key }, /certificate cannot be read/);
    refused({ cert: "" }, /certificate cannot be read/);
    refused({ ca: "" }, /0 certificates/);
    refused({ ca: ca.replace(/MII.{40}/, "MII") }, /authority's certificate cannot be read/);
    refused({ ca: ca.repeat(5) }, /5 certificates/);
  });

  await t.step("is trusted for its authority's sake, and for nobody else's", async () => {
    await assertTrusted(readCertificate({ ...server, ca }));
    await assertTrusted(readCertificate({ ...wild, ca }, ["hub.example.test"]));
    await assert.rejects(assertTrusted(readCertificate(server)), { code: "invalid", message: /UnknownIssuer/ });
    const foreign = assertTrusted(readCertificate({ ...server, ca: others.ca }));
    await assert.rejects(foreign, { code: "invalid", message: /UnknownIssuer/ });
  });

  await t.step("'s authorities come back from their words", () => {
    const both = ca + others.ca;
    assert.equal(authoritiesFrom(authoritiesOf(both)), both);
    assert.throws(() => authoritiesFrom(["MIIB"]), { code: "invalid" });
  });
});
