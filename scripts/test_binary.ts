/** `deno task test:binary`: compiles xtask and tests the result. The last line is that of `deno task test`. */
import process from "node:process";
import { runScript } from "./run_script.ts";
import { closing } from "./tally.ts";
import { testBinary } from "./tests_of_binary.ts";

await runScript(async () => {
  const tally = await testBinary();
  process.stdout.write(`\n${closing(tally)}\n`);
  if (tally.failed > 0) process.exitCode = 1;
});
