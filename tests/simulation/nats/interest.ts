/** Who is interested in which subjects. */

interface Node<T> {
  readonly children: Map<string, Node<T>>;
  readonly here: T[];
}

const node = <T>(): Node<T> => ({ children: new Map(), here: [] });

/** Values by the patterns of subjects that they stand for. */
export class Interest<T> {
  readonly #root = node<T>();

  add(pattern: string, value: T): void {
    let at = this.#root;
    for (const token of pattern.split(".")) {
      let next = at.children.get(token);
      if (next === undefined) at.children.set(token, next = node());
      at = next;
    }
    at.here.push(value);
  }

  remove(pattern: string, value: T): void {
    let at: Node<T> | undefined = this.#root;
    for (const token of pattern.split(".")) at = at?.children.get(token);
    const index = at?.here.indexOf(value) ?? -1;
    if (index >= 0) at?.here.splice(index, 1);
  }

  /** The values whose pattern the subject matches, in the order of patterns and of adding. */
  match(subject: string): T[] {
    const found: T[] = [];
    gather(this.#root, subject.split("."), 0, found);
    return found;
  }
}

function gather<T>(at: Node<T>, tokens: readonly string[], index: number, found: T[]): void {
  if (index === tokens.length) {
    found.push(...at.here);
    return;
  }
  const rest = at.children.get(">");
  if (rest !== undefined) found.push(...rest.here);
  const any = at.children.get("*");
  if (any !== undefined) gather(any, tokens, index + 1, found);
  const named = at.children.get(tokens[index] as string);
  if (named !== undefined) gather(named, tokens, index + 1, found);
}

/** Whether a subject matches a pattern. */
export function matches(pattern: string, subject: string): boolean {
  const [wanted, tokens] = [pattern.split("."), subject.split(".")];
  for (const [index, token] of wanted.entries()) {
    if (token === ">") return tokens.length > index;
    if (index >= tokens.length || token !== "*" && token !== tokens[index]) return false;
  }
  return wanted.length === tokens.length;
}

/** What becomes of a subject by a rule such as `xtask.up.*.events.*` → `xtask.events.{{wildcard(2)}}`; undefined where it is not meant. */
export function transform({ src, dest }: { readonly src: string; readonly dest: string }, subject: string) {
  if (!matches(src, subject)) return undefined;
  const tokens = subject.split(".");
  const wild = src.split(".").flatMap((token, index) => token === "*" ? [tokens[index] as string] : []);
  return dest.split(".").map((token) => {
    if (token === ">") return tokens.slice(src.split(".").indexOf(">")).join(".");
    const number = /^\{\{wildcard\((\d+)\)\}\}$/.exec(token)?.[1];
    return number === undefined ? token : wild[Number(number) - 1];
  }).join(".");
}
