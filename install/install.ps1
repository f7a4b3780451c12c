<#
Installs xtask for this user, or replaces an older one: no administrator, one file, nothing else.

  & ([scriptblock]::Create((irm URL/install.ps1))) -From URL

URL is where the files of `deno task compile --target all` lie.
#>
param(
  # Where xtask-TRIPLE.exe and SHA256SUMS lie; or XTASK_FROM.
  [string] $From = $env:XTASK_FROM,
  # Where xtask.exe goes; or XTASK_TO.
  [string] $To = $(if ($env:XTASK_TO) { $env:XTASK_TO } else { Join-Path $HOME '.local' | Join-Path -ChildPath 'bin' }),
  # For which machine; Windows on ARM runs the program for x86_64.
  [string] $Target = 'x86_64-pc-windows-msvc'
)
Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'
# The progress bar of older versions makes a download many times slower.
$ProgressPreference = 'SilentlyContinue'
# Windows PowerShell 5 does not offer TLS 1.2 by itself.
[Net.ServicePointManager]::SecurityProtocol = [Net.ServicePointManager]::SecurityProtocol -bor [Net.SecurityProtocolType]::Tls12

function Install-Xtask {
  if (-not $From) { throw "Where shall xtask come from? Give the address: -From https://..., or set XTASK_FROM" }
  $base = $From.TrimEnd('/')
  $file = "xtask-$Target.exe"
  $sums = (Invoke-WebRequest -UseBasicParsing -Uri "$base/SHA256SUMS").Content
  # A server that does not know the type of the file makes its content bytes.
  if ($sums -is [byte[]]) { $sums = [Text.Encoding]::UTF8.GetString($sums) }
  $line = $sums -split "`n" | Where-Object { ($_ -replace '^\S+\s+\*?', '').Trim() -eq $file } | Select-Object -First 1
  if (-not $line) { throw "There is no $file at ${base}: it is not in SHA256SUMS there" }
  $expected = ($line -split '\s+')[0]

  New-Item -ItemType Directory -Force -Path $To | Out-Null
  $xtask = Join-Path $To 'xtask.exe'
  # In the folder itself, so that the last step is one rename: xtask is the old one or the new one, never half of it.
  $part = Join-Path $To ".xtask-$([guid]::NewGuid()).exe"
  try {
    Write-Output "Fetching $file from $base"
    Invoke-WebRequest -UseBasicParsing -Uri "$base/$file" -OutFile $part
    $got = (Get-FileHash -Algorithm SHA256 -Path $part).Hash
    if ($got -ne $expected) { throw "$file is not what SHA256SUMS says: expected $expected, got $got. Nothing was installed" }
    if ($env:OS -ne 'Windows_NT') { chmod 755 $part }
    $version = & $part version
    if ($LASTEXITCODE -ne 0) { throw "$file does not run on this machine. Nothing was installed" }
    Move-Item -Force -Path $part -Destination $xtask
    Write-Output "Installed $version as $xtask"
  } finally {
    Remove-Item -Force -ErrorAction SilentlyContinue -Path $part
  }
  if (($env:PATH -split [IO.Path]::PathSeparator) -notcontains $To) {
    Write-Output "$To is not on PATH. For every new shell of yours:"
    Write-Output "  [Environment]::SetEnvironmentVariable('PATH', '$To;' + [Environment]::GetEnvironmentVariable('PATH', 'User'), 'User')"
  }
}

Install-Xtask
