/** Metrics over time. */
import { Charts, ChartsSearch, measuredFrame, type Range, RANGES } from "../../../ui/charts.tsx";
import { chosenNodes } from "./fleet.tsx";
import type { View } from "./view.ts";

const DEFAULT_RANGE: Range = "1h";

/** The charts of nodes that a selector means, and their newest numbers. */
export const charts: View = {
  current: "charts",
  open(model, { select = "", range: asked }) {
    const range = RANGES.find((one) => one === asked) ?? DEFAULT_RANGE;
    return {
      title: "Metrics",
      draws: true,
      head: (
        <>
          <ChartsSearch select={select} range={range} />
          <Charts select={select} range={range} />
        </>
      ),
      frames: () => {
        const { nodes, wrong } = chosenNodes(model, { select });
        return [measuredFrame(nodes, wrong)];
      },
    };
  },
};
