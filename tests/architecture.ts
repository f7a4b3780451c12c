/** The rules on the shape of the sources: who may import whom, and what may stand where. Pure: texts in, offences out. */
import { posix } from "node:path";

/** Sources by their path from the root of the repository, with `/`. */
export type Sources = Readonly<Record<string, string>>;

interface Area {
  /** The areas that it may import beside itself; `*` stands for all but the tests. */
  readonly may: readonly string[];
  readonly except?: readonly string[];
  readonly why: string;
}

const LEAVES = ["lib/protocol", "lib/os"];
const CONTRACTS = ["lib/capability/define.ts", "lib/capability/fields.ts", "lib/capability/registry.ts"];
const TRANSPORT = {
  may: [...LEAVES, "lib/nats", "lib/auth", "lib/client", "lib/words", "ui", ...CONTRACTS],
  why: "a transport adapts what capabilities declare; it runs none of them",
};

/** The import table. A path in `may` is an area, or one file of one. */
export const AREAS: Readonly<Record<string, Area>> = {
  "lib/protocol": { may: [], why: "what is sent and stored depends on nothing, so that everything can depend on it" },
  "lib/os": { may: ["lib/protocol"], why: "processes, locks and files of the machine, for whoever needs them" },
  "lib/nats": { may: [...LEAVES, "lib/auth"], why: "the wire knows subjects and credentials, not who uses it" },
  "lib/auth": { may: LEAVES, why: "keys and policy are decided without a connection" },
  "lib/capability": { may: LEAVES, why: "a capability runs in a Worker of its own and must load fast, alone" },
  "ui": { may: ["lib/protocol"], why: "pages are pure: data in, html out" },
  "lib/agent": {
    may: [...LEAVES, "lib/nats", "lib/auth", "lib/capability"],
    why: "a node works without a hub, a page or a command line",
  },
  "lib/hub": { may: [...LEAVES, "lib/nats", "lib/auth"], why: "the hub decides, nodes run" },
  "lib/client": { may: [...LEAVES, "lib/nats"], why: "a program that drives a fleet needs no agent and no hub in it" },
  "lib/words": { may: [...LEAVES, ...CONTRACTS], why: "what is typed means the same in a terminal and on the page" },
  "lib/http": TRANSPORT,
  "lib/mcp": TRANSPORT,
  "lib/cli": { may: ["*"], why: "the command line sits on top" },
  "lib/system.ts": { may: ["*"], except: ["lib/cli"], why: "what builds everything does not know who asked for it" },
  "lib/cluster.ts": { may: ["*"], except: ["lib/cli"], why: "it builds a hub process as system.ts builds the rest" },
  "main.ts": { may: ["*"], why: "the program starts here" },
  "mod.ts": { may: ["*"], except: ["lib/cli"], why: "the library has no command line" },
  "scripts": { may: ["*"], why: "scripts build and check the whole" },
};

/** Packages that only one area may import, and why. */
const PACKAGES_OF_ONE_AREA = [
  { prefix: "@nats-io/", area: "lib/nats", why: "signals, schemas and errors are adapted there once" },
];
/** Areas that may import these packages and nothing else, not even node's. */
const PACKAGES_ALLOWED: Readonly<Record<string, readonly string[]>> = { "lib/protocol": ["valibot"] };

const LINES_MAX = 400;
const BANNED_NAMES = /(^|[_.-])(utils?|helpers?|managers?|common|misc)([_.-]|$)/;
/** A subject as a whole literal; `${}` stands for an expression in a template. The name of a file such as `xtask.json` is none. */
const SUBJECT = /^(xtask\.[\w${}*>-][^\s/]*|\$(SRV|JS)(\..*)?)$/;
const FILE_NAME = /\.(exe|json|conf|log|db|ts|js|css|md|html|svg|png|ico|zip|gz|toml|ya?ml|plist|service|creds)$/;
/** How Datastar's attributes were written before its first version; three of its plugins have a hyphen in their own name. */
const HYPHEN_FORM =
  /^data-(attr|bind|class|computed|indicator|on|ref|signals|style)-(?!intersect|interval|signal-patch)([a-z][\w-]*)$/;
const JSON_DOORS = ["protocol", "nats", "http", "mcp", "cli", "auth"].map((name) => `lib/${name}`);

