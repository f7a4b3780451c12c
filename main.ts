/** xtask: one executable that dispatches to its subcommands. */
import { main } from "./lib/cli/main.ts";

Deno.exit(await main(Deno.args));
