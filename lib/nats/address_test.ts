import assert from "node:assert/strict";
import { parseAddresses } from "./address.ts";

Deno.test("addresses are read with and without scheme and port", () => {
  assert.deepEqual(parseAddresses("nats://hub"), { servers: ["hub:4222"], tls: false });
  assert.deepEqual(parseAddresses("hub:4000"), { servers: ["hub:4000"], tls: false });
  assert.deepEqual(parseAddresses("127.0.0.1:4000"), { servers: ["127.0.0.1:4000"], tls: false });
  assert.deepEqual(parseAddresses("nats://[::1]:4000"), { servers: ["[::1]:4000"], tls: false });
  assert.deepEqual(parseAddresses("nats://a, nats://b:1"), { servers: ["a:4222", "b:1"], tls: false });
});

Deno.test("one tls:// address demands TLS of all", () => {
  assert.deepEqual(parseAddresses(["nats://a", "tls://b"]), { servers: ["a:4222", "b:4222"], tls: true });
});

Deno.test("user and password are decoded", () => {
  assert.deepEqual(parseAddresses("nats://ann:a%3Ab@hub"), {
    servers: ["hub:4222"],
    tls: false,
    user: "ann",
    pass: "a:b",
  });
});

Deno.test("what is no address is refused without being repeated", () => {
  for (const address of ["", "http://hub", "nats://", "nats://ann:hush@hub:port", "ws://hub"]) {
    assert.throws(() => parseAddresses(address), (error: Error) => {
      return "code" in error && error.code === "invalid" && !error.message.includes("hush");
    });
  }
  assert.throws(() => parseAddresses([]), { code: "invalid" });
});
