/** Times and amounts as people read them. Times stand as they are in the markup; the page's script keeps "3 min ago" true. */

/** A moment, shown as how long ago it is, or for how long something lasts since then. */
export function Ago({ at, lasts = false }: { readonly at: string; readonly lasts?: boolean }) {
  return <time datetime={at} data-ago={lasts ? "lasts" : "ago"} title={at}>{at.slice(0, 19).replace("T", " ")}</time>;
}

/** A moment that is to come, shown as how long until then. */
export function Until({ at }: { readonly at: string }) {
  return <time datetime={at} data-ago="until" title={at}>{at.slice(0, 19).replace("T", " ")}</time>;
}

/** A text with the moments in it shown as how long ago they are. */
export function WithTimes({ text }: { readonly text: string }) {
  return (
    <>
      {text.split(MOMENT).map((part, at) => {
        if (at % 2 === 0) return part;
        const moment = part.replace("since ", "");
        return part === moment ? <Ago key={at} at={moment} /> : (
          <>
            for <Ago at={moment} lasts />
          </>
        );
      })}
    </>
  );
}

const MOMENT = /((?:since )?\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z)/;

/** A duration in ms. */
export function duration(ms: number): string {
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${(ms / 1_000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1_000);
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes} min ${seconds % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** An amount of bytes. */
export function bytes(count: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const power = count < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(count) / 10));
  return `${(count / 1024 ** power).toFixed(power > 0 ? 1 : 0)} ${units[power]}`;
}
