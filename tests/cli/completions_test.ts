/** The completion scripts, loaded by the shells that they are for. */
import assert from "node:assert/strict";
import { temporaryFolder } from "../fleet.ts";
import { writeScript } from "../script.ts";
import { xtask } from "../xtask_process.ts";

const has = (shell: string) =>
  new Deno.Command(shell, { args: ["-c", "exit 0"], stdout: "null", stderr: "null" }).output()
    .then(({ success }) => success, () => false);

const OFFER_MS = 30_000;

/** What each shell says may follow, one word a line. */
const ASKED: Readonly<Record<string, (script: string, line: string, word: string) => string[]>> = {
  bash: (script, line) => [
    "--norc",
    "-c",
    `source ${script}; complete -p xtask >/dev/null || exit 3
COMP_WORDS=(${line.endsWith(" ") ? `${line} ""` : line}); COMP_CWORD=$(( \${#COMP_WORDS[@]} - 1 )); _xtask
printf '%s\\n' "\${COMPREPLY[@]}"`,
  ],
  fish: (script, line) => ["--no-config", "-c", `source ${script}; complete -C '${line}' | string split -f1 \\t`],
  // In a terminal of its own, since its completion works nowhere else: the line as it stands after a tab.
  zsh: (script, line, word) => [
    "-f",
    "-c",
    `zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z "PS1=; unsetopt zle_bracketed_paste; autoload -Uz compinit; compinit -u -D; source ${script}; echo load''ed"
zpty -r z text '*loaded*'
zpty -w -n z '${line}'$'\\t'
zpty -r z text '*${word}*'
zpty -d z
print -r -- "$text"`,
  ],
};

for (const [shell, args] of Object.entries(ASKED)) {
  Deno.test({
    name: `${shell} completes xtask with the script that it is given`,
    ignore: Deno.build.os === "windows" || !await has(shell),
    async fn() {
      await using stack = new AsyncDisposableStack();
      const home = await temporaryFolder(stack);
      const main = new URL("../../main.ts", import.meta.url).pathname;
      await Deno.mkdir(`${home}/bin`);
      await writeScript(`${home}/bin/xtask`, `exec '${Deno.execPath()}' run -A '${main}' "$@"`);
      const { code, stdout } = await xtask(["completions", shell], { home });
      assert.equal(code, 0);
      await Deno.writeTextFile(`${home}/script`, stdout);
      const offers = async (line: string, word: string) => {
        const { stdout, stderr, success } = await new Deno.Command(shell, {
          args: args(`${home}/script`, line, word),
          env: { PATH: `${home}/bin:${Deno.env.get("PATH")}`, XTASK_HOME: home, TERM: "dumb" },
          signal: AbortSignal.timeout(OFFER_MS),
        }).output();
        const text = new TextDecoder().decode(stdout);
        assert.ok(success && text.includes(word), text + new TextDecoder().decode(stderr));
      };
      await offers("xtask nodes sh", "show");
      await offers("xtask completions fi", "fish");
      await offers("xtask which --js", "--json");
    },
  });
}
