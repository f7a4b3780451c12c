/** `got`: downloads a file, or an archive and what is in it, to a place under the node's folder. */
import { defineCapability, verb } from "../define.ts";
import { GotInput, GotOutput } from "./shapes.ts";

/**
 * The capability.
 *
 * A download appears under its name whole and verified, or not at all: it is written beside it under a temporary name and
 * renamed. An existing file is replaced; any other existing thing is refused with `conflict`. With `extract` the output is
 * a folder that must not exist or be empty, so nothing is ever mixed or removed. Files and folders are extracted; an archive
 * with links or devices is refused as a whole.
 *
 * Link-local and metadata addresses are refused on every hop, private networks are not, except to a redirect from the
 * internet. Proxies (`HTTPS_PROXY`) are not used. Beside the roots that Deno ships those of `NODE_EXTRA_CA_CERTS` are trusted.
 */
export default defineCapability({
  name: "got",
  summary: "Download files to a node",
  // `ca` and NODE_USE_SYSTEM_CA are what node:https needs to learn which certificates to trust.
  permissions: ({ dir }) => ({ net: true, read: [dir], write: [dir], sys: ["ca"], env: ["NODE_USE_SYSTEM_CA"] }),
  verbs: {
    download: verb({
      summary: "Download a URL to a file, verified and never half",
      effect: "change",
      input: GotInput,
      output: GotOutput,
      cli: { positional: ["url", "output"] },
      async run(input, context) {
        // Only a run needs the HTTP and archive libraries; whoever just lists capabilities does not wait for them.
        const { deliver } = await import("./deliver.ts");
        return await deliver(input, context);
      },
    }),
  },
});
