/** Where xtask keeps things on this machine: `XTASK_HOME` for all of it, else the folders that the system has for each. */

/** The folders. */
export interface Paths {
  /** Hub, journals: what must not be lost. */
  readonly data: string;
  /** Contexts and credentials. */
  readonly config: string;
}

type Env = (name: string) => string | undefined;

/** The folders for this environment. */
export function pathsOf(env: Env, os: typeof Deno.build.os = Deno.build.os): Paths {
  const home = env("XTASK_HOME");
  if (home) return { data: home, config: `${home}/config` };
  const user = env("HOME") ?? env("USERPROFILE") ?? ".";
  if (os === "windows") {
    const local = env("LOCALAPPDATA") ?? `${user}\\AppData\\Local`;
    return { data: `${local}\\xtask`, config: `${env("APPDATA") ?? local}\\xtask` };
  }
  if (os === "darwin") {
    const support = `${user}/Library/Application Support/xtask`;
    return { data: support, config: `${support}/config` };
  }
  return {
    data: `${env("XDG_DATA_HOME") || `${user}/.local/share`}/xtask`,
    config: `${env("XDG_CONFIG_HOME") || `${user}/.config`}/xtask`,
  };
}
