/** The form of NOTICE: what xtask is made of, then every licence text once. Pure: components to text and back. */
import { XtaskError } from "../lib/protocol/error.ts";

/** One third-party component. */
export interface Component {
  /** Which part of xtask it came with: `npm`, `deno`, `nats-server`, `task`. */
  readonly part: string;
  readonly name: string;
  readonly version: string;
  /** SPDX expression. */
  readonly licence: string;
  /** The files that tell its licence; none where it brings none along. */
  readonly texts: readonly string[];
}

const HEAD = `THIRD-PARTY NOTICES

xtask itself is under the MIT licence; see LICENSE. A compiled xtask contains what is listed here. Made by
scripts/notice.ts from the packages' own licence files; do not edit.

The source of a Go module: go mod download {name}@{version}
The source of an npm package: npm pack {name}@{version}
The source of Deno, which lists what it is itself made of (V8 and Rust crates): https://github.com/denoland/deno
`;
const RULE = "=".repeat(80);
const LINE = /^ {2}(\S+) (\S+) {2}(.+?)((?: \[\d+\])*)$/;

/** The text of NOTICE. The order of the components is kept, by parts. */
export function noticeText(components: readonly Component[]): string {
  const texts: string[] = [];
  const number = (text: string) => {
    // The same licence comes with other line breaks and indents from every package.
    const found = texts.findIndex((known) => words(known) === words(text));
    return found >= 0 ? found + 1 : texts.push(text);
  };
  const parts = [...new Set(components.map(({ part }) => part))].map((part) => {
    const lines = components.filter((component) => component.part === part).map(({ name, version, licence, texts }) =>
      `  ${name} ${version}  ${licence}${texts.map((text) => ` [${number(text)}]`).join("")}`
    );
    return [`${part}:`, ...lines, ""].join("\n");
  });
  return [HEAD, ...parts, ...texts.map((text, index) => `${RULE}\n[${index + 1}]\n\n${text}\n`)].join("\n");
}

/**
 * Reads NOTICE back.
 *
 * @throws {XtaskError} `invalid` for a text of another form
 */
export function componentsOf(notice: string): Component[] {
  const [list = "", ...rest] = notice.split(`\n${RULE}\n`);
  const texts = rest.map((text) => text.replace(/^\[\d+\]\n\n/, "").replace(/\n$/, ""));
  const components: Component[] = [];
  let part = "";
  for (const line of list.slice(HEAD.length).split("\n")) {
    const [, name, version, licence, numbers = ""] = LINE.exec(line) ?? [];
    if (line.endsWith(":")) part = line.slice(0, -1);
    else if (name !== undefined && version !== undefined && licence !== undefined) {
      const own = [...numbers.matchAll(/\d+/g)].map(([number]) => texts[Number(number) - 1]);
      if (own.includes(undefined)) throw new XtaskError("invalid", `NOTICE has no text ${numbers} for ${name}`);
      components.push({ part, name, version, licence, texts: own as string[] });
    } else if (line.trim() !== "") throw new XtaskError("invalid", `NOTICE has a line of another form: ${line}`);
  }
  return components;
}

/** A licence file as it is kept: without the spaces and line ends that only its editor knew. */
export function tidied(text: string): string {
  return text.replace(/^\ufeff/, "").replaceAll(/[ \t\f]*\r?\n/g, "\n").replace(/^\n+/, "").trimEnd();
}

/** Texts with the same words are the same text. */
export function words(text: string): string {
  return text.split(/\s+/).join(" ").trim();
}

/** The licences whose words a text has, as an SPDX expression; undefined for none that is known. */
export function licenceOf(text: string): string | undefined {
  const flat = words(text);
  const known: readonly (readonly [string, boolean])[] = [
    ["Apache-2.0", /Apache License,? Version 2\.0/i.test(flat)],
    ["MPL-2.0", /Mozilla Public License,? Version 2\.0/i.test(flat)],
    ["MIT", flat.includes("Permission is hereby granted, free of charge")],
    ["BSD-3-Clause", flat.includes("Redistribution and use in source") && /Neither the name/i.test(flat)],
    ["BSD-2-Clause", flat.includes("Redistribution and use in source") && !/Neither the name/i.test(flat)],
    ["ISC", /Permission to use, copy, modify, and(\/or)? distribute this software/.test(flat)],
    ["Unlicense", flat.includes("free and unencumbered software")],
  ];
  const found = known.filter(([, has]) => has).map(([name]) => name);
  return found.length === 0 ? undefined : found.join(" AND ");
}
