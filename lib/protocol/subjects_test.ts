import assert from "node:assert/strict";
import fc from "fast-check";
import { isId, newCommandId, RESERVED_IDS } from "./id.ts";
import * as s from "./subjects.ts";

/** Whether a pattern takes a subject (or all that another pattern takes), by the rules of NATS. */
function takes(pattern: string, subject: string): boolean {
  const [wanted, given] = [pattern.split("."), subject.split(".")];
  for (const [at, token] of wanted.entries()) {
    if (token === ">") return given.length > at;
    if (given[at] === undefined || given[at] === ">") return false;
    if (token !== "*" && token !== given[at]) return false;
  }
  return wanted.length === given.length;
}

/** What a credential of this name may publish or subscribe to, as the server fills it in. */
function filled(subjects: readonly string[], name: string): string[] {
  return subjects.map((subject) => subject.replaceAll("{{name()}}", name));
}

function mayPublish(role: s.Role, name: string, subject: string): boolean {
  const { allow, deny = [] }: s.RoleSubjects["publish"] = s.ROLE_SUBJECTS[role].publish;
  return filled(allow, name).some((one) => takes(one, subject)) && !deny.some((one) => takes(one, subject));
}

const hears = (role: s.Role, name: string, subject: string) =>
  filled(s.ROLE_SUBJECTS[role].subscribe.allow, name).some((one) => takes(one, subject));

const ID = fc.stringMatching(/^[a-z0-9][a-z0-9_-]{0,12}$/).filter(isId);
const COMMAND = newCommandId(1_700_000_000_000);

/** Everything that a node of this id reports. */
const reportsOf = (node: string) => [
  s.upResult(node, COMMAND),
  s.upLog(node, COMMAND),
  s.upAgentLog(node),
  s.upEvent(node, "command_result"),
  s.upAlert(node, "warning"),
  s.registerSubject(node),
  s.heartbeatSubject(node),
];

/** Everything that anybody asks of a node of this id. */
const askedOf = (node: string) => [
  s.commandSubject(node, "task", "run"),
  s.commandSubject(node, "kill-port", "8080"),
  s.runSubject(node, "cancel"),
  s.nodeControlSubject(node, "drain"),
];

/** What is published for everybody, and by the hub. */
const PUBLIC = [
  s.resultSubject(COMMAND),
  s.eventSubject("default", "command_result"),
  s.DISCOVER,
  s.HEARTBEATS,
  s.broadcastSubject("task", "run"),
  s.hubSubject("auth", "invite"),
  s.joinSubject("abc"),
];

Deno.test("the test's own matching follows the rules of NATS", () => {
  const cases: [string, string, boolean][] = [
    ["a.>", "a.b", true],
    ["a.>", "a.b.c", true],
    ["a.>", "a", false],
    ["a.*", "a.b", true],
    ["a.*", "a.b.c", false],
    ["a.*", "a", false],
    ["a.*", "a.>", false],
    ["a.>", "a.>", true],
    ["a.b", "a.*", false],
  ];
  for (const [pattern, subject, expected] of cases) {
    assert.equal(takes(pattern, subject), expected, `${pattern} ${subject}`);
  }
});

Deno.test("a node may publish its own reports and nothing of anybody else", () => {
  fc.assert(fc.property(ID, ID, (node, other) => {
    fc.pre(node !== other);
    for (const subject of reportsOf(node)) assert.ok(mayPublish("node", node, subject), `${node} may not: ${subject}`);
    for (
      const subject of [
        ...reportsOf(other),
        ...askedOf(other),
        ...askedOf(node),
        ...PUBLIC,
        s.UP_ANY,
        "$JS.API.INFO",
        "$SYS.REQ",
        "_INBOX.x",
      ]
    ) {
      assert.ok(!mayPublish("node", node, subject), `${node} may publish ${subject}`);
    }
  }));
});

