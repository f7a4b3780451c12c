/** Notices that a node's Taskfile has changed, so that what it advertises stays true. */
import { pause } from "../os/pause.ts";

/** Where Task looks, in its order. */
const NAMES = ["Taskfile", "taskfile"].flatMap((name) =>
  ["yml", "yaml", "dist.yml", "dist.yaml"].map((ending) => `${name}.${ending}`)
);
const LOOK_MS = 5_000;

/** Changes when the Taskfile does. What it includes is not looked at: that shows when the agent starts again. */
export async function taskfileStamp(dir: string): Promise<string> {
  const stamps = await Promise.all(NAMES.map(async (name) => {
    try {
      const { mtime, size } = await Deno.stat(`${dir}/${name}`);
      return `${name} ${mtime?.getTime()} ${size}`;
    } catch {
      // Not there, or not to be read: either way there are no tasks in it for us.
      return "";
    }
  }));
  return stamps.join(";");
}

/** Calls back after each change, until the signal fires. */
export async function followTaskfile(
  dir: string,
  stamp: string,
  signal: AbortSignal,
  onChange: () => Promise<void>,
): Promise<void> {
  let last = stamp;
  for (;;) {
    await pause(LOOK_MS, signal);
    if (signal.aborted) return;
    const now = await taskfileStamp(dir);
    if (now === last) continue;
    last = now;
    await onChange();
  }
}
