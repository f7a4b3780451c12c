/** Many nodes in one process: `nodes.ts HUB_URL FOLDER ID…` starts each as a client with the credential FOLDER/ID.creds. */
import process from "node:process";
import { startNode } from "../../lib/system.ts";

const [servers = "", folder = "", ...ids] = Deno.args;
const stack = new AsyncDisposableStack();
for (const id of ids) {
  const dir = `${folder}/${id}/project`;
  await Deno.mkdir(dir, { recursive: true });
  stack.use(
    await startNode({
      ...{ node: id, dir, home: `${folder}/${id}/agent`, hostname: "soak", labels: {}, slots: 2 },
      ...{ allow: ["silent", "which"], known: {}, env: { PATH: Deno.env.get("PATH") ?? "" }, log: () => {} },
      ...{ servers, creds: await Deno.readTextFile(`${folder}/${id}.creds`) },
    }),
  );
}
process.stdout.write("ready\n");
await new Promise<void>((resolve) => Deno.addSignalListener("SIGTERM", resolve));
await stack.disposeAsync();
Deno.exit(0);
