/** Files for their owner's eyes only. */

/** Writes a file that only its owner may read: whole or not at all. */
export async function writeSecretFile(path: string, text: string): Promise<void> {
  const temporary = `${path}.${crypto.randomUUID().slice(0, 8)}.tmp`;
  try {
    await Deno.writeTextFile(temporary, text, { mode: 0o600, createNew: true });
    await Deno.rename(temporary, path);
  } catch (error) {
    // What could not be written may not be there at all.
    await Deno.remove(temporary).catch(() => {});
    throw error;
  }
}
