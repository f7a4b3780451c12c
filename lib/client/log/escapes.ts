/** Text of a terminal taken apart: what is shown, and the sequences between that say how. */

/** A part of a text. */
export type Token =
  | { readonly kind: "text"; readonly text: string }
  /** `ESC [ parameters final`. */
  | { readonly kind: "csi"; readonly parameters: string; readonly final: string }
  /** `ESC ] … BEL` or `ESC ] … ESC \`: titles, links, clipboards. */
  | { readonly kind: "osc"; readonly content: string }
  /** One of BEL, BS, CR and the like. */
  | { readonly kind: "control"; readonly code: number };

// One alternative for each kind, in the order tried: CSI, OSC, other strings (DCS, SOS, PM, APC), other escapes, an ESC
// or a string that nothing ends, the same in the eight-bit forms, and single controls. Tabs are text.
const SEQUENCE =
  // deno-lint-ignore no-control-regex -- it is control characters that are looked for
  /(?:\x1b\[|\x9b)([0-?]*)[ -/]*([@-~])|(?:\x1b\]|\x9d)([^\x07\x1b\x9c]*)(?:\x07|\x1b\\|\x9c)|(?:\x1b[PX^_]|[\x90\x98\x9e\x9f])[^\x1b\x9c]*(?:\x1b\\|\x9c)|(?:\x1b\[|\x9b)[0-?]*[ -/]*|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*|\x1b[ -/]*[0-~]?|([\x00-\x08\x0a-\x1f\x7f-\x9f])/g;

/** The parts of a text, in order. Sequences that nobody understands are left out. */
export function* tokens(text: string): Iterable<Token> {
  let at = 0;
  for (const match of text.matchAll(SEQUENCE)) {
    if (match.index > at) yield { kind: "text", text: text.slice(at, match.index) };
    at = match.index + match[0].length;
    const [, parameters, final, content, control] = match;
    if (final !== undefined) yield { kind: "csi", parameters: parameters ?? "", final };
    else if (content !== undefined) yield { kind: "osc", content };
    else if (control !== undefined) yield { kind: "control", code: control.charCodeAt(0) };
  }
  if (at < text.length) yield { kind: "text", text: text.slice(at) };
}

/** What of a text is shown: without sequences and control characters. */
export function shownText(text: string): string {
  return text.replaceAll(SEQUENCE, "");
}
