/** Who is interested in which subjects. */

interface Node<T> {
  readonly children: Map<string, Node<T>>;
  readonly here: T[];
}

const node = <T>(): Node<T> => ({ children: new Map(), here: [] });
const isLiteral = (pattern: string) => !pattern.includes("*") && !pattern.includes(">");

/** Values by the patterns of subjects that they stand for. */
export class Interest<T> {
  readonly #root = node<T>();
  /** Of patterns that stand for one subject alone: they come last anyway. */
  readonly #literal = new Map<string, T[]>();

  add(pattern: string, value: T): void {
    if (isLiteral(pattern)) {
      const here = this.#literal.get(pattern);
      if (here === undefined) this.#literal.set(pattern, [value]);
      else here.push(value);
      return;
    }
    let at = this.#root;
    for (const token of pattern.split(".")) {
      let next = at.children.get(token);
      if (next === undefined) at.children.set(token, next = node());
      at = next;
    }
    at.here.push(value);
  }

  remove(pattern: string, value: T): void {
    if (isLiteral(pattern)) {
      const here = this.#literal.get(pattern);
      takeOut(here, value);
      if (here?.length === 0) this.#literal.delete(pattern);
      return;
    }
    let at: Node<T> | undefined = this.#root;
    for (const token of pattern.split(".")) at = at?.children.get(token);
    takeOut(at?.here, value);
  }

  /** The values whose pattern the subject matches, in the order of patterns and of adding. */
  match(subject: string): T[] {
    const found: T[] = [];
    gather(this.#root, subject, 0, found);
    const here = this.#literal.get(subject);
    if (here !== undefined) found.push(...here);
    return found;
  }

  /** Whether there is any. */
  wants(subject: string): boolean {
    return this.#literal.has(subject) || gather(this.#root, subject, 0, undefined);
  }
}

function takeOut<T>(from: T[] | undefined, value: T): void {
  const index = from?.indexOf(value) ?? -1;
  if (index >= 0) from?.splice(index, 1);
}

/** Adds what is found, or only says whether there is anything. */
function gather<T>(at: Node<T>, subject: string, from: number, found: T[] | undefined): boolean {
  const { children, here } = at;
  if (from > subject.length) {
    found?.push(...here);
    return here.length > 0;
  }
  if (children.size === 0) return false;
  const rest = children.get(">");
  if (rest !== undefined) {
    if (found === undefined && rest.here.length > 0) return true;
    found?.push(...rest.here);
  }
  const dot = subject.indexOf(".", from);
  const end = dot < 0 ? subject.length : dot;
  const any = children.get("*");
  if (any !== undefined && gather(any, subject, end + 1, found) && found === undefined) return true;
  const named = children.get(subject.slice(from, end));
  return named !== undefined && gather(named, subject, end + 1, found);
}

/** Tokens of patterns: there are few, and each is looked at often. */
const patterns = new Map<string, readonly string[]>();
const PATTERNS_MAX = 1_000;

function tokensOf(pattern: string): readonly string[] {
  let tokens = patterns.get(pattern);
  if (tokens === undefined) {
    if (patterns.size === PATTERNS_MAX) patterns.clear();
    patterns.set(pattern, tokens = pattern.split("."));
  }
  return tokens;
}

/** Whether a subject matches a pattern. */
export function matches(pattern: string, subject: string): boolean {
  if (pattern === ">" || isLiteral(pattern)) return pattern === ">" || pattern === subject;
  let from = 0;
  for (const token of tokensOf(pattern)) {
    if (from > subject.length) return false;
    if (token === ">") return true;
    const dot = subject.indexOf(".", from);
    const end = dot < 0 ? subject.length : dot;
    if (token !== "*" && (token.length !== end - from || !subject.startsWith(token, from))) return false;
    from = end + 1;
  }
  return from > subject.length;
}

/** What becomes of a subject by a rule such as `xtask.up.*.events.*` → `xtask.events.{{wildcard(2)}}`; undefined where it is not meant. */
export function transform({ src, dest }: { readonly src: string; readonly dest: string }, subject: string) {
  if (!matches(src, subject)) return undefined;
  const [wanted, tokens] = [tokensOf(src), subject.split(".")];
  const wild = wanted.flatMap((token, index) => token === "*" ? [tokens[index] as string] : []);
  return tokensOf(dest).map((token) => {
    if (token === ">") return tokens.slice(wanted.indexOf(">")).join(".");
    const number = /^\{\{wildcard\((\d+)\)\}\}$/.exec(token)?.[1];
    return number === undefined ? token : wild[Number(number) - 1];
  }).join(".");
}
