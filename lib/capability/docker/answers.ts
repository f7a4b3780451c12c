/**
 * What the clients print with `--format '{{json .}}'`, as data. Docker prints an object a line, with text for everything;
 * podman the same or one list, under other names and with numbers and lists where there are such.
 */
import * as v from "valibot";
import { XtaskError } from "../../protocol/error.ts";
import { parse, parseJson } from "../../protocol/parse.ts";

/** At most so many containers or images are told. */
export const LISTED_MAX = 500;

/** A daemon, or podman itself. */
export const Info = v.object({
  client: v.picklist(["docker", "podman"]),
  version: v.string(),
  os: v.string(),
  arch: v.pipe(v.string(), v.description("In Go's words: amd64, arm64")),
  cpus: v.number(),
  memoryBytes: v.number(),
  containers: v.number(),
  running: v.number(),
  images: v.number(),
});
/** A daemon, or podman itself. */
export type Info = v.InferOutput<typeof Info>;

/** A container. */
export const ContainerEntry = v.object({
  id: v.string(),
  name: v.string(),
  image: v.string(),
  state: v.pipe(v.string(), v.description("created, running, paused, restarting, exited, dead")),
  status: v.string(),
  ports: v.array(v.string()),
  createdAt: v.optional(v.string()),
});
/** A container. */
export type ContainerEntry = v.InferOutput<typeof ContainerEntry>;

/** An image. An untagged one has neither name nor tag. */
export const ImageEntry = v.object({
  id: v.string(),
  name: v.optional(v.string()),
  tag: v.optional(v.string()),
  sizeBytes: v.pipe(v.number(), v.description("Docker tells three digits, podman all")),
  createdAt: v.optional(v.string()),
});
/** An image. */
export type ImageEntry = v.InferOutput<typeof ImageEntry>;

const DockerInfo = v.object({
  ServerVersion: v.pipe(v.string(), v.minLength(1)),
  OSType: v.string(),
  Architecture: v.string(),
  NCPU: v.number(),
  MemTotal: v.number(),
  Containers: v.number(),
  ContainersRunning: v.number(),
  Images: v.number(),
});
const PodmanInfo = v.object({
  host: v.object({ arch: v.string(), os: v.string(), cpus: v.number(), memTotal: v.number() }),
  store: v.object({
    containerStore: v.object({ number: v.number(), running: v.number() }),
    imageStore: v.object({ number: v.number() }),
  }),
  version: v.object({ Version: v.string() }),
});

/** Reads `info`. */
export function readInfo(text: string): Info {
  const info = parseJson(v.union([DockerInfo, PodmanInfo]), text, "answer of the container client");
  if ("host" in info) {
    const { host, store, version } = info;
    return {
      client: "podman",
      version: version.Version,
      os: host.os,
      arch: goArch(host.arch),
      cpus: host.cpus,
      memoryBytes: host.memTotal,
      containers: store.containerStore.number,
      running: store.containerStore.running,
      images: store.imageStore.number,
    };
  }
  return {
    client: "docker",
    version: info.ServerVersion,
    os: info.OSType,
    arch: goArch(info.Architecture),
    cpus: info.NCPU,
    memoryBytes: info.MemTotal,
    containers: info.Containers,
    running: info.ContainersRunning,
    images: info.Images,
  };
}

const PodmanPort = v.object({
  host_ip: v.optional(v.string(), ""),
  host_port: v.number(),
  container_port: v.number(),
  range: v.optional(v.number(), 1),
  protocol: v.optional(v.string(), "tcp"),
});
const When = v.optional(v.union([v.string(), v.number()]));
const Ps = v.union([
  v.object({
    ID: v.string(),
    Names: v.string(),
    Image: v.string(),
    State: v.string(),
    Status: v.string(),
    Ports: v.string(),
    CreatedAt: When,
  }),
  v.object({
    Id: v.string(),
    Names: v.array(v.string()),
    Image: v.string(),
    State: v.string(),
    Status: v.optional(v.string(), ""),
    Ports: v.nullish(v.array(PodmanPort)),
    Created: When,
  }),
]);

