/**
 * Writes NOTICE: everything that is inside a compiled xtask, with its licences. npm packages are read from Deno's cache.
 * What else NOTICE tells is kept as long as it fits; where the run-time or an executable has changed, npm and Go are needed
 * to fetch what tells its licences. `notice_test.ts` sees on any machine that NOTICE fits what is used.
 *
 * ```sh
 * deno task notice
 * ```
 */
import process from "node:process";
import * as v from "valibot";
import { XtaskError } from "../lib/protocol/error.ts";
import { parseJson } from "../lib/protocol/parse.ts";
import { take } from "./asset_source.ts";
import { type AssetName, ASSETS, PAGE_SCRIPT, pinned } from "./assets.ts";
import { DENO_VERSION } from "./denort.ts";
import { goBuildInfo, type GoModule } from "./go_build_info.ts";
import { type Component, componentsOf, licenceOf, noticeText, tidied } from "./notice_text.ts";
import { licenceFiles, npmComponents } from "./npm_packages.ts";
import { runScript } from "./run_script.ts";
import { TARGETS } from "./targets.ts";

/** Where it is kept. */
export const NOTICE = new URL("../NOTICE", import.meta.url);

const SDK = "@starfederation/datastar-sdk";

const Downloaded = v.object({ Path: v.string(), Version: v.string(), Dir: v.string(), Sum: v.string() });

async function denoComponent(scratch: string, signal: AbortSignal): Promise<Component> {
  const requirement = `deno@${DENO_VERSION}`;
  const text = new TextDecoder().decode(
    await take({ kind: "npm", requirement, file: "LICENSE" }, "LICENSE", { scratch, signal }),
  );
  return component("deno", "deno", DENO_VERSION, [tidied(text)]);
}

/** What NOTICE has of a part already, if that is all there is to tell of it. */
function kept(known: readonly Component[], part: string, wanted: readonly string[]): Component[] | undefined {
  const own = known.filter((component) => component.part === part);
  const ids = own.map(({ name, version }) => `${name} ${version}`);
  return wanted.every((id) => ids.includes(id)) ? own : undefined;
}

/** All that an executable for this machine tells of itself, which changes with its version. */
async function toldBy(part: AssetName, signal: AbortSignal): Promise<string[]> {
  const { go, modules } = goBuildInfo(await Deno.readFile(await pinned(part, ASSETS[part], { signal })));
  return [`go ${go}`, ...modules.map(({ name, version }) => `${name} ${version}`)];
}

/** The modules of an executable, on whichever platform it needs most. */
async function goComponents(part: AssetName, scratch: string, signal: AbortSignal): Promise<Component[]> {
  const modules = new Map<string, GoModule>();
  let version = "";
  for (const { platform } of TARGETS) {
    const info = goBuildInfo(await Deno.readFile(await pinned(part, ASSETS[part], { platform, signal })));
    for (const module of info.modules) modules.set(`${module.name}@${module.version}`, module);
    version = info.go;
  }
  const folders = await download([...modules.values()], scratch, signal);
  const sorted = [...modules].sort(([a], [b]) => a < b ? -1 : 1);
  const made = sorted.map(async ([id, { name, version }]) =>
    component(part, name, version, await licenceFiles(folders.get(id) as string))
  );
  const root = (await go(["env", "GOROOT"], scratch, signal)).trim();
  return [component(part, "go", version, await licenceFiles(root)), ...await Promise.all(made)];
}

function component(part: string, name: string, version: string, texts: readonly string[]): Component {
  const licences = texts.map(licenceOf).filter((licence) => licence !== undefined);
  const licence = [...new Set(licences.flatMap((licence) => licence.split(" AND ")))].join(" AND ");
  if (licence !== "") return { part, name, version, licence, texts };
  throw new XtaskError("not_found", `No licence is found in ${name} ${version}`);
}

/** The folders of modules, by `name@version`. The executable says what each must hash to, so no other word is asked. */
async function download(modules: readonly GoModule[], scratch: string, signal: AbortSignal) {
  const said = await go(["mod", "download", "-json", ...modules.map((m) => `${m.name}@${m.version}`)], scratch, signal);
  const folders = new Map<string, string>();
  for (const text of said.split(/(?<=^\})\n/m).filter((text) => text.trim() !== "")) {
    const { Path, Version, Dir, Sum } = parseJson(Downloaded, text, "answer of go mod download");
    const expected = modules.find(({ name, version }) => name === Path && version === Version)?.sum ?? Sum;
    if (Sum !== expected) throw new XtaskError("invalid", `${Path} ${Version} hashes to ${Sum}, not ${expected}`);
    folders.set(`${Path}@${Version}`, Dir);
  }
  return folders;
}

async function go(args: readonly string[], cwd: string, signal: AbortSignal): Promise<string> {
  const env = { GOSUMDB: "off", GOFLAGS: "-mod=mod", GOTOOLCHAIN: "local" };
  const { success, stdout, stderr } = await new Deno.Command("go", { args: [...args], cwd, env, signal }).output();
  if (success) return new TextDecoder().decode(stdout);
  throw new XtaskError("unavailable", `go ${args[0]} failed`, { details: [new TextDecoder().decode(stderr)] });
}

if (import.meta.main) {
  await runScript(async () => {
    const signal = AbortSignal.timeout(30 * 60_000);
    const scratch = await Deno.makeTempDir();
    const known = componentsOf(await Deno.readTextFile(NOTICE));
    try {
      const components = await npmComponents();
      // The licence of the page's script is that of its SDK, which has the text; upstream's archive may be out of reach.
      const { texts = [] } = components.find(({ name }) => name === SDK) ?? {};
      components.push(component("datastar", "datastar", PAGE_SCRIPT.version, texts));
      components.push(...kept(known, "deno", [`deno ${DENO_VERSION}`]) ?? [await denoComponent(scratch, signal)]);
      for (const part of Object.keys(ASSETS) as AssetName[]) {
        components.push(...kept(known, part, await toldBy(part, signal)) ?? await goComponents(part, scratch, signal));
      }
      await Deno.writeTextFile(NOTICE, noticeText(components));
      process.stdout.write(`NOTICE: ${components.length} components\n`);
    } finally {
      await Deno.remove(scratch, { recursive: true });
    }
  });
}