/** A literal `import("…")` is found before the program starts; `import("…" as string)` when it is called. */
type When = "at once" | "found at once" | "when called";

/** What of a source the rules look at. */
interface Facts {
  readonly imports: { readonly from: string; readonly line: number; readonly when: When }[];
  readonly literals: { readonly text: string; readonly line: number }[];
  /** Names of attributes, in JSX and as keys of objects. */
  readonly attributes: { readonly text: string; readonly line: number }[];
  /** `object.property` of plain names. */
  readonly members: { readonly text: string; readonly line: number }[];
}

const isTest = (path: string) => path.startsWith("tests/") || /_(test|for_tests)\.tsx?$/.test(path);
const isShipped = (path: string) => !isTest(path) && !path.startsWith("scripts/");

/** The area of a path, or undefined if the table has no line for it. */
function areaOf(path: string): string | undefined {
  return Object.keys(AREAS).find((area) => path === area || path.startsWith(`${area}/`));
}

/** Reads a source with the linter's own parser, so that comments, JSX text and regular expressions are told from strings. */
function factsOf(path: string, source: string): Facts {
  const facts: Facts = { imports: [], literals: [], attributes: [], members: [] };
  const line = (node: { range: [number, number] }) => source.slice(0, node.range[0]).split("\n").length;
  const imported = (node: { range: [number, number] }, from: unknown, when: When = "at once") => {
    if (typeof from === "string") facts.imports.push({ from, line: line(node), when });
  };
  Deno.lint.runPlugin(
    {
      name: "architecture",
      rules: {
        facts: {
          create: () => ({
            ImportDeclaration: (node) => imported(node, node.source.value),
            ExportAllDeclaration: (node) => imported(node, node.source.value),
            ExportNamedDeclaration: (node) => imported(node, node.source?.value),
            ImportExpression(node) {
              const { source } = node;
              if (source.type === "Literal") imported(node, source.value, "found at once");
              if (source.type !== "TSAsExpression" || source.expression.type !== "Literal") return;
              imported(node, source.expression.value, "when called");
            },
            Literal(node) {
              if (typeof node.value === "string") facts.literals.push({ text: node.value, line: line(node) });
            },
            JSXAttribute({ name, range }) {
              const text = name.type === "JSXIdentifier" ? name.name : `${name.namespace.name}:${name.name.name}`;
              facts.attributes.push({ text, line: line({ range }) });
            },
            Property({ key, range }) {
              if (key.type !== "Literal" || typeof key.value !== "string") return;
              facts.attributes.push({ text: key.value, line: line({ range }) });
            },
            TemplateLiteral(node) {
              facts.literals.push({ text: node.quasis.map(({ cooked }) => cooked).join("${}"), line: line(node) });
            },
            MemberExpression({ object, property, range }) {
              if (object.type !== "Identifier" || property.type !== "Identifier") return;
              facts.members.push({ text: `${object.name}.${property.name}`, line: line({ range }) });
            },
          }),
        },
      },
    },
    path,
    source,
  );
  return facts;
}

/** The path that a relative import names, or undefined if it is a package. */
function resolveImport(path: string, from: string): string | undefined {
  return from.startsWith(".") ? posix.join(posix.dirname(path), from) : undefined;
}

function offencesOfImport(path: string, from: string): string[] {
  const area = areaOf(path);
  if (isTest(path) || area === undefined) return [];
  const { may, except = [], why } = AREAS[area]!;
  const short = (names: readonly string[]) => names.map((name) => name === "*" ? "all" : name).join(", ") || "nothing";
  const target = resolveImport(path, from);
  if (target === undefined) {
    const only = PACKAGES_ALLOWED[area];
    if (only && !only.includes(from)) return [`imports ${from}: ${area} may import only ${only.join(", ")}, as ${why}`];
    return PACKAGES_OF_ONE_AREA.filter((rule) => from.startsWith(rule.prefix) && area !== rule.area)
      .map((rule) => `imports ${from}: ${rule.prefix}* is for ${rule.area} only, as ${rule.why}`);
  }
  if (isTest(target)) return [`imports ${target}: only tests import what is for tests`];
  const targetArea = areaOf(target);
  if (targetArea === undefined || targetArea === area) return [];
  const allowed = [targetArea, target, "*"].some((name) => may.includes(name)) && !except.includes(targetArea);
  if (allowed) return [];
  const but = except.length > 0 ? ` but ${short(except)}` : "";
  return [`imports ${target}: ${area} may import ${short(may)}${but}, as ${why}`];
}

