/** Prints lines at a rate: `lines.ts PER_SECOND SECONDS`. */
import process from "node:process";

const [perSecond = 0, seconds = 0] = Deno.args.map(Number);
const begun = performance.now();
let printed = 0;
const timer = setInterval(() => {
  const due = Math.min(perSecond * seconds, Math.floor((performance.now() - begun) / 1_000 * perSecond));
  let text = "";
  while (printed < due) text += `line ${++printed} of what a program has to say while it works\n`;
  if (text !== "") process.stdout.write(text);
  if (printed >= perSecond * seconds) clearInterval(timer);
}, 10);
