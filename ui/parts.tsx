/** The small things that every view is made of. */
import type { Child } from "hono/jsx";

/** A state in its colour, with a sign of its own: colour alone says nothing to many. */
export function State({ of }: { readonly of: string }) {
  return <span class={`state state-${of}`}>{of}</span>;
}

/** What is shown where there is nothing to show. */
export function Empty({ title, children }: { readonly title: string; readonly children?: Child }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children}
    </div>
  );
}

/** A line of recent values; the highest is at the top. */
export function Sparkline({ values, most, label }: {
  readonly values: readonly number[];
  /** What the top stands for, unless a value is higher. */
  readonly most: number;
  readonly label: string;
}) {
  const [width, height] = [96, 24];
  const top = Math.max(most, ...values);
  const step = values.length > 1 ? width / (values.length - 1) : 0;
  const place = (value: number, at: number) =>
    `${(at * step).toFixed(1)},${(height - 1 - (top > 0 ? value / top : 0) * (height - 2)).toFixed(1)}`;
  const line = values.map(place).join(" ");
  return (
    <svg
      class="sparkline"
      viewBox={`0 0 ${width} ${height}`}
      preserveAspectRatio="none"
      role="img"
      aria-label={label}
    >
      {values.length > 1 && (
        <>
          <polygon points={`0,${height} ${line} ${width},${height}`} />
          <polyline points={line} />
        </>
      )}
    </svg>
  );
}

/** How full something is. */
export function Meter({ value, of, label }: {
  readonly value: number;
  readonly of: number;
  readonly label: string;
}) {
  return <meter min="0" max={String(of)} value={String(value)} aria-label={label}>{label}</meter>;
}

/** Labels of a node. */
export function LabelList({ labels }: { readonly labels: Readonly<Record<string, string>> }) {
  return (
    <>
      {Object.entries(labels).map(([name, value]) => <span class="label" key={name}>{name}={value}</span>)}
    </>
  );
}

/** A command's words as they would be typed: what it was, in short. */
export function commandWords(capability: string, verb: string, input: unknown): string {
  // What a node told of its beginning may come after what another told of its end.
  if (capability === "") return "not told yet";
  const values = typeof input === "object" && input !== null ? Object.values(input) : [];
  const words = values.flat().filter((value) => ["string", "number"].includes(typeof value)).join(" ");
  return `${capability} ${verb}${words === "" ? "" : ` ${words.slice(0, 200)}`}`;
}

/** A fixed id for an element about something with a name. */
export function elementId(kind: string, name: string): string {
  return `${kind}-${name.replaceAll(/[^\w-]/g, (char) => `_${char.codePointAt(0)?.toString(16)}`)}`;
}