/** Deno reads all that a literal leads to before the first line runs, and checks nothing of what it cannot see. */
function offencesOfWhen(path: string, from: string, when: When, sources: Sources): string[] {
  const target = resolveImport(path, from);
  if (target === undefined) return [];
  if (when === "found at once" && areaOf(path) === "lib/cli" && !isTest(path)) {
    return [`imports ${target} by a literal: write import("…" as string), as what is typed must start fast`];
  }
  return when === "when called" && !(target in sources) ? [`imports ${target}, which is not there`] : [];
}

function offencesOfText(path: string, { literals, attributes, members }: Facts): { line: number; text: string }[] {
  if (!isShipped(path)) return [];
  const found: { line: number; text: string }[] = [];
  if (path !== "lib/protocol/subjects.ts") {
    for (const { text, line } of literals) {
      if (!SUBJECT.test(text) || FILE_NAME.test(text)) continue;
      found.push({ line, text: `writes the subject '${text}': subjects live in lib/protocol/subjects.ts` });
    }
  }
  for (const { text, line } of attributes) {
    const [, plugin, rest] = HYPHEN_FORM.exec(text) ?? [];
    if (plugin === undefined) continue;
    found.push({ line, text: `writes ${text}: Datastar knows data-${plugin}:${rest} and passes over the other` });
  }
  for (const { text, line } of members) {
    if ((text === "Deno.env" || text === "process.env") && areaOf(path) !== "lib/cli" && path !== "lib/system.ts") {
      found.push({ line, text: `reads ${text}: the environment is read in lib/cli and lib/system.ts and passed on` });
    }
    if (text === "JSON.parse" && !JSON_DOORS.includes(areaOf(path) ?? "")) {
      found.push({
        line,
        text: `calls JSON.parse: outside text is parsed at the door, with parseJson of lib/protocol/parse.ts`,
      });
    }
  }
  return found;
}

function offencesOfFile(path: string, source: string): string[] {
  const found: string[] = [];
  const banned = path.split("/").find((part) => BANNED_NAMES.test(part));
  if (banned) found.push(`is called '${banned}': name the concept, or put it with its only caller`);
  const lines = source.split("\n").length - (source.endsWith("\n") ? 1 : 0);
  if (lines > LINES_MAX) found.push(`has ${lines} lines, more than ${LINES_MAX}: split it by concept`);
  if (/^(lib|ui)\//.test(path) && areaOf(path) === undefined) {
    found.push("has no line in the import table of tests/architecture.ts");
  }
  return found;
}

/** Each import cycle once, as the paths around it. */
function cycles(graph: ReadonlyMap<string, readonly string[]>): string[][] {
  const found: string[][] = [];
  const done = new Set<string>();
  const trail: string[] = [];
  const visit = (path: string) => {
    const at = trail.indexOf(path);
    if (at >= 0) found.push([...trail.slice(at), path]);
    if (at >= 0 || done.has(path)) return;
    trail.push(path);
    for (const next of graph.get(path) ?? []) visit(next);
    trail.pop();
    done.add(path);
  };
  for (const path of graph.keys()) visit(path);
  return found;
}

/** All offences, one line each: where, what, and why it is one. Empty if the sources keep the rules. */
export function offences(sources: Sources): string[] {
  const found: string[] = [];
  const graph = new Map<string, string[]>();
  for (const [path, source] of Object.entries(sources)) {
    const facts = factsOf(path, source);
    found.push(...offencesOfFile(path, source).map((text) => `${path} ${text}`));
    found.push(...offencesOfText(path, facts).map(({ line, text }) => `${path}:${line} ${text}`));
    for (const { from, line, when } of facts.imports) {
      const texts = [...offencesOfImport(path, from), ...offencesOfWhen(path, from, when, sources)];
      found.push(...texts.map((text) => `${path}:${line} ${text}`));
    }
    graph.set(path, facts.imports.flatMap(({ from }) => resolveImport(path, from) ?? []));
  }
  return [...found, ...cycles(graph).map((path) => `${path[0]} imports itself: ${path.join(" → ")}`)];
}
