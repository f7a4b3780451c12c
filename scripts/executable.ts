/** For which machine an executable is, by its own header. */
import type { Platform } from "../lib/protocol/platform.ts";

/** Enough of a file for {@linkcode platformOf}. */
export const HEAD_BYTES = 4_096;

const ELF = 0x7f454c46;
const MACH_O_64 = 0xfeedfacf;
const PE = 0x50450000;
/** Where an executable for Windows tells where its header is. */
const PE_AT = 0x3c;

/** Each format's number for a processor. */
const ELF_MACHINES: Readonly<Record<number, Platform["arch"]>> = { 0x3e: "amd64", 0xb7: "arm64" };
const MACH_O_CPUS: Readonly<Record<number, Platform["arch"]>> = { 0x01000007: "amd64", 0x0100000c: "arm64" };
const PE_MACHINES: Readonly<Record<number, Platform["arch"]>> = { 0x8664: "amd64", 0xaa64: "arm64" };

/** The platform that the first bytes of an executable tell; undefined where they tell none that is known. */
export function platformOf(head: Uint8Array<ArrayBuffer>): Platform | undefined {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  if (view.byteLength < PE_AT + 4) return undefined;
  if (view.getUint32(0) === ELF) return platform("linux", ELF_MACHINES[view.getUint16(18, true)]);
  if (view.getUint32(0, true) === MACH_O_64) return platform("darwin", MACH_O_CPUS[view.getUint32(4, true)]);
  const at = view.getUint32(PE_AT, true);
  if (at + 6 > view.byteLength || view.getUint32(at) !== PE) return undefined;
  return platform("windows", PE_MACHINES[view.getUint16(at + 4, true)]);
}

function platform(os: Platform["os"], arch: Platform["arch"] | undefined): Platform | undefined {
  return arch === undefined ? undefined : { os, arch };
}
