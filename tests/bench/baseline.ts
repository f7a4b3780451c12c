/** Figures held against the committed ones. Pure: numbers in, verdicts out. */
import * as v from "valibot";
import type { Figure } from "./measurement.ts";

/** The committed figures: by measurement, then by figure. */
export const Baseline = v.record(v.string(), v.record(v.string(), v.number()));
/** The committed figures. */
export type Baseline = v.InferOutput<typeof Baseline>;

/** The figures of one measurement. */
export interface Measured {
  readonly measurement: string;
  readonly figures: readonly Figure[];
}

/** A figure beside the committed one. */
export interface Verdict extends Figure {
  readonly measurement: string;
  readonly baseline?: number;
  /** `worse` by more than the tolerance, `better` by more than it, `same` between, `new` where nothing is committed. */
  readonly verdict: "worse" | "better" | "same" | "new";
}

/** How far above its budget a figure may lie, as a share. */
const BUDGET_TOLERANCE = 0.1;

/** Holds figures against the baseline, and against their budgets. */
export function compare(measured: readonly Measured[], baseline: Baseline): Verdict[] {
  return measured.flatMap(({ measurement, figures }) =>
    figures.map((figure) => {
      const before = baseline[measurement]?.[figure.name];
      const { ratio, tolerance, budget = Infinity } = figure;
      const within = ratio <= budget * (1 + BUDGET_TOLERANCE);
      if (before === undefined) return { measurement, ...figure, verdict: within ? "new" as const : "worse" as const };
      // No number at all is as bad as a bad one.
      const verdict = !within || !(ratio <= before * (1 + tolerance))
        ? "worse"
        : ratio < before / (1 + tolerance)
        ? "better"
        : "same";
      return { measurement, ...figure, baseline: before, verdict };
    })
  );
}

/** The baseline with these figures in place of its own; what was not measured stays as it is. */
export function updated(measured: readonly Measured[], baseline: Baseline): Baseline {
  const ours = measured.map(({ measurement, figures }) => [
    measurement,
    Object.fromEntries(figures.map(({ name, ratio }) => [name, Number(ratio.toFixed(2))])),
  ]);
  return { ...baseline, ...Object.fromEntries(ours) };
}
