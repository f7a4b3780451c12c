/** `xtask completions`: scripts that ask `xtask __complete` for what may follow. */
import { XtaskError } from "../../protocol/error.ts";
import type { Shell } from "../shell.ts";

const SCRIPTS: Readonly<Record<string, string>> = {
  bash: `_xtask() {
  local IFS=$'\\n'
  COMPREPLY=($(xtask __complete "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null | cut -f1))
}
complete -o default -F _xtask xtask`,
  zsh: `#compdef xtask
_xtask() {
  local -a found
  local line
  for line in "\${(@f)$(xtask __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    [[ -n $line ]] && found+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
  done
  _describe xtask found
}
compdef _xtask xtask`,
  fish: `complete -c xtask -f -a '(xtask __complete (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null)'`,
  powershell: `Register-ArgumentCompleter -Native -CommandName xtask -ScriptBlock {
  param($word, $ast, $position)
  $words = @($ast.CommandElements | Select-Object -Skip 1 | ForEach-Object { "$_" })
  if ($word -eq '') { $words += '' }
  xtask __complete @words 2>$null | ForEach-Object {
    $part = $_ -split "\`t", 2
    [System.Management.Automation.CompletionResult]::new($part[0], $part[0], 'ParameterValue', $(if ($part[1]) { $part[1] } else { $part[0] }))
  }
}`,
};

/** Prints the script of a shell. */
export function completions(this: Shell, _flags: unknown, shell: string): void {
  const script = SCRIPTS[shell];
  if (script === undefined) {
    throw new XtaskError("invalid", `There are no completions for '${shell}'`, {
      details: [`there are ${Object.keys(SCRIPTS).join(", ")}`],
    });
  }
  this.print(script);
}
