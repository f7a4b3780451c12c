/** What a verb's input looks like, read off its schema: what CLI flags, forms and documents derive from. */
import * as v from "valibot";

/** One field of an input. */
export interface Field {
  readonly name: string;
  /** `list` of text, `map` of names to text. */
  readonly kind: "text" | "number" | "boolean" | "list" | "map";
  readonly required: boolean;
  readonly description: string;
  /** The only values there are. */
  readonly choices?: readonly string[];
  readonly default?: unknown;
}

/** The library types a schema by what it accepts; what it is made of is read off `type`, which the casts below follow. */
type AnySchema = v.GenericSchema;
type Wrapped = { readonly wrapped: AnySchema; readonly default?: unknown };

/**
 * The fields of an object schema, in the order they are written.
 *
 * @throws {TypeError} if the schema is no object or has a field of a kind that cannot be typed on a command line
 */
export function fieldsOf(schema: AnySchema): Field[] {
  const object = unwrap(schema).schema;
  if (!("entries" in object)) throw new TypeError(`Cannot list the fields of a schema of type '${object.type}'`);
  return Object.entries(object.entries as Record<string, AnySchema>).map(([name, entry]) => {
    const { schema: inner, required, fallback, description } = unwrap(entry);
    const choices = inner.type === "picklist" ? { choices: (inner as unknown as { options: string[] }).options } : {};
    return {
      name,
      kind: kindOf(name, inner),
      required,
      description: description ?? "",
      ...choices,
      ...(fallback === undefined ? {} : { default: fallback }),
    };
  });
}

/** The schema below `optional`, `nullish` and pipes, and what they said on the way. */
function unwrap(schema: AnySchema): { schema: AnySchema; required: boolean; fallback?: unknown; description?: string } {
  let current = schema;
  let required = true;
  let fallback: unknown;
  let description: string | undefined;
  for (;;) {
    description ??= v.getDescription(current as Parameters<typeof v.getDescription>[0]);
    if ("pipe" in current) {
      const [first] = (current as unknown as { pipe: AnySchema[] }).pipe;
      if (first !== undefined && first !== current && first.type !== current.type) {
        current = first;
        continue;
      }
    }
    if (current.type !== "optional" && current.type !== "nullish" && current.type !== "exact_optional") break;
    const { wrapped, default: value } = current as unknown as Wrapped;
    required = false;
    fallback ??= typeof value === "function" ? undefined : value;
    current = wrapped;
  }
  return {
    schema: current,
    required,
    ...(fallback === undefined ? {} : { fallback }),
    ...(description === undefined ? {} : { description }),
  };
}

function kindOf(name: string, schema: AnySchema): Field["kind"] {
  switch (schema.type) {
    case "string":
    case "picklist":
      return "text";
    case "number":
      return "number";
    case "boolean":
      return "boolean";
    case "array":
      return "list";
    case "record":
      return "map";
    default:
      throw new TypeError(`Cannot offer field '${name}' on a command line as its type is '${schema.type}'`);
  }
}
