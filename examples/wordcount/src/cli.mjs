#!/usr/bin/env node
import { readFile } from "node:fs/promises";
import { count, total } from "./count.mjs";
import { VERSION } from "./version.mjs";

const USAGE = "usage: wordcount [--version] FILE…";

function row({ lines, words, bytes }, name) {
  return `${[lines, words, bytes].map((number) => String(number).padStart(8)).join("")} ${name}`;
}

const names = process.argv.slice(2);
if (names.includes("--version")) {
  console.log(`wordcount ${VERSION}`);
} else if (names.length === 0) {
  console.error(USAGE);
  process.exitCode = 2;
} else {
  const counts = [];
  for (const name of names) {
    try {
      counts.push(count(await readFile(name)));
      console.log(row(counts.at(-1), name));
    } catch (error) {
      console.error(`wordcount: ${error.message}`);
      process.exitCode = 1;
    }
  }
  if (names.length > 1) console.log(row(total(counts), "total"));
}
