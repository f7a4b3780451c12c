import { diesAtEachPoint } from "./crash_points.ts";

Deno.test("an agent that dies at any point of a command's life, as a client", {
  ignore: Deno.build.os !== "linux",
}, (t) => diesAtEachPoint(t, "client"));
