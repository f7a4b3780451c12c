/** Operating systems and processors in Go's words, as Go and Docker use them. */
import * as v from "valibot";

/** A machine's platform. */
export const Platform = v.object({
  os: v.picklist(["linux", "darwin", "windows"]),
  arch: v.picklist(["amd64", "arm64"]),
});
/** A machine's platform. */
export type Platform = v.InferOutput<typeof Platform>;

/** The platform that this program runs on. */
export function platformHere(): Platform {
  const { os, arch } = Deno.build;
  if (os !== "linux" && os !== "darwin" && os !== "windows") throw new TypeError(`xtask does not run on ${os}`);
  return { os, arch: arch === "aarch64" ? "arm64" : "amd64" };
}
