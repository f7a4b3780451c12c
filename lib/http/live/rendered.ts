/**
 * What tabs share: frames are made once for each state of what is known, whoever looks at them, and so is what is sent to go
 * from one state to the next. Two hundred tabs that show the same cost little more than one.
 */
import { type Frame, patchesBetween } from "../../../ui/frame.ts";
import type { Model } from "./model.ts";
import { Patches } from "./patches.ts";

/** Frames, which are never changed: the same list is the same state. */
export type Frames = readonly Frame[];

/** Views of one project that are kept for others who look at the same. */
const KEPT_MAX = 64;

/** The frames of a project's views. */
export interface Rendered {
  /**
   * The frames of a view as they are now.
   *
   * @param key Tells what is looked at: the same key, the same frames
   */
  of(key: string, make: () => Promise<Frames> | Frames): Promise<Frames>;
}

const ofModels = new WeakMap<Model, Rendered>();

/** The frames of a project's views, made once for each of its states. */
export function renderedOf(model: Model): Rendered {
  let rendered = ofModels.get(model);
  if (rendered === undefined) ofModels.set(model, rendered = createRendered(model));
  return rendered;
}

/** As {@linkcode renderedOf}, for anything that has a version. */
export function createRendered(model: { readonly version: number }): Rendered {
  const kept = new Map<string, { readonly version: number; readonly frames: Promise<Frames> }>();
  return {
    of(key, make) {
      const { version } = model;
      const known = kept.get(key);
      if (known?.version === version) return known.frames;
      const frames = Promise.resolve().then(make);
      kept.delete(key);
      const mine = { version, frames };
      kept.set(key, mine);
      // What could not be made now may be when it is asked for again.
      frames.catch(() => kept.get(key) === mine && kept.delete(key));
      const [oldest] = kept.keys();
      if (kept.size > KEPT_MAX && oldest !== undefined) kept.delete(oldest);
      return frames;
    },
  };
}

const patches = new WeakMap<Frames, WeakMap<Frames, Uint8Array<ArrayBuffer>>>();

/** What is sent to a tab that shows `shown`, so that it shows `next`: nothing where that is the same. */
export function patchBytes(shown: Frames, next: Frames): Uint8Array<ArrayBuffer> {
  let known = patches.get(next);
  if (known === undefined) patches.set(next, known = new WeakMap());
  let bytes = known.get(shown);
  if (bytes === undefined) {
    const written = new Patches();
    for (const html of patchesBetween(shown, next)) written.patchElements(html);
    known.set(shown, bytes = new TextEncoder().encode(written.take()));
  }
  return bytes;
}