/** Reads `ps`. */
export function readContainers(text: string): ContainerEntry[] {
  return entries(text).map((entry) => {
    const ps = parse(Ps, entry, "list of containers");
    const { Image: image, State: state, Status: status } = ps;
    if ("ID" in ps) {
      const ports = ps.Ports.split(", ").filter((port) => port !== "");
      return { id: ps.ID, name: ps.Names, image, state, status, ports, ...createdAt(ps.CreatedAt) };
    }
    const ports = (ps.Ports ?? []).map(podmanPort);
    return { id: ps.Id, name: ps.Names.join(","), image, state, status, ports, ...createdAt(ps.Created) };
  });
}

function podmanPort({ host_ip, host_port, container_port, range, protocol }: v.InferOutput<typeof PodmanPort>): string {
  const span = (port: number) => range > 1 ? `${port}-${port + range - 1}` : String(port);
  return `${host_ip === "" ? "0.0.0.0" : host_ip}:${span(host_port)}->${span(container_port)}/${protocol}`;
}

const Images = v.union([
  v.object({ ID: v.string(), Repository: v.string(), Tag: v.string(), Size: v.string(), CreatedAt: When }),
  v.object({
    Id: v.string(),
    repository: v.optional(v.string()),
    tag: v.optional(v.string()),
    Names: v.nullish(v.array(v.string())),
    Size: v.number(),
    Created: When,
  }),
]);

/** Reads `images`. */
export function readImages(text: string): ImageEntry[] {
  return entries(text).map((entry) => {
    const image = parse(Images, entry, "list of images");
    if ("ID" in image) {
      return {
        id: image.ID,
        ...named(image.Repository, image.Tag),
        sizeBytes: readSize(image.Size),
        ...createdAt(image.CreatedAt),
      };
    }
    // `host:port/name:tag`: the tag's colon is behind the last slash.
    const [, repository, tag] = /^(.*?)(?::([^:/]*))?$/.exec(image.Names?.[0] ?? "") ?? [];
    return {
      id: image.Id,
      ...named(image.repository ?? repository, image.tag ?? tag),
      sizeBytes: image.Size,
      ...createdAt(image.Created),
    };
  });
}

function named(name: string | undefined, tag: string | undefined): { name?: string; tag?: string } {
  const isTold = (text: string | undefined): text is string => text !== undefined && text !== "" && text !== "<none>";
  return { ...(isTold(name) ? { name } : {}), ...(isTold(tag) ? { tag } : {}) };
}

/** One list, or an object a line. */
function entries(text: string): unknown[] {
  const whole = text.trim();
  if (whole === "") return [];
  const lines = whole.startsWith("[") ? [whole] : whole.split("\n");
  const read = lines.slice(0, LISTED_MAX).map((line) => parseJson(v.unknown(), line, "answer of the container client"));
  return whole.startsWith("[") ? (read[0] as unknown[]).slice(0, LISTED_MAX) : read;
}

const UNITS: Readonly<Record<string, number>> = { B: 1, kB: 1e3, KB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12 };

/** `7.38MB` in bytes. */
function readSize(text: string): number {
  const [, number, unit = ""] = /^([\d.]+)\s*([kKMGT]?B)/.exec(text) ?? [];
  const scale = UNITS[unit];
  if (number === undefined || scale === undefined) {
    throw new XtaskError("internal", "The list of images has a size that cannot be read", { details: [text] });
  }
  return Math.round(Number(number) * scale);
}

/** Docker: `2026-01-27 00:26:22 +0100 CET`; podman: seconds since 1970, or RFC 3339. Left out where it is neither. */
function createdAt(when: string | number | undefined): { createdAt?: string } {
  const docker = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.\d+)? ([+-]\d\d)(\d\d)/.exec(String(when));
  const ms = typeof when === "number"
    ? when * 1_000
    : Date.parse(docker === null ? when ?? "" : `${docker[1]}T${docker[2]}${docker[3]}:${docker[4]}`);
  return Number.isNaN(ms) ? {} : { createdAt: new Date(ms).toISOString() };
}

function goArch(arch: string): string {
  return arch === "x86_64" ? "amd64" : arch === "aarch64" ? "arm64" : arch;
}