Deno.test("whatever a node may publish stands under its own name", () => {
  const token = fc.oneof(
    ID,
    fc.constantFrom("xtask", "up", "nodes", "register", "heartbeat", "hub", "results", "n1", "*", ">"),
  );
  const chosen = fc.oneof(
    fc.array(token, { minLength: 1, maxLength: 6 }).map((tokens) => tokens.join(".")),
    fc.constantFrom("up", "nodes.register", "nodes.heartbeat").chain((root) =>
      token.map((tail) => `xtask.${root}.${tail}`)
    ),
    fc.array(token, { minLength: 1, maxLength: 3 }).map((tokens) => `xtask.up.${tokens.join(".")}`),
  );
  fc.assert(
    fc.property(chosen, (subject) => {
      if (!mayPublish("node", "n1", subject)) return;
      assert.match(subject, /^xtask\.(up\.n1\..+|nodes\.(register|heartbeat)\.n1)$/);
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("a node hears what is asked of it and not what is asked of, or reported by, another", () => {
  fc.assert(fc.property(ID, ID, (node, other) => {
    fc.pre(node !== other);
    for (
      const subject of [
        ...askedOf(node),
        s.DISCOVER,
        s.broadcastSubject("task", "run"),
        s.statusSubject(node),
        `${s.inboxPrefix(node)}.x`,
      ]
    ) {
      assert.ok(hears("node", node, subject), `${node} does not hear ${subject}`);
    }
    for (
      const subject of [
        ...askedOf(other),
        ...reportsOf(other),
        s.statusSubject(other),
        s.joinSubject("a"),
        s.HUB_ANY,
        "_INBOX.x",
        `${s.inboxPrefix(other)}.x`,
      ]
    ) {
      assert.ok(!hears("node", node, subject), `${node} hears ${subject}`);
    }
  }));
});

Deno.test("people may ask every node, and may not report in a node's name", () => {
  fc.assert(fc.property(ID, ID, (person, node) => {
    for (const role of ["operator", "admin"] as const) {
      for (const subject of [...askedOf(node), s.DISCOVER, s.statusSubject(node), s.hubSubject("command", "list")]) {
        assert.ok(mayPublish(role, person, subject), `${role} may not ask ${subject}`);
      }
      for (const subject of [...reportsOf(node), s.HEARTBEATS, s.resultSubject(COMMAND), s.logSubject(node, COMMAND)]) {
        assert.ok(!mayPublish(role, person, subject), `${role} may publish ${subject}`);
      }
    }
    assert.ok(mayPublish("admin", person, s.hubSubject("auth", "invite")));
    assert.ok(!mayPublish("operator", person, s.hubSubject("auth", "invite")), "an operator invites nobody");
    assert.ok(!mayPublish("operator", person, s.joinSubject("a")));
  }));
});

Deno.test("a subject of five words ends with the name of whoever publishes it, and reports stay the nodes' own", () => {
  const word = fc.oneof(ID, fc.constantFrom("xtask", "up", "nodes", "results", "metrics", "alerts", "default", "team"));
  fc.assert(
    fc.property(ID, ID, fc.array(word, { minLength: 1, maxLength: 6 }), (person, other, words) => {
      for (const role of ["operator", "admin"] as const) {
        assert.ok(mayPublish(role, person, s.hubSubject("alert", "ack", person)));
        assert.ok(person === other || !mayPublish(role, person, s.hubSubject("alert", "ack", other)), "another's name");
        const subject = ["xtask", ...words].join(".");
        if (!mayPublish(role, person, subject)) continue;
        assert.ok(words.length <= 3 || (words.length === 4 && words[3] === person), subject);
        assert.ok(!["up", "results", "metrics", "alerts"].includes(words[0] ?? ""), `${subject} is a report`);
      }
    }),
    { numRuns: 1_000 },
  );
});

Deno.test("an operator reads the streams and changes none of them", () => {
  const api = (verb: string, rest: string) => `$JS.API.${verb}.${rest}`;
  for (const stream of ["XTASK_EVENTS", "XTASK_LOGS", "KV_xtask_nodes"]) {
    for (
      const subject of [
        api("STREAM.INFO", stream),
        api("CONSUMER.CREATE", `${stream}.c1`),
        api("STREAM.MSG.GET", stream),
      ]
    ) {
      assert.ok(mayPublish("operator", "ann", subject), subject);
    }
    for (const verb of ["STREAM.CREATE", "STREAM.UPDATE", "STREAM.DELETE", "STREAM.PURGE", "STREAM.MSG.DELETE"]) {
      assert.ok(!mayPublish("operator", "ann", api(verb, stream)), `${verb} ${stream}`);
    }
  }
  assert.ok(!mayPublish("operator", "ann", "$KV.xtask_nodes.n1"), "records are the hub's to write");
  assert.ok(!mayPublish("operator", "ann", api("STREAM.INFO", "KV_xtask_invites")), "invitations are the hub's alone");
});

Deno.test("a join token may be handed in and nothing else", () => {
  fc.assert(fc.property(ID, ID, (invite, other) => {
    fc.pre(invite !== other);
    assert.ok(mayPublish("join", invite, s.joinSubject(invite)));
    for (
      const subject of [
        s.joinSubject(other),
        s.hubSubject("auth", "invite"),
        ...reportsOf(invite),
        ...askedOf(other),
        s.DISCOVER,
      ]
    ) {
      assert.ok(!mayPublish("join", invite, subject), subject);
    }
    assert.ok(
      hears("join", invite, `${s.inboxPrefix(invite)}.x`) && !hears("join", invite, `${s.inboxPrefix(other)}.x`),
    );
  }));
});

Deno.test("every word of the subject space is reserved, so that no node's subjects reach another's", () => {
  const fixed = [
    ...reportsOf("n1"),
    ...PUBLIC,
    s.logSubject("n1", COMMAND),
    s.statusSubject("n1"),

    s.ALERTS_ANY,
  ];
  for (const subject of fixed) {
    const [, second = ""] = subject.split(".");
    assert.ok(RESERVED_IDS.has(second), `'${second}' of ${subject} could be a node's id`);
  }
  fc.assert(fc.property(ID, (node) => {
    for (const subject of fixed) assert.ok(!takes(s.nodeSubjects(node), subject), `${node} is asked by ${subject}`);
  }));
});

Deno.test("each match form takes what its build form makes", () => {
  fc.assert(fc.property(ID, ID, (node, word) => {
    const pairs: [string, string][] = [
      ...askedOf(node).map((subject): [string, string] => [s.nodeSubjects(node), subject]),
      ...reportsOf(node).filter((subject) => subject.includes(".up.")).flatMap((
        subject,
      ): [string, string][] => [[s.UP_ANY, subject], [s.upOf(node), subject]]),
      [s.BROADCASTS, s.broadcastSubject(word, "run")],
      [s.REGISTER_ANY, s.registerSubject(node)],
      [s.HEARTBEAT_ANY, s.heartbeatSubject(node)],
      [s.logsOfCommand(COMMAND), s.logSubject(node, COMMAND)],
      [s.LOGS_ANY, s.agentLogSubject(node)],
      [s.LOGS_ANY, s.logSubject(node, COMMAND)],
      [s.eventsOf(word), s.eventSubject(word, "alert")],
      [s.HUB_ANY, s.hubSubject(word, "list")],
      [s.JOIN_ANY, s.joinSubject(word)],
      [s.storedResults(COMMAND), s.storedResult(COMMAND, node)],
    ];
    for (const [pattern, subject] of pairs) assert.ok(takes(pattern, subject), `${pattern} does not take ${subject}`);
    assert.ok(s.logsOfNode(node).some((one) => takes(one, s.logSubject(node, COMMAND))));
    assert.ok(s.logsOfNode(node).some((one) => takes(one, s.agentLogSubject(node))));
    assert.equal(s.lastToken(s.heartbeatSubject(node)), node);
    assert.ok(!takes(s.HEARTBEAT_ANY, s.HEARTBEATS), "what is republished is not taken in again");
  }));
});

Deno.test("a command's subject reads back, and nothing else reads as one", () => {
  fc.assert(fc.property(ID, ID, ID, (node, capability, verb) => {
    for (const subject of [s.commandSubject(node, capability, verb), s.broadcastSubject(capability, verb)]) {
      assert.deepEqual(s.parseNodeSubject(subject), { capability, verb });
    }
  }));
  assert.equal(s.parseNodeSubject(s.commandSubject("n1", "task", "run", "olga"))?.author, "olga");
  for (
    const subject of [
      "",
      "xtask",
      "xtask.n1",
      "xtask.n1.task",
      "xtask.n1.task.",
      "xtask.n1..run",
      "xtask.n1.task.run.olga.more",
      "xtask.n1.task.run.NOT-AN-ID",
      "xtask.n1.task.run.",
      "other.n1.task.run",
      "xtask.N1.task.run",
      "xtask..task.run",
      "xtask.nodes.register.n1",
      "xtask.hub.command.list",
      "xtask.up.n1.metrics",
    ]
  ) assert.equal(s.parseNodeSubject(subject), undefined, subject);
});

Deno.test("what a node publishes is derived to exactly one public stream, under its author's name", () => {
  const streams = s.derivations("default");
  fc.assert(fc.property(ID, (node) => {
    for (const subject of reportsOf(node).filter((one) => one.includes(".up."))) {
      const derived = Object.values(streams).flatMap(({ transforms, republish }) =>
        transforms.filter(({ src }) => takes(src, subject)).map(({ src, dest }) => {
          const stored = transform(src, dest, subject);
          assert.ok(takes(republish.src, stored), `${stored} is not published again`);
          return { stored, live: transform(republish.src, republish.dest, stored) };
        })
      );
      assert.equal(derived.length, 1, `${subject} is derived ${derived.length} times`);
      assert.ok(derived[0]?.stored.split(".").includes(node), `${derived[0]?.stored} does not tell its author`);
    }
  }));
  const live = (up: string) =>
    Object.values(streams).flatMap(({ transforms, republish }) =>
      transforms.filter(({ src }) => takes(src, up)).map(({ src, dest }) =>
        transform(republish.src, republish.dest, transform(src, dest, up))
      )
    );
  assert.deepEqual(live(s.upResult("n1", COMMAND)), [s.resultSubject(COMMAND)]);
  assert.deepEqual(live(s.upLog("n1", COMMAND)), [s.logSubject("n1", COMMAND)]);
  assert.deepEqual(live(s.upAgentLog("n1")), [s.agentLogSubject("n1")]);
  assert.deepEqual(live(s.upEvent("n1", "alert")), [s.eventSubject("default", "alert")]);
});

/** A subject transform as the server does it: `{{wildcard(n)}}` is what the nth `*` stood for; a `>` keeps its tail. */
function transform(src: string, dest: string, subject: string): string {
  const given = subject.split(".");
  const wild = src.split(".").flatMap((token, at) => token === "*" ? [given[at] as string] : []);
  const tail = src.endsWith(">") ? given.slice(src.split(".").length - 1).join(".") : "";
  return dest.replaceAll(/\{\{wildcard\((\d)\)\}\}/g, (_, n) => wild[Number(n) - 1] as string).replace(/>$/, tail);
}

Deno.test("what is taken for a subscription's is what the server takes for it", () => {
  const token = fc.constantFrom("xtask", "n1", "run", "*");
  const text = fc.array(token, { minLength: 1, maxLength: 4 });
  fc.assert(fc.property(text, text, fc.boolean(), (wanted, given, open) => {
    const pattern = [...wanted, ...(open ? [">"] : [])].join(".");
    assert.equal(s.subjectMatcher(pattern)(given.join(".")), takes(pattern, given.join(".")));
  }));
});
