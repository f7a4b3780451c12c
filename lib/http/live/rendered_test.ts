import assert from "node:assert/strict";
import type { Frame } from "../../../ui/frame.ts";
import { createRendered, patchBytes } from "./rendered.ts";

const frames = (text: string): readonly Frame[] => [{ id: "x", parts: [], html: `<p id="x">${text}</p>` }];

Deno.test("frames are made once for each state and view, however many look at them", async () => {
  const model = { version: 1 };
  const rendered = createRendered(model);
  let made = 0;
  const make = () => frames(`${++made}`);
  const all = await Promise.all(Array.from({ length: 200 }, () => rendered.of("/", make)));
  assert.equal(new Set(all).size, 1);
  assert.notEqual(await rendered.of("/alerts", make), all[0]);
  assert.equal(made, 2);
  model.version++;
  assert.notEqual(await rendered.of("/", make), all[0]);
  await assert.rejects(rendered.of("/nodes/x", () => Promise.reject(new Error("gone"))), /gone/);
  assert.equal(
    (await rendered.of("/nodes/x", make)).length,
    1,
    "what could not be made is made when it is asked for again",
  );
  for (let other = 0; other < 100; other++) await rendered.of(`/${other}`, make);
  const before = made;
  await rendered.of("/", make);
  assert.equal(made, before + 1, "what nobody looks at is not kept for ever");
});

Deno.test("the way from one state to another is written once, and is empty between the same", () => {
  const [one, two] = [frames("one"), frames("two")];
  const bytes = patchBytes(one, two);
  assert.match(new TextDecoder().decode(bytes), /^event: datastar-patch-elements\n.*two/s);
  assert.equal(patchBytes(one, two), bytes);
  assert.equal(patchBytes(two, two).length, 0);
  assert.match(new TextDecoder().decode(patchBytes([], one)), /one/);
});
