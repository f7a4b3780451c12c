/** The protocol between a NATS client and its server, as the server speaks it. */

/** A message. */
export interface Message {
  readonly subject: string;
  readonly reply?: string | undefined;
  /** Headers as they travel, with the line of the protocol's version. */
  readonly head?: string | undefined;
  readonly data: Uint8Array;
}

/** What a client asks for. */
export type Command =
  | { readonly type: "connect" | "ping" | "pong" }
  | { readonly type: "publish"; readonly message: Message }
  | { readonly type: "subscribe"; readonly subject: string; readonly sid: string }
  | { readonly type: "unsubscribe"; readonly sid: string; readonly max: number | undefined };

/** Nothing. */
export const EMPTY = new Uint8Array();
const encoder = new TextEncoder();
const decoder = new TextDecoder();
/** Bytes of a text. */
export const encode = (text: string): Uint8Array => text === "" ? EMPTY : encoder.encode(text);
/** Text of bytes. */
export const decode = (bytes: Uint8Array): string => bytes.length === 0 ? "" : decoder.decode(bytes);

const [CR, LF] = [13, 10];
const LINE_END = new Uint8Array([CR, LF]);

/** Reads commands from bytes, in whatever pieces they come. */
export class CommandReader {
  #rest: Uint8Array = EMPTY;

  read(bytes: Uint8Array): Command[] {
    const all = this.#rest.length === 0 ? bytes : joined([this.#rest, bytes]);
    const commands: Command[] = [];
    let at = 0;
    for (;;) {
      const end = all.indexOf(LF, at);
      if (end < 0) break;
      const line = decode(all.subarray(at, all[end - 1] === CR ? end - 1 : end));
      const words = line.split(" ");
      const verb = (words[0] as string).toUpperCase();
      if (verb === "PUB" || verb === "HPUB") {
        const total = Number(words.at(-1));
        if (all.length < end + 1 + total + 2) break;
        const headLength = verb === "HPUB" ? Number(words.at(-2)) : 0;
        const payload = all.subarray(end + 1, end + 1 + total);
        const reply = words.length === (verb === "HPUB" ? 5 : 4) ? words[2] : undefined;
        commands.push({
          type: "publish",
          message: {
            subject: words[1] as string,
            reply,
            head: headLength === 0 ? undefined : decode(payload.subarray(0, headLength)),
            data: payload.slice(headLength),
          },
        });
        at = end + 1 + total + 2;
        continue;
      }
      at = end + 1;
      if (verb === "SUB") {
        commands.push({ type: "subscribe", subject: words[1] as string, sid: words.at(-1) as string });
      } else if (verb === "UNSUB") {
        const max = words[2] === undefined ? undefined : Number(words[2]);
        commands.push({ type: "unsubscribe", sid: words[1] as string, max });
      } else if (verb === "CONNECT" || verb === "PING" || verb === "PONG") {
        commands.push({ type: verb.toLowerCase() as "connect" | "ping" | "pong" });
      } else {
        throw new Error(`The simulated server does not know '${line}'`);
      }
    }
    this.#rest = all.slice(at);
    return commands;
  }
}

/** A message as its subscriber gets it. */
export function delivery(sid: string, { subject, reply, head, data }: Message): Uint8Array {
  const to = reply === undefined ? sid : `${sid} ${reply}`;
  if (head === undefined) return joined([encode(`MSG ${subject} ${to} ${data.length}\r\n`), data, LINE_END]);
  const headers = encode(head);
  const sizes = `${headers.length} ${headers.length + data.length}`;
  return joined([encode(`HMSG ${subject} ${to} ${sizes}\r\n`), headers, data, LINE_END]);
}

/** Bytes one behind the other. */
export function joined(parts: readonly Uint8Array[]): Uint8Array {
  const [only] = parts;
  if (only !== undefined && parts.length === 1) return only;
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Headers by name, as the server reads them. */
export type Headers = Readonly<Record<string, string>>;

/** Headers from how they travel. */
export function headersOf(head: string | undefined): Headers {
  if (head === undefined) return {};
  const found: Record<string, string> = {};
  for (const line of head.split("\r\n").slice(1)) {
    const colon = line.indexOf(":");
    if (colon > 0) found[line.slice(0, colon)] = line.slice(colon + 1).trim();
  }
  return found;
}

/** Headers as they travel. */
export function headOf(headers: Headers, status = ""): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `NATS/1.0${status === "" ? "" : ` ${status}`}\r\n${lines.join("")}\r\n`;
}
