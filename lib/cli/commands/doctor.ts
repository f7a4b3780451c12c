/** `xtask doctor`: looks at this machine and says what is wrong and what to do. It changes nothing. */
import { findingsText } from "../doctor/finding.ts";
import { hubFindings, nodeFindings } from "../doctor/hub.ts";
import { machineFindings } from "../doctor/machine.ts";
import { programFindings } from "../doctor/program.ts";
import type { Shell } from "../shell.ts";
import type { FleetFlags } from "./nodes.ts";

/** Prints what was found; the exit code is 1 where something is wrong. */
export async function doctor(this: Shell, { json, context }: FleetFlags): Promise<void> {
  const findings = [
    ...await programFindings(this),
    ...await machineFindings(this),
    ...await nodeFindings(this),
    ...await hubFindings(this, context),
  ];
  if (json) findings.forEach((finding) => this.print(JSON.stringify(finding)));
  else this.print(findingsText(findings, this.color));
  if (findings.some(({ state }) => state === "wrong")) this.exit(1);
}
