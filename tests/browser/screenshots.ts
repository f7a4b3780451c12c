/**
 * Takes pictures of the page with a real fleet behind it, into a folder: every view, at the width of a desk and of a phone, in
 * light and in dark.
 *
 * ```sh
 * deno task screenshots [FOLDER] [--full]
 * ```
 */
import { join, resolve } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { startStage, THEMES, WIDTHS } from "./scenes.ts";

const { values: { full = false }, positionals: [given = "dist/screenshots"] } = parseArgs({
  allowPositionals: true,
  // All of a view, however long it is.
  options: { full: { type: "boolean" } },
});
const folder = resolve(given);
await Deno.mkdir(folder, { recursive: true });
await using stage = await startStage();
const { page } = stage.tab;
/** Charts are drawn anew for another theme. */
const DRAWN = "document.fonts.ready.then(() => new Promise((done) => setTimeout(done, 150)))";
for (const scene of stage.scenes) {
  for (const { name: width } of WIDTHS) {
    await stage.show(scene, width);
    for (const theme of THEMES) {
      await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: theme }]);
      await page.evaluate(DRAWN);
      const path = join(folder, `${scene.name}-${width}-${theme}.png`) as `${string}.png`;
      await page.screenshot({ path, fullPage: full && scene.act === undefined });
    }
  }
}
process.stdout.write(`${folder}\n`);
