#!/bin/sh
# Installs xtask for this user, or replaces an older one: no root, one file, nothing else.
#
#   curl -fsSL URL/install.sh | sh -s -- --from URL
#
# URL is where the files of `deno task compile --target all` lie. All is in functions, so a script that arrives cut does
# nothing.
set -eu

usage() {
  cat <<'END'
usage: install.sh --from URL [--to FOLDER]

  --from URL    where xtask-TRIPLE and SHA256SUMS lie; or XTASK_FROM
  --to FOLDER   where xtask goes; or XTASK_TO; by default ~/.local/bin
END
}

main() {
  from=${XTASK_FROM:-}
  to=${XTASK_TO:-}
  while [ $# -gt 0 ]; do
    case $1 in
      --from | --to)
        [ $# -gt 1 ] || fail "$1 needs a value" "see: install.sh --help"
        if [ "$1" = --from ]; then from=$2; else to=$2; fi
        shift 2
        ;;
      --help | -h)
        usage
        return
        ;;
      *) fail "There is no option '$1'" "see: install.sh --help" ;;
    esac
  done
  [ -n "$from" ] || fail "Where shall xtask come from?" "give the address: --from https://…, or set XTASK_FROM"
  [ -n "$to" ] || to=${HOME:?is not set; give a folder with --to}/.local/bin
  case $to in /*) ;; *) to=$(pwd)/$to ;; esac
  from=${from%/}
  has curl || has wget || fail "Neither curl nor wget is here" "install one of them"
  file=xtask-$(triple)
  sums=$(fetch "$from/SHA256SUMS") || fail "Cannot fetch $from/SHA256SUMS" "is the address right, and can it be reached from here?"
  expected=$(printf '%s\n' "$sums" | awk -v file="$file" '$2 == file || $2 == "*" file { print $1; exit }')
  [ -n "$expected" ] || fail "There is no $file at $from" "it is not in SHA256SUMS there"

  mkdir -p "$to" 2>/dev/null && part=$(mktemp "$to/.xtask.XXXXXX" 2>/dev/null) ||
    fail "$to cannot be written" "choose another folder: --to FOLDER"
  # In the folder itself, so that the last step is one rename: xtask is the old one or the new one, never half of it.
  trap 'rm -f "$part"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  say "Fetching $file from $from"
  fetch "$from/$file" >"$part" || fail "$from/$file did not arrive whole" "try again; what was installed before is as it was"
  got=$(sha256 "$part")
  [ "$got" = "$expected" ] ||
    fail "$file is not what SHA256SUMS says" "expected $expected" "     got $got" "nothing was installed"
  chmod 755 "$part"
  version=$("$part" version 2>&1) ||
    fail "$file does not run on this machine: $version" "nothing was installed"
  mv -f "$part" "$to/xtask" || fail "$to/xtask cannot be replaced" "choose another folder: --to FOLDER"
  say "Installed $version as $to/xtask"
  hint
}

# Deno's word for this machine.
triple() {
  system=$(uname -s)
  machine=$(uname -m)
  case $system in
    Linux)
      system=unknown-linux-gnu
      if [ -e "/lib/ld-musl-$machine.so.1" ] && ! [ -e /lib64/ld-linux-x86-64.so.2 ] && ! [ -e /lib/ld-linux-aarch64.so.1 ]; then
        fail "xtask does not run here: this Linux has musl" "it needs glibc 2.27 or newer, as Debian, Ubuntu and Fedora have"
      fi
      ;;
    Darwin)
      system=apple-darwin
      # A shell that is itself translated is told that the processor is an Intel one.
      if [ "$(sysctl -n sysctl.proc_translated 2>/dev/null)" = 1 ]; then machine=arm64; fi
      ;;
    MINGW* | MSYS* | CYGWIN*) fail "On Windows use install.ps1" "in PowerShell: & ([scriptblock]::Create((irm URL/install.ps1))) -From URL" ;;
    *) fail "There is no xtask for $system" "there is one for Linux, macOS and Windows" ;;
  esac
  case $machine in
    x86_64 | amd64) machine=x86_64 ;;
    aarch64 | arm64) machine=aarch64 ;;
    *) fail "There is no xtask for processors of the kind $machine" "there is one for x86_64 and aarch64" ;;
  esac
  echo "$machine-$system"
}

# Writes a file of the server to standard output.
fetch() {
  if has curl; then
    curl --fail --silent --show-error --location --connect-timeout 15 "$1"
  else
    wget -q -T 15 -O - "$1"
  fi
}

sha256() {
  if has sha256sum; then
    sum=$(sha256sum <"$1")
  elif has shasum; then
    sum=$(shasum -a 256 <"$1")
  elif has openssl; then
    sum=$(openssl dgst -sha256 -r <"$1")
  else
    fail "Neither sha256sum nor shasum nor openssl is here, so nothing can be verified" "install one of them"
  fi
  echo "${sum%% *}"
}

# What is left to do for `xtask` to mean this one.
hint() {
  case ":$PATH:" in
    *":$to:"*)
      found=$(command -v xtask || true)
      [ "$found" = "$to/xtask" ] || say "But 'xtask' means $found here: it comes first on PATH"
      return
      ;;
  esac
  say "$to is not on PATH. Add this line to the file that your shell reads at its start:"
  case ${SHELL:-} in
    */fish) say "  fish_add_path '$to'      # in ~/.config/fish/config.fish" ;;
    */zsh) say "  export PATH=\"$to:\$PATH\"      # in ~/.zshrc" ;;
    *) say "  export PATH=\"$to:\$PATH\"      # in ~/.profile" ;;
  esac
}

has() {
  command -v "$1" >/dev/null 2>&1
}

say() {
  printf '%s\n' "$1"
}

# What went wrong, then what to do about it, one line each.
fail() {
  printf 'error: %s\n' "$1" >&2
  shift
  for line in "$@"; do printf '  %s\n' "$line" >&2; done
  exit 1
}

main "$@"
