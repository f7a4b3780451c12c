/**
 * Where repositories may come from: https, ssh, and folders of the node. An address also chooses the program that fetches
 * it (`ext::` is any command), and an ssh host or path that begins with a dash is a flag to ssh.
 */
import { XtaskError } from "../../protocol/error.ts";

/** An address that was looked at. */
export type Address =
  | { readonly kind: "network"; readonly url: string }
  /** A folder, as written: it is yet to be seen to lie below the node's. */
  | { readonly kind: "folder"; readonly path: string };

const ADDRESS_CHARS_MAX = 2_000;
const HOST = /^(?:[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?|\[[0-9A-Fa-f:.]+\])$/;
const USER = /^[A-Za-z0-9_][A-Za-z0-9_.+%-]*$/;
/** `git@host:team/app.git`, as ssh writes it. */
const SCP = /^(?:([^@:/\s]+)@)?([^@:/\s]+):(?!:)(.+)$/;

/** How {@linkcode readAddress} reads. */
export interface AddressOptions {
  /** Whether a repository's configuration has it already: then a password in it is no news. @default {false} */
  readonly stored?: boolean;
}

/**
 * Says what kind of address it is.
 *
 * @throws {XtaskError} `invalid` for any that is not https, ssh or a folder, and for one with a password in it
 */
export function readAddress(text: string, { stored = false }: AddressOptions = {}): Address {
  if (text.length > ADDRESS_CHARS_MAX || /[\p{Cc}\s]/u.test(text.replaceAll(" ", "")) || text.startsWith("-")) {
    throw refusal(text);
  }
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):\/\//.exec(text)?.[1];
  if (scheme !== undefined) return withScheme(scheme, text, stored);
  // A helper of git's own, `name::address`, looks much like ssh's way of writing.
  if (/^[A-Za-z0-9+.-]*::/.test(text)) throw refusal(text);
  // As git does: a slash before the first colon makes it a path. So does a drive letter.
  if (/^[^:]*\//.test(text) || /^[A-Za-z]:[\\/]/.test(text)) return { kind: "folder", path: text };
  const [, user, host = "", path = ""] = SCP.exec(text) ?? [];
  if (!HOST.test(host) || (user !== undefined && !USER.test(user)) || path.startsWith("-")) throw refusal(text);
  return { kind: "network", url: text };
}

function withScheme(scheme: string, text: string, stored: boolean): Address {
  const [, authority = "", path = ""] = /^[^:]+:\/\/([^/]*)(\/.*)?$/.exec(text) ?? [];
  if (scheme === "file") {
    // Git takes percent signs apart in such an address; one that means a plain path needs none.
    if ((authority !== "" && authority !== "localhost") || text.includes("%")) throw refusal(text);
    return { kind: "folder", path: /^\/[A-Za-z]:/.test(path) ? path.slice(1) : path };
  }
  if (!["https", "ssh", "git+ssh"].includes(scheme)) throw refusal(text);
  const [, account, place = ""] = /^(?:([^@]*)@)?(.*)$/.exec(authority) ?? [];
  const [user, password] = account?.split(/:(.*)/s) ?? [];
  const [, host = ""] = /^(.*?)(?::\d{1,5})?$/.exec(place) ?? [];
  if (password !== undefined && !stored) {
    throw new XtaskError("invalid", "The address has a password in it, which would be kept with the command", {
      details: ["let the node's credential helper or an ssh key answer instead"],
    });
  }
  if (!HOST.test(host) || (user !== undefined && !USER.test(user)) || /^\/+-/.test(path)) throw refusal(text);
  return { kind: "network", url: text };
}

/** The folder that a clone goes to where none is named: the address's last part without `.git`; undefined if there is none. */
export function folderName(address: string): string | undefined {
  const last = address.replace(/[/\\]+$/, "").replace(/[/\\]?\.git$/, "").split(/[/\\:]/).at(-1) ?? "";
  return /^[A-Za-z0-9_][A-Za-z0-9_. +-]*$/.test(last) ? last : undefined;
}

function refusal(text: string): XtaskError {
  const shown = text.replace(/\/\/[^/@]*@/, "//").slice(0, 200);
  return new XtaskError("invalid", `The address '${shown}' cannot be used`, {
    details: ["expected https://…, ssh://…, user@host:path, or a folder below the node's"],
  });
}
