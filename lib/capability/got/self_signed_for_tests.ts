/** A fresh certificate for `localhost` that nobody has reason to trust: X.509 in just as much DER as it takes. */

const SEQUENCE = 0x30;
const SET = 0x31;
const OCTETS = 0x04;
const BITS = 0x03;

/** `1.3.101.112`, Ed25519. */
const ED25519 = der(SEQUENCE, Uint8Array.of(0x06, 3, 0x2b, 0x65, 0x70));
const COMMON_NAME = Uint8Array.of(0x06, 3, 0x55, 0x04, 0x03);
const ALTERNATIVE_NAME = Uint8Array.of(0x06, 3, 0x55, 0x1d, 0x11);

/** The certificate and its key, as PEM. */
export async function selfSigned(): Promise<{ readonly cert: string; readonly key: string }> {
  const pair = await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"]);
  if (!("privateKey" in pair)) throw new TypeError("Ed25519 makes pairs");
  const { privateKey, publicKey } = pair;
  const spki = new Uint8Array(await crypto.subtle.exportKey("spki", publicKey));
  const pkcs8 = new Uint8Array(await crypto.subtle.exportKey("pkcs8", privateKey));
  const name = der(SEQUENCE, der(SET, der(SEQUENCE, COMMON_NAME, der(0x0c, ascii("localhost")))));
  const validity = der(SEQUENCE, der(0x17, ascii("240101000000Z")), der(0x17, ascii("490101000000Z")));
  const names = der(SEQUENCE, der(0x82, ascii("localhost")), der(0x87, Uint8Array.of(127, 0, 0, 1)));
  const extensions = der(0xa3, der(SEQUENCE, der(SEQUENCE, ALTERNATIVE_NAME, der(OCTETS, names))));
  const version3 = der(0xa0, Uint8Array.of(0x02, 1, 2));
  const serial = Uint8Array.of(0x02, 1, 1);
  const body = der(SEQUENCE, version3, serial, ED25519, name, validity, name, spki, extensions);
  const signature = new Uint8Array(await crypto.subtle.sign("Ed25519", privateKey, body));
  const cert = der(SEQUENCE, body, ED25519, der(BITS, Uint8Array.of(0), signature));
  return { cert: pem("CERTIFICATE", cert), key: pem("PRIVATE KEY", pkcs8) };
}

function der(tag: number, ...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const content = parts.flatMap((part) => [...part]);
  const { length } = content;
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Uint8Array.from([tag, ...size, ...content]);
}

function ascii(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function pem(label: string, bytes: Uint8Array): string {
  return `-----BEGIN ${label}-----\n${bytes.toBase64()}\n-----END ${label}-----\n`;
}
