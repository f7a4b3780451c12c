/**
 * Takes off an executable what `deno compile` added to it, which leaves the run-time it was made from:
 *
 * | format | where the payload is | how it is taken off |
 * |---|---|---|
 * | ELF | behind the section headers | cut there |
 * | PE | the last section, and the only resource | drop that section |
 * | Mach-O x86-64 | behind a marker; `__LINKEDIT` and the string table stretch over it | cut, shrink both |
 * | Mach-O arm64 | a segment `__SUI` in front of `__LINKEDIT` | lift it out, move back what lay behind |
 */
import { XtaskError } from "../lib/protocol/error.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Little-endian fields at offsets; all formats here are little-endian. */
class Fields {
  readonly bytes: Bytes;
  readonly #view: DataView;

  constructor(bytes: Bytes) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  u16(at: number): number {
    return this.#view.getUint16(at, true);
  }

  u32(at: number): number {
    return this.#view.getUint32(at, true);
  }

  u64(at: number): number {
    return Number(this.#view.getBigUint64(at, true));
  }

  put32(at: number, value: number): void {
    this.#view.setUint32(at, value, true);
  }

  put64(at: number, value: number): void {
    this.#view.setBigUint64(at, BigInt(value), true);
  }
}

/**
 * The executable without its payload. May change `bytes`.
 *
 * @throws {XtaskError} `invalid` if it is no executable of these formats, or has no payload where one is expected
 */
export function cutPayload(bytes: Bytes): Bytes {
  const fields = new Fields(bytes);
  try {
    if (fields.u32(0) === 0x464c457f) return cutElf(fields);
    if (fields.u16(0) === 0x5a4d) return cutPe(fields);
    if (fields.u32(0) === 0xfeedfacf) return cutMachO(fields);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new XtaskError("invalid", "The executable ends within its headers", { cause });
  }
  throw new XtaskError("invalid", "It is neither a 64-bit ELF, a PE nor a 64-bit Mach-O executable");
}

function cutElf(file: Fields): Bytes {
  const [sectionHeaders, size, count] = [file.u64(0x28), file.u16(0x3a), file.u16(0x3c)];
  return file.bytes.slice(0, sectionHeaders + size * count);
}

function cutPe(file: Fields): Bytes {
  const header = file.u32(0x3c);
  const optional = header + 24;
  const last = optional + file.u16(header + 20) + (file.u16(header + 6) - 1) * 40;
  const [address, offset] = [file.u32(last + 12), file.u32(last + 20)];
  const resources = optional + 112 + 2 * 8;
  if (file.u32(resources) !== address) throw new XtaskError("invalid", "The PE's resources are not its last section");
  file.put64(resources, 0);
  file.put32(header + 4, file.u32(header + 4) - 0x10000); // one section fewer; the count is the upper half
  file.put32(optional + 56, address); // size of the image
  file.bytes.fill(0, last, last + 40);
  return file.bytes.slice(0, offset);
}

interface LoadCommand {
  readonly kind: number;
  readonly at: number;
  readonly segment: string;
}

const SEGMENT = 0x19;
const SYMTAB = 0x2;

function cutMachO(file: Fields): Bytes {
  const commands: LoadCommand[] = [];
  for (let number = 0, at = 32; number < file.u32(16); number++, at += file.u32(at + 4)) {
    const kind = file.u32(at);
    const name = new TextDecoder().decode(file.bytes.subarray(at + 8, at + 24)).replace(/\0.*/s, "");
    commands.push({ kind, at, segment: kind === SEGMENT ? name : "" });
  }
  const linkedit = commands.find(({ segment }) => segment === "__LINKEDIT")?.at;
  if (linkedit === undefined) throw new XtaskError("invalid", "The Mach-O has no __LINKEDIT segment");
  const payload = commands.find(({ segment }) => segment === "__SUI")?.at;
  return payload === undefined
    ? cutBehindMarker(file, commands, linkedit)
    : liftSegment(file, commands, linkedit, payload);
}

function cutBehindMarker(file: Fields, commands: readonly LoadCommand[], linkedit: number): Bytes {
  const { bytes } = file;
  const marker = [...new TextEncoder().encode("<~sui-data~>"), 0xef, 0xbe, 0xad, 0xde];
  let end = bytes.length;
  do end = bytes.lastIndexOf(marker[0] as number, end - 1); while (
    end > 0 && !marker.every((byte, index) => bytes[end + index] === byte)
  );
  const symtab = commands.find(({ kind }) => kind === SYMTAB)?.at;
  if (end <= 0 || symtab === undefined) throw new XtaskError("invalid", "The Mach-O has no payload");
  const size = end - file.u64(linkedit + 40);
  file.put64(linkedit + 32, Math.ceil(size / 4096) * 4096);
  file.put64(linkedit + 48, size);
  file.put32(symtab + 20, end - file.u32(symtab + 16)); // size of the string table, the last thing in the file
  return bytes.slice(0, end);
}

/** Where load commands hold offsets into the file, by kind. */
const OFFSETS: Readonly<Record<number, readonly number[]>> = {
  [SYMTAB]: [8, 16],
  0xb: [32, 40, 48, 56, 64, 72], // dysymtab
  0x80000022: [8, 16, 24, 32, 40], // dyld info
  // Those that hold one piece of linkedit data: signature, function starts, exports and their like.
  ...Object.fromEntries([0x1d, 0x26, 0x29, 0x2b, 0x2d, 0x36, 0x80000033, 0x80000034].map((kind) => [kind, [8]])),
};

function liftSegment(file: Fields, commands: readonly LoadCommand[], linkedit: number, payload: number): Bytes {
  const { bytes } = file;
  const [from, by] = [file.u64(payload + 40), file.u64(payload + 48)];
  const [commandSize, commandsEnd] = [file.u32(payload + 4), 32 + file.u32(20)];
  for (const { kind, at } of commands) {
    for (const offset of OFFSETS[kind] ?? []) {
      if (file.u32(at + offset) > from) file.put32(at + offset, file.u32(at + offset) - by);
    }
  }
  file.put64(linkedit + 24, file.u64(linkedit + 24) - file.u64(payload + 32));
  file.put64(linkedit + 40, file.u64(linkedit + 40) - by);
  file.put32(16, file.u32(16) - 1);
  file.put32(20, file.u32(20) - commandSize);
  const rest = new Uint8Array(bytes.length - by);
  rest.set(bytes.subarray(0, payload));
  rest.set(bytes.subarray(payload + commandSize, commandsEnd), payload); // what they leave behind stays zero
  rest.set(bytes.subarray(commandsEnd, from), commandsEnd);
  rest.set(bytes.subarray(from + by), from);
  return rest;
}
