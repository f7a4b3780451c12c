/** A small file system of a test's own, which it fills. */

/** Mounts one at a path, so many MiB large; it goes with the stack. */
export async function smallDisk(stack: AsyncDisposableStack, path: string, mib: number): Promise<string> {
  await Deno.mkdir(path, { recursive: true });
  const args = ["-t", "tmpfs", "-o", `size=${mib}m`, "tmpfs", path];
  const { success, stderr } = await new Deno.Command("mount", { args }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  stack.defer(async () => void await new Deno.Command("umount", { args: ["-l", path] }).output());
  return path;
}

/** Writes until there is no room. */
export async function fill(path: string): Promise<void> {
  using file = await Deno.open(`${path}/filler`, { write: true, create: true, append: true });
  for (let size = 64 * 1024; size >= 1; size = Math.floor(size / 2)) {
    const bytes = new Uint8Array(size);
    for (let full = false; !full;) {
      // Whatever the error says: there is no room for so much.
      full = await file.write(bytes).then((written) => written === 0, () => true);
    }
  }
}

/** May this process mount? Root may, but not in every container. */
export async function mayMount(): Promise<boolean> {
  if (Deno.build.os !== "linux" || Deno.uid() !== 0) return false;
  const args = ["--mount", "sh", "-c", "mount -t tmpfs -o size=1m tmpfs /mnt"];
  const { success } = await new Deno.Command("unshare", { args, stderr: "null" }).output().catch(() => ({
    success: false,
  }));
  return success;
}
