// Copies src/ to dist/ and stamps it with the version and a digest of the sources: the same sources give the same dist/.
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";

const here = (path) => new URL(path, import.meta.url);
const version = (await readFile(here("VERSION"), "utf8")).trim();
const names = (await readdir(here("src/"))).filter((name) => name.endsWith(".mjs")).sort();

await rm(here("dist/"), { recursive: true, force: true });
await mkdir(here("dist/"));
const digest = createHash("sha256");
for (const name of names) {
  const source = await readFile(here(`src/${name}`));
  digest.update(source);
  await writeFile(here(`dist/${name}`), source);
}
const stamp = `${version}+${digest.digest("hex").slice(0, 8)}`;
await writeFile(here("dist/version.mjs"), `export const VERSION = "${stamp}";\n`);
console.log(`built wordcount ${stamp}: ${names.length} files`);
