import assert from "node:assert/strict";
import fc from "fast-check";
import { parseLsof, parseNetstat, parseSs, parseStarts, parseTasklist, parseWindowsNetstat } from "./listing.ts";

Deno.test("parseSs reads the processes of every listener, each once", () => {
  const text = [
    `LISTEN 0      511          0.0.0.0:8080       0.0.0.0:*    users:(("nginx",pid=124,fd=6),("nginx",pid=123,fd=6))`,
    `LISTEN 0      511             [::]:8080          [::]:*    users:(("nginx",pid=124,fd=7),("tmux: server",pid=9,fd=1))`,
    "",
  ].join("\n");
  assert.deepEqual(parseSs(text), {
    owners: [{ pid: 124, name: "nginx" }, { pid: 123, name: "nginx" }, { pid: 9, name: "tmux: server" }],
    hidden: false,
  });
  assert.deepEqual(parseSs(""), { owners: [], hidden: false });
});

Deno.test("parseSs says where a listener's process cannot be seen", () => {
  const text = "LISTEN 0      5      127.0.0.1:8080 0.0.0.0:*          \n" +
    `LISTEN 0 5 [::1]:8080 [::]:* users:(("node",pid=7,fd=3))\n`;
  assert.deepEqual(parseSs(text), { owners: [{ pid: 7, name: "node" }], hidden: true });
});

Deno.test("parseSs is not misled by a process that chose its name to look like another's entry", () => {
  const names = [`",pid=22,fd=1)`, `",pid=2,fd=1),(`, `a",pid=2,fd=1`, `x"),("y",pid=1`, `")`, "", `",pid=1,fd=1),`];
  for (const name of names) {
    const line = `LISTEN 0 5 127.0.0.1:80 0.0.0.0:* users:(("${name}",pid=999,fd=3),("ok",pid=1000,fd=3))`;
    assert.deepEqual(parseSs(line).owners, [{ pid: 999, name }, { pid: 1000, name: "ok" }], name);
  }
});

Deno.test("parseSs returns the pids that were printed, whatever the processes are called", () => {
  const letter = fc.constantFrom(...`",()pid=fd:1 2x`);
  const user = fc.record({
    name: fc.string({ unit: letter, maxLength: 15 }),
    pid: fc.integer({ min: 2, max: 4_194_304 }),
  }, { noNullPrototype: true });
  fc.assert(
    fc.property(fc.uniqueArray(user, { minLength: 1, maxLength: 5, selector: ({ pid }) => pid }), (users) => {
      const entries = users.map(({ name, pid }) => `("${name}",pid=${pid},fd=3)`);
      assert.deepEqual(parseSs(`LISTEN 0 5 0.0.0.0:80 0.0.0.0:* users:(${entries.join()})`).owners, users);
    }),
  );
});

Deno.test("parseLsof reads processes by their field letters", () => {
  const mac = "p501\ncnode\nf23\nn*:3000\np1622\ncCode\\x20Helper\nf30\nn127.0.0.1:3000\nf31\nn[::1]:3000\n";
  assert.deepEqual(parseLsof(mac), [{ pid: 501, name: "node" }, { pid: 1622, name: "Code\\x20Helper" }]);
  assert.deepEqual(parseLsof(""), []);
});

Deno.test("parseNetstat finds a listener in what macOS and Linux print", () => {
  const mac = `Active Internet connections (including servers)
Proto Recv-Q Send-Q  Local Address          Foreign Address        (state)
tcp4       0      0  192.168.1.20.50432     17.57.146.52.5223      ESTABLISHED
tcp4       0      0  127.0.0.1.631          *.*                    LISTEN
tcp46      0      0  *.8080                 *.*                    LISTEN
tcp6       0      0  ::1.6310               *.*                    LISTEN
`;
  const linux = `Active Internet connections (only servers)
Proto Recv-Q Send-Q Local Address           Foreign Address         State
tcp        0      0 127.0.0.1:631           0.0.0.0:*               LISTEN
tcp6       0      0 :::8080                 :::*                    LISTEN
`;
  for (const text of [mac, linux]) {
    assert.deepEqual([631, 8080, 80, 31, 50432, 5223].map((port) => parseNetstat(text, port)), [
      true,
      true,
      false,
      false,
      false,
      false,
    ]);
  }
});

Deno.test("parseWindowsNetstat takes listeners alone, in any language", () => {
  const english = [
    "",
    "Active Connections",
    "",
    "  Proto  Local Address          Foreign Address        State           PID",
    "  TCP    0.0.0.0:135            0.0.0.0:0              LISTENING       1044",
    "  TCP    0.0.0.0:8080           0.0.0.0:0              LISTENING       4712",
    "  TCP    127.0.0.1:8080         0.0.0.0:0              LISTENING       4713",
    "  TCP    127.0.0.1:8080         127.0.0.1:50211        ESTABLISHED     4714",
    "  TCP    127.0.0.1:50211        127.0.0.1:8080         ESTABLISHED     4715",
    "",
  ].join("\r\n");
  assert.deepEqual(parseWindowsNetstat(english, 8080), [4712, 4713]);
  assert.deepEqual(parseWindowsNetstat(english, 80), []);
  const german = "  TCP    [::]:8080              [::]:0                 ABHÖREN         4712\r\n" +
    "  TCP    [::1]:8080             [::1]:50212            HERGESTELLT     4714\r\n";
  assert.deepEqual(parseWindowsNetstat(german, 8080), [4712]);
});

Deno.test("parseTasklist reads the name of the process that was asked for", () => {
  assert.equal(parseTasklist(`"node.exe","4712","Console","1","45,678 K"\r\n`, 4712), "node.exe");
  assert.equal(parseTasklist("INFO: No tasks are running which match the specified criteria.\r\n", 4712), "");
});

Deno.test("parseStarts reads what ps of Linux and macOS prints", () => {
  const text = "    1 Mon Nov 23 23:15:36 2026\n15152 Thu Nov  5 03:05:20 2026    \n";
  assert.deepEqual(
    parseStarts(text),
    new Map([[1, new Date(2026, 10, 23, 23, 15, 36).getTime()], [15152, new Date(2026, 10, 5, 3, 5, 20).getTime()]]),
  );
  assert.deepEqual(parseStarts("error: unknown option\n"), new Map());
});
