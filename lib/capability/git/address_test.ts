import assert from "node:assert/strict";
import { folderName, readAddress } from "./address.ts";

Deno.test("readAddress takes https and ssh as they are", () => {
  for (
    const url of [
      "https://example.com/team/app.git",
      "https://user@example.com:8443/a/b",
      "ssh://git@example.com/team/app",
      "ssh://git@example.com:2222/~me/app.git",
      "ssh://[::1]:22/a",
      "git+ssh://git@example.com/a",
      "git@example.com:team/app.git",
      "example.com:a b",
      "host:/absolute/path",
    ]
  ) assert.deepEqual(readAddress(url), { kind: "network", url });
});

Deno.test("readAddress tells folders by a slash before any colon, a drive, or file://", () => {
  for (
    const [text, path] of [
      ["./a", "./a"],
      ["/srv/git/a.git", "/srv/git/a.git"],
      ["a/b:c", "a/b:c"],
      ["../a", "../a"],
      ["C:\\git\\a", "C:\\git\\a"],
      ["file:///srv/git/a", "/srv/git/a"],
      ["file://localhost/srv/a", "/srv/a"],
      ["file:///C:/git/a", "C:/git/a"],
    ] as const
  ) assert.deepEqual(readAddress(text), { kind: "folder", path });
});

Deno.test("readAddress refuses every other way, and what ssh or git could read as a flag", () => {
  for (
    const text of [
      "",
      "ext::sh -c 'touch x'",
      "ext::sh",
      "fd::7",
      "::x",
      "http://example.com/a",
      "git://example.com/a",
      "ftp://example.com/a",
      "HTTPS2://x/a",
      "ext://x",
      "--upload-pack=touch x",
      "-oProxyCommand=touch x",
      "-oProxyCommand=x:path",
      "ssh://-oProxyCommand=touch/a",
      "ssh://-oProxyCommand=x@host/a",
      "ssh://host-/a",
      "ssh://host/-a",
      "git@-oProxyCommand:a",
      "-u@host:a",
      "git@host:-a",
      "ssh://a b/c",
      "https:///a",
      "https://host?x/a",
      "https://a@b@c/d",
      "file://server/share",
      "file:///a%2e%2e/b",
      "https://host/a\nb",
      "host:a\0b",
      "repo",
      ".",
      "a:",
      "https://host/" + "a".repeat(2_000),
    ]
  ) assert.throws(() => readAddress(text), { code: "invalid" }, JSON.stringify(text));
});

Deno.test("readAddress refuses a password that would be kept with the command, and repeats none", () => {
  assert.throws(() => readAddress("https://user:secret@example.com/a"), { code: "invalid", message: /password/ });
  assert.deepEqual(readAddress("https://user:secret@example.com/a", { stored: true }).kind, "network");
  assert.throws(
    () => readAddress("http://user:secret@example.com/a", { stored: true }),
    (error: Error) => !error.message.includes("secret"),
  );
});

Deno.test("folderName is the last part of an address, where it can be a folder's name", () => {
  for (
    const [address, name] of [
      ["https://example.com/team/app.git", "app"],
      ["https://example.com/team/app/", "app"],
      ["git@example.com:app.git", "app"],
      ["/srv/app/.git", "app"],
      ["https://example.com/", "example.com"],
      ["/", undefined],
      ["https://example.com/..", undefined],
      ["https://example.com/-x", undefined],
      ["https://example.com/.git", "example.com"],
    ] as const
  ) assert.equal(folderName(address), name, address);
});
