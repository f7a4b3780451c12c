import assert from "node:assert/strict";
import { CAPABILITY_NAMES, loadCapability } from "../capability/registry.ts";
import { parseNodeSubject } from "../protocol/subjects.ts";
import { endpointsOf } from "./endpoints.ts";

const CAPABILITIES = await Promise.all(CAPABILITY_NAMES.map(loadCapability));

Deno.test("every verb is told once, by the subject that asks for it", () => {
  const told = endpointsOf("n1", CAPABILITIES).filter(({ subject }) => {
    const asked = parseNodeSubject(subject);
    return asked !== undefined && asked.capability !== "run" && asked.capability !== "node";
  });
  const wanted = CAPABILITIES.flatMap(({ name, verbs }) =>
    Object.entries(verbs).map(([verb, { token }]) => `${name} ${token === undefined ? verb : "*"}`)
  );
  const offered = told.map(({ subject }) => parseNodeSubject(subject)).map((asked) =>
    `${asked?.capability} ${asked?.verb}`
  );
  assert.deepEqual(offered.sort(), wanted.sort());
  assert.ok(wanted.includes("kill-port *"), "its port stands in the subject");
});

Deno.test("endpoint names are what the services protocol takes, each once", () => {
  const names = endpointsOf("n1", CAPABILITIES).map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
  for (const name of names) assert.match(name, /^[A-Za-z0-9_-]+$/);
});
