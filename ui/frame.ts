/**
 * A piece of a page that is kept up to date: an element with an id, made of parts that have ids too. While the parts stay the
 * same ones, only those that changed are sent; when one comes or goes the whole piece is.
 */

/** One part: an element with this id. */
export interface Part {
  readonly id: string;
  readonly html: string;
}

/** A piece of a page. */
export interface Frame {
  /** The id of its element. */
  readonly id: string;
  readonly parts: readonly Part[];
  /** The whole element, made of these parts. */
  readonly html: string;
}

/** What has to be sent for a page that shows `before` to show `after`: elements, each replacing the one with its id. */
export function patchesBetween(before: readonly Frame[], after: readonly Frame[]): string[] {
  return after.flatMap((frame) => {
    const old = before.find(({ id }) => id === frame.id);
    if (old?.html === frame.html) return [];
    const same = old !== undefined && frame.parts.length > 0 && old.parts.length === frame.parts.length &&
      frame.parts.every(({ id }, at) => old.parts[at]?.id === id);
    if (!same || around(old) !== around(frame)) return [frame.html];
    return frame.parts.filter(({ html }, at) => old.parts[at]?.html !== html).map(({ html }) => html);
  });
}

const rests = new WeakMap<Frame, string>();

/** What is left of a frame without its parts. */
function around(frame: Frame): string {
  let rest = rests.get(frame);
  if (rest === undefined) rests.set(frame, rest = withoutParts(frame));
  return rest;
}

function withoutParts({ html, parts }: Frame): string {
  let [rest, at] = ["", 0];
  for (const part of parts) {
    const begins = html.indexOf(part.html, at);
    // A part that is not in the frame as it is: then nothing is known to be the same.
    if (begins < 0) return html;
    rest += `${html.slice(at, begins)}\0`;
    at = begins + part.html.length;
  }
  return rest + html.slice(at);
}
