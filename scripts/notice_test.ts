import assert from "node:assert/strict";
import { asset, type AssetName, ASSETS, PAGE_SCRIPT } from "./assets.ts";
import { DENO_VERSION } from "./denort.ts";
import { goBuildInfo } from "./go_build_info.ts";
import { NOTICE } from "./notice.ts";
import { type Component, componentsOf, licenceOf, noticeText, tidied, words } from "./notice_text.ts";
import { NOT_SHIPPED, npmComponents } from "./npm_packages.ts";

const notice = await Deno.readTextFile(NOTICE);
const components = componentsOf(notice);
const of = (part: string) => components.filter((component) => component.part === part);
const ids = (list: readonly { name: string; version: string }[]) =>
  list.map(({ name, version }) => `${name} ${version}`);
const STALE = "NOTICE is stale: deno task notice";

Deno.test("NOTICE is as its script writes it", () => {
  assert.equal(noticeText(components), notice, STALE);
});

Deno.test("NOTICE has every npm package of the lock with the licence that its own files tell", async () => {
  const plain = (list: readonly Component[]) => list.map((one) => ({ ...one, texts: one.texts.map(words) }));
  assert.deepEqual(plain(of("npm")), plain(await npmComponents()), STALE);
});

Deno.test("NOTICE has every Go module that the pinned executables tell", async () => {
  for (const part of Object.keys(ASSETS) as AssetName[]) {
    const { go, modules } = goBuildInfo(await Deno.readFile(await asset(part)));
    assert.ok(modules.some(({ version }) => version === `v${ASSETS[part].version}`), `${part} itself is one`);
    const wanted = [`go ${go}`, ...ids(modules)];
    assert.deepEqual(wanted.filter((id) => !ids(of(part)).includes(id)), [], STALE);
    for (const { name, texts } of of(part)) assert.notEqual(texts.length, 0, `${name} has a text`);
  }
});

Deno.test("NOTICE has the page's script", () => {
  assert.deepEqual(ids(of("datastar")), [`datastar ${PAGE_SCRIPT.version}`], STALE);
  assert.match(of("datastar")[0]?.texts[0] ?? "", /Star Federation/);
});

Deno.test("NOTICE has the run-time", () => {
  assert.deepEqual(ids(of("deno")), [`deno ${DENO_VERSION}`], STALE);
  assert.match(of("deno")[0]?.texts[0] ?? "", /the Deno authors/);
});

Deno.test("what is said not to be shipped is imported by tests only", async () => {
  const sources = async function* (folder: URL): AsyncIterable<URL> {
    for await (const { name, isDirectory } of Deno.readDir(folder)) {
      if (isDirectory) yield* sources(new URL(`${name}/`, folder));
      else if (name.endsWith(".ts") && !/_(test|for_tests)\.ts$/.test(name)) yield new URL(name, folder);
    }
  };
  for (const folder of ["../lib/", "./"]) {
    for await (const file of sources(new URL(folder, import.meta.url))) {
      const text = await Deno.readTextFile(file);
      for (const name of NOT_SHIPPED) assert.ok(!text.includes(`from "${name}"`), `${file.pathname} imports ${name}`);
    }
  }
});

Deno.test("components are read back as they were written, and equal texts stand once", () => {
  const given: Component[] = [
    { part: "npm", name: "@a/b", version: "1.0.0", licence: "MIT", texts: ["MIT\n\n  a text"] },
    { part: "npm", name: "bare", version: "2.0.0", licence: "Apache-2.0", texts: [] },
    { part: "task", name: "x.dev/y", version: "v1", licence: "MIT AND ISC", texts: ["MIT\n\n  a text", "another"] },
  ];
  const text = noticeText(given);
  assert.deepEqual(componentsOf(text), given);
  assert.equal(text.split("a text").length, 2);
  assert.throws(() => componentsOf(text.replace("  bare 2.0.0  Apache-2.0", "  bare")), /another form/);
  assert.throws(() => componentsOf(text.replace("[1] [2]", "[1] [9]")), /no text/);
});

Deno.test("licences are known by their words, several in one file as well", () => {
  assert.equal(licenceOf("Apache License\n  Version 2.0, January 2004\n"), "Apache-2.0");
  const bsd = "Redistribution and use in source and binary forms";
  assert.equal(licenceOf(bsd), "BSD-2-Clause");
  assert.equal(licenceOf(`${bsd} … Neither the name of Google`), "BSD-3-Clause");
  assert.equal(
    licenceOf("Permission is hereby granted, free of charge … Mozilla Public License, version 2.0"),
    "MPL-2.0 AND MIT",
  );
  assert.equal(licenceOf("All rights reserved"), undefined);
  assert.equal(tidied("\ufeff\r\n a  \r\nb\n\n"), " a\nb");
});

Deno.test("an executable that Go did not make is refused", () => {
  assert.throws(() => goBuildInfo(new TextEncoder().encode("#!/bin/sh")), /does not tell what it was made of/);
});
