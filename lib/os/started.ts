/** When a process and the machine were started: what tells them from later ones of the same number or name. */
import { probe } from "./probe.ts";

/**
 * A function of the shell: `since PID` sets `started`, in the system's own words, which are only to be compared. Empty where
 * there is no such process, or none that lives.
 */
export const SINCE = `
since() {
  started=
  if [ -r /proc/self/stat ]; then
    { read -r stat < "/proc/$1/stat"; } 2>/dev/null || return
    # The name stands in brackets and may hold anything.
    set -- \${stat##*) }
    case $1 in Z|X) return ;; esac
    started=\${20}
  else
    set -- $(ps -o stat= -o lstart= -p "$1" 2>/dev/null)
    case $1 in Z*) return ;; esac
    [ $# -gt 1 ] && shift && started=$(IFS=-; echo "$*")
  fi
}
`;

/** When a process was started; empty where it does not live, undefined where no shell says so in time. */
export async function startOf(pid: number): Promise<string | undefined> {
  const said = await probe("sh", "-c", `${SINCE} since "$1"; echo "$started"`, "since", String(pid));
  return said?.success ? said.text.trim() : undefined;
}

/** Tells this start of the machine from any other; undefined where the system does not tell. */
export async function bootId(os: typeof Deno.build.os = Deno.build.os): Promise<string | undefined> {
  const said = os === "linux"
    ? await probe("cat", "/proc/sys/kernel/random/boot_id")
    : os === "darwin"
    ? await probe("sysctl", "-n", "kern.bootsessionuuid")
    : undefined;
  return said?.success ? said.text.trim() || undefined : undefined;
}
