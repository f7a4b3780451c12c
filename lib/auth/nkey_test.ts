import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeBase32, encodeBase32 } from "./base32.ts";
import { generateNkey, isPublicKey, nkeyFromSeed, type NkeyType, verify } from "./nkey.ts";

const TYPES: readonly NkeyType[] = ["operator", "account", "user"];
const bytes = fc.uint8Array({ maxLength: 200 });

Deno.test("any bytes survive base32, and nothing else decodes to them", () => {
  fc.assert(fc.property(bytes, (data) => {
    const text = encodeBase32(data);
    assert.deepEqual(decodeBase32(text), data);
    assert.notDeepEqual(decodeBase32(`${text}A`), data);
    assert.deepEqual(decodeBase32(text.toLowerCase()), /[A-Z]/.test(text) ? undefined : data);
  }));
});

Deno.test("a seed gives the same key again, and its signatures verify", () => {
  fc.assert(
    fc.property(fc.constantFrom(...TYPES), bytes, (type, data) => {
      const made = generateNkey(type);
      const read = nkeyFromSeed(made.seed);
      assert.deepEqual([read.type, read.publicKey, read.seed], [type, made.publicKey, made.seed]);
      assert.ok(verify(made.publicKey, data, read.sign(data)));
      assert.equal(verify(generateNkey(type).publicKey, data, read.sign(data)), false);
      assert.equal(verify(made.publicKey, Uint8Array.of(...data, 0), read.sign(data)), false);
    }),
    { numRuns: 30 },
  );
});

Deno.test("the texts look as NATS tools expect them", () => {
  for (const [type, letter] of [["operator", "O"], ["account", "A"], ["user", "U"]] as const) {
    const { publicKey, seed } = generateNkey(type);
    assert.match(publicKey, new RegExp(`^${letter}[A-Z2-7]{55}$`));
    assert.match(seed, new RegExp(`^S${letter}[A-Z2-7]{56}$`));
    for (const other of TYPES) assert.equal(isPublicKey(other, publicKey), other === type);
    assert.equal(isPublicKey(type, seed), false);
  }
});

Deno.test("a changed character anywhere in a seed or public key is noticed", () => {
  const { publicKey, seed } = generateNkey("account");
  const replaced = (text: string, index: number) =>
    text.slice(0, index) + (text[index] === "A" ? "B" : "A") + text.slice(index + 1);
  for (let index = 0; index < seed.length; index++) {
    assert.throws(() => nkeyFromSeed(replaced(seed, index)), { code: "invalid" });
  }
  for (let index = 0; index < publicKey.length; index++) {
    assert.equal(isPublicKey("account", replaced(publicKey, index)), false);
  }
});

Deno.test("a refused seed is not repeated in the error", () => {
  const { seed } = generateNkey("user");
  assert.throws(() => nkeyFromSeed(`${seed}X`), (error: Error) => !JSON.stringify(error).includes(seed.slice(0, 20)));
});
