/** Lines as `wc` counts them (line feeds), words (runs of what is not white space) and bytes of a text in UTF-8. */
export function count(bytes) {
  const text = new TextDecoder().decode(bytes);
  return {
    lines: text.split("\n").length - 1,
    words: text.split(/\s+/u).filter((word) => word !== "").length,
    bytes: bytes.length,
  };
}

/** The sum of several counts. */
export function total(counts) {
  return counts.reduce(
    (sum, { lines, words, bytes }) => ({
      lines: sum.lines + lines,
      words: sum.words + words,
      bytes: sum.bytes + bytes,
    }),
    { lines: 0, words: 0, bytes: 0 },
  );
}
