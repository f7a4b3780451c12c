/** Health, for those who watch processes: the only routes that anybody may ask. */
import { Hono } from "hono";

/** What health is judged by. */
export interface HealthOptions {
  /** What is not ready, one line each; empty when all is well. */
  readonly unready: () => readonly string[];
  readonly version: string;
}

/** `/healthz`: the process lives. `/readyz`: what it serves can be used, or why not yet. */
export function healthRoutes({ unready, version }: HealthOptions): Hono {
  return new Hono()
    .get("/healthz", (context) => context.json({ status: "ok", version }))
    .get("/readyz", (context) => {
      const reasons = unready();
      return reasons.length === 0
        ? context.json({ status: "ready", version })
        : context.json({ status: "not ready", version, reasons }, 503);
    });
}
