import { Ajv2020 } from "ajv/dist/2020.js";
import assert from "node:assert/strict";
import { startFleet } from "../fleet.ts";
import { until } from "../until.ts";

interface Operation {
  readonly parameters: readonly { readonly name?: string; readonly required?: boolean }[];
  readonly responses: Readonly<Record<string, { readonly content?: object }>>;
}

Deno.test("what is answered is what the document says, where all is well and where it is not", async (t) => {
  await using fleet = await startFleet({ nodes: ["n1"] });
  const { url } = fleet.up.http;
  const headers = { authorization: `Bearer ${fleet.up.token}`, "content-type": "application/json" };
  const ask = async (method: string, path: string, body?: unknown) => {
    const answer = await fetch(`${url}${path}`, {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: answer.status, body: await answer.json() };
  };
  const document = (await ask("GET", "/api/v1/openapi.json")).body;
  const ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true });
  ajv.addSchema(document, "document");
  /** Fails where a body is not what the document says of this operation and status. */
  const conforms = (method: string, path: string, { status, body }: { status: number; body: unknown }) => {
    const steps = ["paths", path, method.toLowerCase(), "responses", String(status)];
    const { $ref } = document.paths[path][method.toLowerCase()].responses[status] ?? {};
    assert.ok($ref !== undefined || document.paths[path][method.toLowerCase()].responses[status], `${path} ${status}`);
    const at = $ref?.slice(2).split("/") ?? steps;
    const pointer = [...at, "content", "application/json", "schema"]
      .map((step: string) => encodeURIComponent(step.replaceAll("~", "~0").replaceAll("/", "~1"))).join("/");
    const validate = ajv.compile({ $ref: `document#/${pointer}` });
    assert.ok(
      validate(body),
      `${method} ${path} ${status}: ${ajv.errorsText(validate.errors)} ${JSON.stringify(body)}`,
    );
  };

  const check = "/api/v1/nodes/{node}/which/check";
  const asked = await ask("POST", "/api/v1/nodes/n1/which/check?wait=30000", { names: ["sh", "no-such-program"] });
  const { id } = (await ask("POST", "/api/v1/nodes/n1/task/run?wait=30000", { args: ["hello"] })).body;
  await until("the hub to hear of it", async () => (await ask("GET", `/api/v1/commands/${id}`)).status === 200);
  await fleet.up.hub.alert("critical", "The disk is full");
  await until("the alert to be listed", async () => (await ask("GET", "/api/v1/alerts")).body.alerts?.length === 1);
  const [{ key }] = (await ask("GET", "/api/v1/alerts")).body.alerts;

  await t.step("asking", async () => {
    assert.equal(asked.status, 200);
    conforms("POST", check, asked);
    conforms("POST", check, await ask("POST", "/api/v1/nodes/n1/which/check", { names: ["sh"] }));
    conforms("POST", check, await ask("POST", "/api/v1/nodes/n1/which/check", { names: [] }));
    conforms("POST", check, await ask("POST", "/api/v1/nodes/n9/which/check", { names: ["sh"] }));
    conforms("POST", "/api/v1/tasks", await ask("POST", "/api/v1/tasks", { command: "task run hello --on all" }));
    conforms("POST", "/api/v1/tasks", await ask("POST", "/api/v1/tasks", { command: "rm -rf /" }));
    const cancel = "/api/v1/commands/{id}/cancel";
    conforms("POST", cancel, await ask("POST", cancel.replace("{id}", id), {}));
    const retry = "/api/v1/commands/{id}/retry";
    conforms("POST", retry, await ask("POST", retry.replace("{id}", id), { all: true }));
    const label = "/api/v1/nodes/{node}/label";
    conforms("POST", label, await ask("POST", label.replace("{node}", "n1"), { labels: { region: "eu" } }));
  });

  await t.step("reading: every route that only reads and ends", async () => {
    let count = 0;
    for (const [path, methods] of Object.entries<Record<string, Operation>>(document.paths)) {
      const operation = methods.get;
      if (operation === undefined || !JSON.stringify(operation.responses[200]).includes("application/json")) continue;
      count++;
      const real = path.replace("{node}", "n1").replace("{id}", id).replace("{key}", encodeURIComponent(key));
      const good = await ask("GET", real);
      assert.equal(good.status, 200, `${real} ${JSON.stringify(good.body)}`);
      conforms("GET", path, good);
      conforms("GET", path, await ask("GET", `${real}?project=nosuch`));
    }
    assert.ok(count >= 10, `${count} routes were read`);
  });
});
