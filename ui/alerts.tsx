/** Alerts: what a person should know, and that somebody has seen it. */
import { type AlertRecord, wantsAttention } from "../lib/protocol/alert.ts";
import { SEVERITIES } from "../lib/protocol/event.ts";
import type { Frame } from "./frame.ts";
import { elementId, Empty, State } from "./parts.tsx";
import { Ago, Until, WithTimes } from "./time.tsx";

/** Options of {@linkcode alertsFrame}. */
export interface AlertsShown {
  /** Those that match, as they are to be shown. */
  readonly alerts: readonly AlertRecord[];
  /** Whether some are left out by what was asked for. */
  readonly filtered: boolean;
  readonly now: number;
}

/** The list of alerts. */
export function alertsFrame({ alerts, filtered, now }: AlertsShown): Frame {
  const parts = alerts.map((alert) => ({
    id: elementId("alert", alert.key),
    html: String(<Alert alert={alert} now={now} />),
  }));
  const html = String(
    <section id="alerts" aria-label="Alerts">
      {alerts.length === 0 && (
        <Empty title={filtered ? "No alert matches" : "Nothing is wrong"}>
          {!filtered && (
            <p>
              A node that is late or gone, a disk that fills, a clock that is off, a run that is stuck: it would be told
              here.
            </p>
          )}
        </Empty>
      )}
      <ul class="alerts" dangerouslySetInnerHTML={{ __html: parts.map(({ html }) => html).join("") }} />
    </section>,
  );
  return { id: "alerts", parts, html };
}

const HOUR_MS = 3_600_000;
const MUTES = [["1 h", HOUR_MS], ["1 day", 24 * HOUR_MS], ["7 days", 7 * 24 * HOUR_MS]] as const;

function Alert({ alert, now }: { readonly alert: AlertRecord; readonly now: number }) {
  const { key, severity, message, node, openedAt, resolvedAt, count, acknowledged, muted } = alert;
  const isMuted = muted !== undefined && Date.parse(muted.until) > now;
  const path = `/api/v1/alerts/${key}`;
  return (
    <li
      id={elementId("alert", key)}
      class={`alert ${wantsAttention(alert, now) ? `alert-${severity}` : "alert-quiet"}`}
    >
      <div class="alert-head">
        <State of={severity} />
        <span class="alert-when">
          {resolvedAt === undefined
            ? (
              <>
                for <Ago at={openedAt} lasts />
              </>
            )
            : (
              <>
                over since <Ago at={resolvedAt} />
              </>
            )}
          {count > 1 ? `, came ${count} times` : ""}
        </span>
      </div>
      <p class="alert-message" data-key-item tabindex={0}>
        <WithTimes text={message} />
      </p>
      <p class="alert-about">
        {node === "hub" ? "the hub" : <a href={`/nodes/${node}`}>{node}</a>} <span class="id">{key}</span>
        {acknowledged !== undefined && (
          <span>
            seen by {acknowledged.by.user} <Ago at={acknowledged.at} />
          </span>
        )}
        {isMuted && (
          <span>
            muted by {muted.by.user}, for <Until at={muted.until} /> more
          </span>
        )}
      </p>
      <p class="actions">
        {resolvedAt === undefined && acknowledged === undefined && (
          <button type="button" data-post={`${path}/ack`} aria-label={`Acknowledge: ${key}`}>Acknowledge</button>
        )}
        {isMuted
          ? <button type="button" data-post={`${path}/unmute`} aria-label={`Unmute: ${key}`}>Unmute</button>
          : MUTES.map(([words, forMs]) => (
            <button
              type="button"
              key={words}
              class="quiet"
              data-post={`${path}/mute`}
              data-body={JSON.stringify({ forMs })}
              aria-label={`Mute ${words}: ${key}`}
            >
              Mute {words}
            </button>
          ))}
      </p>
    </li>
  );
}

/** Above the alerts. */
export function AlertSearch({ severity, node, all }: {
  readonly severity: string;
  readonly node: string;
  readonly all: string;
}) {
  return (
    <form class="search" method="get" action="/alerts" role="search" data-narrow>
      <label>
        Severity
        <select name="severity">
          <option value="">any</option>
          {SEVERITIES.map((one) => <option key={one} value={one} selected={one === severity}>{one}</option>)}
        </select>
      </label>
      <label>
        Node
        <input type="search" name="node" value={node} spellcheck={false} autocapitalize="off" data-search />
      </label>
      <label>
        Show
        <select name="all">
          <option value="">what lasts</option>
          <option value="1" selected={all === "1"}>what is over as well</option>
        </select>
      </label>
      <button type="submit" hidden>Show</button>
    </form>
  );
}

/** How many alerts want somebody's attention; beside the view's name. */
export function alertsBadge(count: number): Frame {
  const html = String(
    <span id="alerts-badge" class="badge" hidden={count === 0}>
      {count}
      <span class="visually-hidden">{count === 1 ? " alert" : " alerts"}</span>
    </span>,
  );
  return { id: "alerts-badge", parts: [], html };
}
