/** `/metrics`: what the page knows of the fleet, in the text form that Prometheus reads. */
import { Hono } from "hono";
import { ENDS } from "../protocol/metrics.ts";
import { NodeState } from "../protocol/node.ts";
import { stateOf } from "../protocol/move.ts";
import { isTerminal } from "../protocol/state.ts";
import { VERSION } from "../protocol/version.ts";
import type { HttpEnv } from "./context.ts";
import type { Model } from "./live/model.ts";

interface Sample {
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
}

/** `GET /metrics` of a project, for those who have the token. */
export function metricsRoutes(): Hono<HttpEnv> {
  return new Hono<HttpEnv>().get(
    "/metrics",
    (context) =>
      context.body(metricsText(context.get("model"), context.get("streams").open), 200, {
        "content-type": "text/plain; version=0.0.4; charset=utf-8",
      }),
  );
}

function metricsText({ linked, nodes, commands, samples }: Model, streams: number): string {
  const all = [...nodes.values()];
  const newest = [...samples].flatMap(([node, list]) => list.slice(-1).map((sample) => ({ labels: { node }, sample })));
  const running = [...commands.values()].filter((command) => !isTerminal(stateOf(command)));
  const gauge = (name: string, help: string, list: readonly Sample[]) => family(name, "gauge", help, list);
  return [
    gauge("xtask_info", "The version that serves this.", [{ labels: { version: VERSION }, value: 1 }]),
    gauge("xtask_hub_up", "Whether the hub answers.", [{ value: linked ? 1 : 0 }]),
    gauge(
      "xtask_nodes",
      "Nodes by state.",
      NodeState.options.map((state) => ({
        labels: { state },
        value: all.filter((node) => node.state === state).length,
      })),
    ),
    gauge("xtask_commands_running", "Commands that have not ended.", [{ value: running.length }]),
    gauge("xtask_event_streams", "Event streams that are open here.", [{ value: streams }]),
    gauge(
      "xtask_node_slots",
      "Runs that a node takes at once.",
      all.map(({ id, slots }) => ({
        labels: { node: id },
        value: slots.total,
      })),
    ),
    gauge(
      "xtask_node_slots_free",
      "Runs that a node could take now.",
      all.map(({ id, slots }) => ({
        labels: { node: id },
        value: slots.free,
      })),
    ),
    gauge(
      "xtask_node_cpu_percent",
      "Of all cores, over the last ten seconds.",
      newest.map(({ labels, sample }) => ({
        labels,
        value: sample.cpu.percent,
      })),
    ),
    gauge(
      "xtask_node_memory_used_bytes",
      "Memory in use.",
      newest.map(({ labels, sample }) => ({
        labels,
        value: sample.memory.usedBytes,
      })),
    ),
    family(
      "xtask_node_runs_total",
      "counter",
      "Runs that ended since the agent started.",
      newest.flatMap(({ labels, sample }) =>
        ENDS.map((state) => ({ labels: { ...labels, state }, value: sample.runs.ended[state] }))
      ),
    ),
  ].join("");
}

function family(name: string, type: "gauge" | "counter", help: string, samples: readonly Sample[]): string {
  const lines = samples.map(({ labels = {}, value }) => {
    const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text)}"`).join(",");
    return `${name}${pairs === "" ? "" : `{${pairs}}`} ${value}\n`;
  });
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join("")}`;
}

function escaped(text: string): string {
  return text.replaceAll(/[\\"]/g, "\\$&").replaceAll("\n", "\\n");
}
