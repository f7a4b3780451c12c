import assert from "node:assert/strict";
import fc from "fast-check";
import { splitWords } from "./split.ts";

Deno.test("words that are quoted come back as they were, whatever is in them", () => {
  const quotes = [
    (word: string) => `"${word.replaceAll(/["\\]/g, "\\$&")}"`,
    (word: string) => `'${word.replaceAll("'", `'\\''`)}'`,
    (word: string) => word === "" ? '""' : [...word].map((char) => `\\${char}`).join(""),
  ];
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.string({ maxLength: 8 }), fc.constantFrom(...quotes)), { maxLength: 6 }),
      (words) => {
        const line = words.map(([word, quoted]) => quoted(word)).join("  ");
        assert.deepEqual(splitWords(line), words.map(([word]) => word));
      },
    ),
  );
});

Deno.test("nothing is expanded, and an open quote is refused", () => {
  assert.deepEqual(splitWords("  task run $HOME *.ts | x > y "), ["task", "run", "$HOME", "*.ts", "|", "x", ">", "y"]);
  assert.deepEqual(splitWords(""), []);
  for (const open of ['"a', "a'b"]) assert.throws(() => splitWords(open), { code: "invalid" });
});
