/** How a node is linked to its hub, in words. */
import type { FleetNode } from "./fleet.tsx";
import { Ago, bytes } from "./time.tsx";

type Shown = FleetNode["record"];

/** What a node's link is like, as far as the hub can know. */
export type LinkState = "up" | "down" | "stopped" | "unknown";

/** Whether the link holds. A node that is not heard of may be anything: it cannot say that its link is down. */
export function linkState({ state, away, link }: Shown): LinkState {
  if (state === "offline") return away === "stopped" ? "stopped" : "unknown";
  return link.up === false ? "down" : "up";
}

const WORDS: Readonly<Record<LinkState, string>> = {
  up: "link up",
  down: "link down",
  stopped: "stopped",
  unknown: "silent",
};

/** The state of a link as a word. */
export function linkWord(record: Shown): string {
  return WORDS[linkState(record)];
}

/** How it joined: with a server of its own, or as a client of the hub's. */
export function modeWord({ link }: Shown): string {
  return link.mode === "leaf" ? "leaf node" : "client";
}

/** To the hub and back; what is told by a node that is away is over. */
export function roundTrip(record: Shown): string | undefined {
  const { rttMs } = record.link;
  return rttMs === undefined || linkState(record) !== "up" ? undefined : `${rttMs.toFixed(1)} ms`;
}

/** When each last heard of the other. */
export function LastContact({ state, seenAt, since, link }: Shown) {
  const at = state === "offline" ? seenAt ?? since : link.contactAt ?? seenAt;
  return at === undefined ? <>not told</> : <Ago at={at} />;
}

/** What the hub does not have yet of what the node reports. */
export function backlogText({ link: { backlogBytes } }: Shown): string | undefined {
  if (backlogBytes === undefined) return undefined;
  return backlogBytes === 0 ? "nothing waits" : `${bytes(backlogBytes)} wait`;
}
