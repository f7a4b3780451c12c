/** The outbox against a model: what was made, in order, against what the hub has. */
import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import fc from "fast-check";
import { draft, Node } from "./outbox_for_tests.ts";

type Step =
  | { readonly do: "facts"; readonly count: number; readonly size: number }
  | { readonly do: "log"; readonly size: number }
  | { readonly do: "cut"; readonly arrived: number }
  | { readonly do: "restore" | "stall" | "answer" | "turn" | "restart" | "crash" | "settle" };

const size = fc.constantFrom(0, 100, 40_000, 300_000);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant("facts" as const), count: fc.constantFrom(1, 2, 90), size }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("log" as const), size }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("cut" as const), arrived: fc.nat(70) }) },
  { weight: 2, arbitrary: fc.constant({ do: "restore" as const }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constantFrom("stall", "answer", "turn", "settle") }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("restart", "crash") }) },
);

Deno.test("whatever happens to the link and the agent, every fact arrives once and in order, and output while it lives", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
      await using node = await Node.start();
      const { line } = node;
      let made = 0;
      const facts: string[] = [];
      let logs: { text: string; taken: Promise<boolean> }[] = [];
      for (const one of steps) {
        switch (one.do) {
          case "facts": {
            const texts = Array.from({ length: one.count }, () => `f${made++}`);
            facts.push(...texts);
            await node.outbox.facts(texts.map((text) => draft(text, one.size / one.count)));
            break;
          }
          case "log": {
            const text = `l${made++}`;
            logs.push({ text, taken: node.outbox.log(draft(text, one.size)) });
            break;
          }
          case "cut":
            line.cut(one.arrived);
            break;
          case "restore":
            line.restore();
            break;
          case "stall":
            line.stalled = true;
            break;
          case "answer":
            line.stalled = false;
            line.answer();
            break;
          case "turn":
            await setImmediate();
            break;
          case "settle":
            for (let turn = 0; turn < 20; turn++) await setImmediate();
            break;
          case "restart":
            await node.restart();
            break;
          case "crash":
            // What was in memory alone goes with the process.
            await node.crash();
            logs = [];
            break;
          default:
            one satisfies never;
        }
      }
      line.stalled = false;
      line.answer();
      line.restore();
      await node.flushed();
      assert.ok(node.outbox.empty);
      const { arrived } = node;
      assert.deepEqual(arrived.filter((text) => text.startsWith("f")), facts);
      const taken = (await Promise.all(logs.map(async (log) => await log.taken ? [log.text] : []))).flat();
      const wanted = new Set(taken);
      assert.deepEqual(arrived.filter((text) => wanted.has(text)), taken);
      assert.deepEqual(node.journal.backlog(), { bytes: 0 });
    }),
    { numRuns: 60, interruptAfterTimeLimit: 20_000 },
  );
});
