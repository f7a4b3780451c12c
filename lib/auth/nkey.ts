/**
 * NATS keys: Ed25519 pairs whose text says what they belong to. On node:crypto throughout, which signs in under 0.1 ms and
 * synchronously; the JavaScript curve of the published nkeys package takes tens of milliseconds.
 */
import { Buffer } from "node:buffer";
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify as verifyEd25519,
} from "node:crypto";
import { XtaskError } from "../protocol/error.ts";
import { decodeBase32, encodeBase32 } from "./base32.ts";

/** What a key belongs to. */
export type NkeyType = "operator" | "account" | "user";

/** A key pair. Whoever holds one can sign; it must not be logged or sent. */
export interface Nkey {
  readonly type: NkeyType;
  /** Text form: `O…`, `A…` or `U…`, 56 characters. */
  readonly publicKey: string;
  /** The secret, as text: `SO…`, `SA…` or `SU…`, 58 characters. */
  readonly seed: string;
  /** The 64-byte Ed25519 signature. */
  sign(bytes: Uint8Array): Uint8Array;
}

/** First byte of a public key: the five high bits are the letter that the text begins with. */
const PREFIX = { operator: 14 << 3, account: 0, user: 20 << 3 } as const satisfies Record<NkeyType, number>;
const SEED_PREFIX = 18 << 3;
const KEY_BYTES = 32;

// The DER of a raw 32-byte Ed25519 key is these bytes with the key behind them (RFC 8410).
const PKCS8_HEAD = Uint8Array.of(0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20);
const SPKI_HEAD = Uint8Array.of(0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0);

/** A new key pair. */
export function generateNkey(type: NkeyType): Nkey {
  return nkey(type, generateKeyPairSync("ed25519").privateKey);
}

/**
 * The key pair of a seed.
 *
 * @throws {XtaskError} `invalid` if the text is no seed of an operator, account or user, or its checksum is wrong
 */
export function nkeyFromSeed(seed: string): Nkey {
  const bytes = unseal(seed, 2 + KEY_BYTES);
  const [first = 0, second = 0] = bytes ?? [];
  const type = typeOf(((first & 7) << 5) | (second >> 3));
  if (bytes === undefined || (first & 0xf8) !== SEED_PREFIX || (second & 7) !== 0 || type === undefined) {
    throw new XtaskError("invalid", "The seed is not valid", {
      details: ["expected: 58 characters that begin with SO, SA or SU, as NATS tools write them"],
    });
  }
  const key = Buffer.from([...PKCS8_HEAD, ...bytes.subarray(2)]);
  return nkey(type, createPrivateKey({ key, format: "der", type: "pkcs8" }));
}

/** Whether the text is a well-formed public key of that type. */
export function isPublicKey(type: NkeyType, text: string): boolean {
  return unseal(text, 1 + KEY_BYTES)?.[0] === PREFIX[type];
}

/** Whether the signature over the bytes was made with that key. Also false where the text is no public key. */
export function verify(publicKey: string, bytes: Uint8Array, signature: Uint8Array): boolean {
  const raw = unseal(publicKey, 1 + KEY_BYTES);
  if (raw === undefined || typeOf(raw[0]) === undefined) return false;
  const key = Buffer.from([...SPKI_HEAD, ...raw.subarray(1)]);
  return verifyEd25519(null, bytes, createPublicKey({ key, format: "der", type: "spki" }), signature);
}

function nkey(type: NkeyType, key: KeyObject): Nkey {
  const secret = key.export({ format: "der", type: "pkcs8" }).subarray(-KEY_BYTES);
  const open = createPublicKey(key).export({ format: "der", type: "spki" }).subarray(-KEY_BYTES);
  const prefix = PREFIX[type];
  return {
    type,
    publicKey: seal([prefix, ...open]),
    seed: seal([SEED_PREFIX | (prefix >> 5), (prefix & 31) << 3, ...secret]),
    sign: (bytes) => new Uint8Array(sign(null, bytes, key)),
  };
}

function typeOf(prefix: number | undefined): NkeyType | undefined {
  if (prefix === PREFIX.operator) return "operator";
  if (prefix === PREFIX.account) return "account";
  return prefix === PREFIX.user ? "user" : undefined;
}

/** Bytes as text, with their checksum. */
function seal(bytes: readonly number[]): string {
  const crc = crc16(bytes);
  return encodeBase32(Uint8Array.of(...bytes, crc & 0xff, crc >> 8));
}

/** The bytes of such a text; undefined where the length or the checksum is wrong. */
function unseal(text: string, length: number): Uint8Array | undefined {
  if (text.length !== Math.ceil(((length + 2) * 8) / 5)) return undefined;
  const bytes = decodeBase32(text);
  if (bytes === undefined) return undefined;
  const crc = crc16(bytes.subarray(0, length));
  return bytes[length] === (crc & 0xff) && bytes[length + 1] === crc >> 8 ? bytes.subarray(0, length) : undefined;
}

/** CRC-16/XMODEM, which NATS appends low byte first. */
function crc16(bytes: Iterable<number>): number {
  let crc = 0;
  for (const byte of bytes) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : (crc << 1) & 0xffff;
  }
  return crc;
}
