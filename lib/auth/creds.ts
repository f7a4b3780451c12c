/** Credentials files: a user's JWT and seed in one text, as every NATS tool reads and writes them. */
import { XtaskError } from "../protocol/error.ts";

/** What a credentials file holds. */
export interface Creds {
  readonly jwt: string;
  /** The user's secret. */
  readonly seed: string;
}

/** Far above any real file; bounds the work of the patterns. */
const CREDS_CHARS_MAX = 256 * 1024;
const JWT_BLOCK = /-{3,}BEGIN NATS USER JWT-{3,}\s+([\w.=-]+)\s+-{3,}END NATS USER JWT-{3,}/;
const SEED_BLOCK = /-{3,}BEGIN USER NKEY SEED-{3,}\s+(\w+)\s+-{3,}END USER NKEY SEED-{3,}/;

/** The text of a credentials file. It is a secret: store it readable by its owner alone. */
export function formatCreds(jwt: string, seed: string): string {
  return `-----BEGIN NATS USER JWT-----
${jwt}
------END NATS USER JWT------

************************* IMPORTANT *************************
The seed below proves who you are. Treat it as a password.

-----BEGIN USER NKEY SEED-----
${seed}
------END USER NKEY SEED------

*************************************************************
`;
}

/**
 * Finds JWT and seed in the text of a credentials file. Whether they are genuine is for the server to say.
 *
 * @throws {XtaskError} `invalid` where either block is missing
 */
export function parseCreds(text: string): Creds {
  const searched = text.slice(0, CREDS_CHARS_MAX);
  const jwt = JWT_BLOCK.exec(searched)?.[1];
  const seed = SEED_BLOCK.exec(searched)?.[1];
  if (jwt === undefined || seed === undefined) {
    const missing = jwt === undefined ? "NATS USER JWT" : "USER NKEY SEED";
    throw new XtaskError("invalid", `The credentials hold no block '${missing}'`, {
      details: ["expected: the text of a .creds file, as nsc or xtask auth write it"],
    });
  }
  return { jwt, seed };
}
