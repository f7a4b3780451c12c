/** The certificate that a hub shows to whoever connects, and the authorities that vouch for it. */
import { Buffer } from "node:buffer";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { XtaskError } from "../protocol/error.ts";

/** PEM texts, as they stand in files. */
export interface CertificateTexts {
  /** The certificate, then those between it and its authority. */
  readonly cert: string;
  readonly key: string;
  /** The authorities, where the systems of those who connect do not know them. */
  readonly ca?: string;
}

/** A certificate that has been read. */
export interface Certificate extends CertificateTexts {
  /** Names and addresses that it is meant for: those that were given, then those it was made out to without wildcards. */
  readonly names: readonly string[];
  /** Whether it was made out to this name or address. */
  covers(host: string): boolean;
}

/** Authorities that are handed on in a join token, which is one word of a command line. */
const AUTHORITIES_MAX = 4;

/**
 * Reads a certificate.
 *
 * @param called What its server is called, of which the certificate may cover some
 * @throws {XtaskError} `invalid` where it is none, is over, names nobody, or the key is another's
 */
export function readCertificate({ cert, key, ca }: CertificateTexts, called: readonly string[] = []): Certificate {
  const own = read(cert, "certificate");
  let fits: boolean;
  try {
    fits = own.checkPrivateKey(createPrivateKey(key));
  } catch (cause) {
    throw wrong(
      "The certificate's key cannot be read",
      "expected a PEM file with a private key and no password",
      cause,
    );
  }
  if (!fits) throw wrong("The key is another certificate's", "give the key that was made for this certificate");
  const end = new Date(own.validTo);
  if (end.getTime() <= Date.now()) {
    throw wrong(`The certificate was good until ${end.toISOString()}`, "get a new one, and start again");
  }
  const made = namesOf(own);
  // A star stands for one label, the first.
  const covers = (host: string) =>
    made.includes(host.toLowerCase()) ||
    isIP(host) === 0 && made.includes(host.toLowerCase().replace(/^[^.]+/, "*"));
  const names = [...called.filter(covers), ...made.filter((name) => !name.includes("*"))];
  if (names.length === 0) {
    throw wrong(
      "The certificate was made out to no name of a machine",
      `say what this one is called, with --http-name; it covers ${own.subjectAltName ?? "nothing"}`,
    );
  }
  if (ca !== undefined) authoritiesOf(ca);
  return {
    cert,
    key,
    ...(ca === undefined ? {} : { ca }),
    names,
    covers,
  };
}

/** Names and addresses, as they stand in addresses of servers; those with a star too. */
function namesOf({ subjectAltName = "" }: X509Certificate): string[] {
  return subjectAltName.split(", ").flatMap((entry) => {
    const name = /^(?:DNS|IP Address):(.+)$/.exec(entry)?.[1]?.toLowerCase();
    if (name === undefined) return [];
    return [isIP(name) === 6 ? new URL(`http://[${name}]`).hostname.slice(1, -1) : name];
  });
}

/** The first of these that a certificate covers, else a name of its own that means no machine but one. */
export function nameFor({ names, covers }: Certificate, wanted: readonly string[]): string {
  return wanted.find(covers) ?? names.find((name) => !isLoopback(name)) ?? names[0] as string;
}

/** Whether an address or name means the machine that says it. */
export function isLoopback(host: string): boolean {
  return /^(127\.|localhost$|::1$|\[::1\]$)/.test(host);
}

/**
 * Authorities as words of letters, digits, `-` and `_`.
 *
 * @throws {XtaskError} `invalid` for what is no certificate, or too many
 */
export function authoritiesOf(ca: string): string[] {
  const blocks = ca.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0 || blocks.length > AUTHORITIES_MAX) {
    throw wrong(
      `There are ${blocks.length} certificates of authorities`,
      `expected a PEM file with 1 to ${AUTHORITIES_MAX}: only those that vouch for this hub`,
    );
  }
  return blocks.map((block) => read(block, "authority's certificate").raw.toString("base64url"));
}

/** @throws {XtaskError} `invalid` for words that are no certificates */
export function authoritiesFrom(words: readonly string[]): string {
  return words.map((word) => {
    const lines = (Buffer.from(word, "base64url").toString("base64").match(/.{1,64}/g) ?? []).join("\n");
    const pem = `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
    read(pem, "authority's certificate");
    return pem;
  }).join("");
}

/**
 * Whether those who trust the authorities, or else what the system trusts, will believe the certificate: found out by a
 * connection of this machine with itself.
 *
 * @throws {XtaskError} `invalid` with TLS's own reason
 */
export async function assertTrusted({ cert, key, ca, names: [name = ""] }: Certificate): Promise<void> {
  using listener = Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert, key });
  const { port } = listener.addr;
  const shown = listener.accept().then(async (conn) => {
    using _ = conn;
    await conn.handshake();
  });
  shown.catch(() => {});
  const tcp = await Deno.connect({ hostname: "127.0.0.1", port });
  try {
    using conn = await Deno.startTls(tcp, { hostname: name, ...(ca === undefined ? {} : { caCerts: [ca] }) });
    await conn.handshake();
    await shown;
  } catch (cause) {
    throw wrong(
      `The certificate is not trusted: ${(cause as Error).message}`,
      ca === undefined
        ? "name the file of its authority with --tls-ca; nodes are told of it when they join"
        : "is --tls-ca the authority that signed it, and are all between them in --tls-cert?",
      cause,
    );
  }
}

function read(pem: string, what: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (cause) {
    throw wrong(`The ${what} cannot be read`, "expected a PEM file: -----BEGIN CERTIFICATE-----", cause);
  }
}

function wrong(message: string, advice: string, cause?: unknown): XtaskError {
  return new XtaskError("invalid", message, { details: [advice], ...(cause === undefined ? {} : { cause }) });
}
