// Draws the charts of the metrics page. The numbers come from the API: at first all of the time that is looked at, then
// what has been measured since, one point for each step.
document.addEventListener("DOMContentLoaded", () => {
  const section = document.querySelector("#charts");
  if (section === null) return;
  const status = section.querySelector("[data-charts-status]");
  const problem = section.querySelector("[data-charts-problem]");
  const figures = [...section.querySelectorAll("[data-chart]")];
  const { select, range } = section.dataset;
  const { project } = document.documentElement.dataset;
  const HEIGHT = 200;
  const DAY_MS = 24 * 60 * 60_000;
  const AGAIN_MS = 10_000;
  const LATE_STEPS_MAX = 20;

  let series = null;
  let plots = [];

  const get = async (query) => {
    const all = { select: select || "all", ...query, ...(project === "" ? {} : { project }) };
    const response = await fetch(`/api/v1/metrics?${new URLSearchParams(all)}`, {
      headers: { accept: "application/json" },
    });
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.error?.message ?? `The server answered ${response.status}`);
    return answer;
  };

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  // Custom properties keep light-dark() as it was written: an element with that colour tells which of the two holds.
  const inked = (name) => {
    const probe = document.createElement("span");
    probe.style.color = `var(--${name})`;
    section.append(probe);
    const { color } = getComputedStyle(probe);
    probe.remove();
    return color || colour(name);
  };
  const isDark = () => {
    const [red = 0, green = 0, blue = 0] = (inked("text").match(/[\d.]+/g) ?? []).map(Number);
    return red + green + blue > 384;
  };
  const hue = (at, count) => `hsl(${Math.round(220 + at * 360 / Math.max(count, 1)) % 360} 65% ${isDark() ? 68 : 40}%)`;

  const sum = (name) =>
    series.times.map((_, at) => {
      const known = Object.values(series.nodes).map((points) => points[name][at]).filter((value) => value !== null);
      return known.length === 0 ? null : known.reduce((total, value) => total + value, 0);
    });
  const linesOf = ({ chart, of }) => {
    const nodes = Object.entries(series.nodes);
    if (of === "node") {
      return nodes.map(([node, points], at) => ({ label: node, values: points[chart], stroke: hue(at, nodes.length) }));
    }
    if (of === "runs") {
      return [
        { label: "started", values: sum("startedPerMinute"), stroke: inked("accent") },
        { label: "succeeded", values: sum("succeededPerMinute"), stroke: inked("good") },
        { label: "failed", values: sum("failedPerMinute"), stroke: inked("bad") },
      ];
    }
    return Object.entries(series.durations).map(([share, values], at) => ({
      label: share,
      values: values.map((ms) => ms === null ? null : ms / 1_000),
      stroke: hue(at, 3),
    }));
  };

  const said = (value, of) =>
    value === null || value === undefined
      ? "–"
      : `${value < 10 ? value.toFixed(2) : Math.round(value)}${of === "durations" ? " s" : ""}`;

  const draw = () => {
    for (const plot of plots) plot.destroy();
    const [soft, line] = [inked("soft"), inked("line")];
    const long = series.stepMs * series.times.length > DAY_MS;
    const clock = (_plot, times) =>
      times.map((time) =>
        new Date(time * 1_000).toLocaleString("sv", { timeZone: undefined }).slice(long ? 5 : 11, 16)
      );
    const axis = { stroke: soft, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 } };
    plots = figures.map((figure) => {
      const place = figure.querySelector(".plot");
      const { most, of } = figure.dataset;
      const lines = linesOf(figure.dataset);
      place.setAttribute(
        "aria-label",
        `${figure.querySelector("figcaption").textContent}. ${
          lines.slice(0, 8).map(({ label, values }) => `${label}: ${said(values.at(-1), of)}`).join(", ")
        }`,
      );
      // Where nothing is pointed at, the legend tells the newest.
      const newest = series.times.length - 1;
      const rest = (plot) =>
        (plot.cursor.left ?? -1) < 0 && plot.legend.idx !== newest && plot.setLegend({ idx: newest });
      return new uPlot(
        {
          hooks: { ready: [rest], setCursor: [rest] },
          width: Math.max(200, place.clientWidth),
          height: HEIGHT,
          cursor: { sync: { key: "metrics" } },
          legend: { show: lines.length <= 8 },
          scales: { y: { range: (_plot, _low, high) => [0, most === "" ? Math.max(1, high * 1.1) : Number(most)] } },
          axes: [{ ...axis, values: clock }, { ...axis, size: 48 }],
          series: [
            { value: (_plot, time) => time === null ? "–" : new Date(time * 1_000).toLocaleTimeString() },
            ...lines.map(({ label, stroke }) => ({
              label,
              stroke,
              width: 1.5,
              // What ran now and then makes points, not lines.
              ...(of === "durations" ? { points: { show: true, size: 5 } } : {}),
              value: (_plot, value) => said(value, of),
            })),
          ],
        },
        [series.times.map((time) => time / 1_000), ...lines.map(({ values }) => values)],
        place,
      );
    });
    const count = Object.keys(series.nodes).length;
    status.textContent = `${count === series.matching ? count : `The first ${count} of ${series.matching}`} ${
      series.matching === 1 ? "node" : "nodes"
    }, a point for every ${Math.round(series.stepMs / 1_000)} s`;
  };

  const joined = (before, more) => {
    const newer = (old, points) => [...old, ...points].slice(-before.times.length);
    const each = (old, other) =>
      Object.fromEntries(Object.entries(old).map(([name, points]) => [name, newer(points, other[name])]));
    const same = Object.keys(before.nodes).join() === Object.keys(more.nodes).join();
    if (!same) return null;
    return {
      ...more,
      stepMs: before.stepMs,
      times: newer(before.times, more.times),
      nodes: Object.fromEntries(
        Object.entries(before.nodes).map(([node, points]) => [node, each(points, more.nodes[node])]),
      ),
      durations: each(before.durations, more.durations),
    };
  };

  const refresh = async () => {
    const last = series?.times.at(-1);
    const steps = last === undefined ? Infinity : Math.floor((Date.now() - last) / series.stepMs);
    if (steps < 1) return;
    if (steps > LATE_STEPS_MAX) series = await get({ range });
    else {
      // As whole numbers: the step is one of the first answer.
      const to = Math.round(last + steps * series.stepMs);
      const more = await get({ from: Math.round(last), to, step: Math.round(series.stepMs) });
      series = joined(series, more) ?? await get({ range });
    }
    draw();
  };
  let refreshing = false;
  const attempt = async () => {
    // Two at once would add the same points twice.
    if (document.hidden || refreshing) return;
    refreshing = true;
    try {
      await refresh();
      problem.hidden = true;
    } catch (error) {
      problem.textContent = error.message;
      problem.hidden = false;
      if (series === null) status.textContent = "";
    } finally {
      refreshing = false;
    }
  };

  attempt();
  setInterval(attempt, AGAIN_MS);
  document.addEventListener("visibilitychange", attempt);
  const redraw = () => series !== null && draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  new MutationObserver(redraw).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  let width = section.clientWidth;
  new ResizeObserver(() => {
    if (section.clientWidth === width) return;
    width = section.clientWidth;
    redraw();
  }).observe(section);
});
