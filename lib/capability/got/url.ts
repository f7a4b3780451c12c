/** Which URLs may be downloaded, and how they appear in a log. */
import { XtaskError } from "../../protocol/error.ts";

/**
 * A URL to download from.
 *
 * @param base What a relative one is relative to
 * @throws {XtaskError} `invalid` for anything but http and https, and for a URL with a user name or password in it: those
 * end up in logs and histories
 */
export function downloadUrl(text: string, base?: URL): URL {
  const url = URL.parse(text, base?.href);
  if (url === null) throw invalid("The URL cannot be read", "expected an absolute http or https URL");
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw invalid(`The URL's scheme '${url.protocol}' is not supported`, "expected an http or https URL");
  }
  if (url.username !== "" || url.password !== "") {
    throw invalid("The URL has a user name or password in it", "expected a URL without 'user:password@'");
  }
  return url;
}

/** A URL as a log may show it: a query is left out, for it may be a signature or a token. */
export function publicUrl(url: URL): string {
  return `${url.origin}${url.pathname}${url.search === "" ? "" : "?…"}`;
}

function invalid(message: string, detail: string): XtaskError {
  return new XtaskError("invalid", message, { details: [`url: ${detail}`] });
}
