// The parts of the OpenAPI document that the page shows.

export interface Schema {
  $ref?: string;
  type?: string | string[];
  format?: string;
  description?: string;
  enum?: unknown[];
  default?: unknown;
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  additionalProperties?: Schema | boolean;
  allOf?: Schema[];
  oneOf?: Schema[];
  anyOf?: Schema[];
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  maxItems?: number;
  pattern?: string;
  examples?: unknown[];
}

export interface Parameter {
  name: string;
  in: "path" | "query" | "header" | "cookie";
  required?: boolean;
  description?: string;
  schema?: Schema;
}

interface Content {
  schema?: Schema;
  example?: unknown;
}

export interface Response {
  description?: string;
  content?: Record<string, Content>;
}

export interface Operation {
  method: string;
  path: string;
  operationId: string;
  summary?: string;
  description?: string;
  tags?: string[];
  parameters: Parameter[];
  body?: { required?: boolean; content: Record<string, Content> };
  responses: [string, Response][];
}

export interface Document {
  root: any;
  tags: { name: string; description?: string }[];
  operations: Operation[];
}

// resolve follows a reference inside the document.
export function resolve<T>(root: any, node: T): T {
  for (let ref = (node as any)?.$ref; ref; ref = (node as any)?.$ref) {
    node = ref.slice(2).split("/").reduce((at: any, part: string) => at?.[part.replaceAll("~1", "/").replaceAll("~0", "~")], root);
  }
  return node;
}

const methods = ["get", "post", "put", "patch", "delete"];

// read returns the operations of a document, in the order of the paths in the document.
export function read(root: any): Document {
  const operations: Operation[] = [];
  for (const [path, item] of Object.entries<any>(root.paths)) {
    for (const method of methods.filter((m) => item[m])) {
      const op = item[method];
      operations.push({
        ...op, path, method: method.toUpperCase(), body: resolve(root, op.requestBody),
        parameters: [...(item.parameters ?? []), ...(op.parameters ?? [])].map((p: Parameter) => resolve(root, p)),
        responses: Object.entries<Response>(op.responses).map(([status, r]) => [status, resolve(root, r)]),
      });
    }
  }
  const tags = [...new Set(operations.flatMap((o) => o.tags ?? []))];
  return { root, operations, tags: tags.map((name) => root.tags?.find((t: { name: string }) => t.name === name) ?? { name }) };
}

// fieldsOf returns the fields of an object, including the fields of the schemas in allOf.
export function fieldsOf(root: any, schema: Schema | undefined, depth = 0): Map<string, { schema: Schema; required: boolean }> {
  const all = new Map<string, { schema: Schema; required: boolean }>();
  const s = resolve(root, schema);
  if (!s || depth > 8) return all;
  for (const part of s.allOf ?? []) for (const [name, field] of fieldsOf(root, part, depth + 1)) all.set(name, field);
  for (const [name, field] of Object.entries(s.properties ?? {})) all.set(name, { schema: field, required: false });
  for (const name of s.required ?? []) if (all.has(name)) all.set(name, { ...all.get(name)!, required: true });
  return all;
}

const nameOf = (ref: string) => ref.split("/").pop()!;

// plain returns a schema that has a type. A schema can add only a default or a
// description to another schema, which is in allOf. In this case, plain combines both
// schemas.
function plain(root: any, schema: Schema): Schema {
  const s = resolve(root, schema);
  const parts = (s.allOf ?? []).map((part) => plain(root, part));
  return parts.length && !s.type && !s.properties ? Object.assign({}, ...parts, { ...s, allOf: undefined }) : s;
}

// typeOf returns the type of a schema in words, and the schema of the object in it.
export function typeOf(root: any, schema: Schema | undefined): { text: string; object?: Schema } {
  if (!schema) return { text: "anything" };
  const name = schema.$ref ? nameOf(schema.$ref) : undefined;
  const fields = fieldsOf(root, schema).size;
  const s = fields ? resolve(root, schema) : plain(root, schema);
  if (s.items) {
    const item = typeOf(root, s.items);
    return { text: `list of ${item.text}`, object: item.object };
  }
  if (fields) return { text: name ?? "object", object: s };
  if (s.oneOf || s.anyOf) return { text: (s.oneOf ?? s.anyOf)!.map((o) => typeOf(root, o).text).join(" or ") };
  if (s.enum) return { text: s.enum.map(String).join(", ") };
  if (typeof s.additionalProperties === "object") return { text: `map of ${typeOf(root, s.additionalProperties).text}` };
  const type = Array.isArray(s.type) ? s.type.join(" or ") : s.type;
  return { text: [type ?? "anything", s.format && `(${s.format})`].filter(Boolean).join(" ") };
}

// boundsOf returns the limits of a value in words.
export function boundsOf(root: any, schema: Schema): string {
  const s = plain(root, schema);
  const parts: string[] = [];
  if (s.minimum !== undefined) parts.push(`at least ${s.minimum}`);
  if (s.maximum !== undefined) parts.push(`at most ${s.maximum}`);
  if (s.maxLength !== undefined) parts.push(`at most ${s.maxLength} characters`);
  if (s.maxItems !== undefined) parts.push(`at most ${s.maxItems} items`);
  if (s.default !== undefined) parts.push(`default ${JSON.stringify(s.default)}`);
  return parts.join(", ");
}
