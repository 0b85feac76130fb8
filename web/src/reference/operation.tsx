import { useState } from "preact/hooks";
import { fieldsOf, boundsOf, resolve, typeOf, type Operation, type Schema } from "./document";
import { Try } from "./try";

const deepest = 6;

export function OperationView({ operation: o, root }: { operation: Operation; root: any }) {
  return (
    <article aria-labelledby="operation">
      <h2 id="operation">{o.summary}</h2>
      <p><code><span class={`method ${o.method.toLowerCase()}`}>{o.method}</span> {o.path}</code></p>
      {o.description && <p>{o.description}</p>}
      <Try operation={o} root={root} />
      {o.parameters.length > 0 && (
        <section>
          <h3>Parameters</h3>
          <dl class="schema">
            {o.parameters.map((p) => <Row key={p.in + p.name} name={p.name} note={p.in} schema={{ description: p.description, ...p.schema }} required={!!p.required} root={root} depth={0} />)}
          </dl>
        </section>
      )}
      {o.body && (
        <section>
          <h3>Body</h3>
          {Object.entries(o.body.content).map(([type, c]) => <Form key={type} type={type} schema={c.schema} root={root} />)}
        </section>
      )}
      <section>
        <h3>Answers</h3>
        {o.responses.map(([status, r]) => (
          <details key={status} class="card">
            <summary><strong>{status}</strong> {r.description}</summary>
            {Object.entries(r.content ?? {}).map(([type, c]) => <Form key={type} type={type} schema={c.schema} root={root} />)}
          </details>
        ))}
      </section>
    </article>
  );
}

function Form({ type, schema, root }: { type: string; schema?: Schema; root: any }) {
  const s = resolve(root, schema);
  const variants = s?.oneOf ?? s?.anyOf;
  return (
    <>
      <p class="dim"><code>{type}</code>{schema?.$ref && <> {typeOf(root, schema).text}</>}</p>
      {variants && !fieldsOf(root, s).size ? variants.map((v, i) => <div key={i}><p class="dim">{i ? "or " : ""}{typeOf(root, v).text}</p><Fields schema={v} root={root} depth={0} /></div>) : s && <Fields schema={s} root={root} depth={0} />}
    </>
  );
}

function Fields({ schema, root, depth }: { schema: Schema; root: any; depth: number }) {
  const fields = [...fieldsOf(root, schema)];
  if (!fields.length) return depth ? null : <p>{typeOf(root, schema).text}</p>;
  return <dl class="schema">{fields.map(([name, f]) => <Row key={name} name={name} schema={f.schema} required={f.required} root={root} depth={depth} />)}</dl>;
}

interface RowProps {
  name: string;
  note?: string;
  schema: Schema;
  required: boolean;
  root: any;
  depth: number;
}

// Row shows a field. If the value of the field is an object, the fields of this object
// are hidden at first, because schemas can be deep.
function Row({ name, note, schema, required, root, depth }: RowProps) {
  const type = typeOf(root, schema);
  const resolved = resolve(root, schema);
  const bounds = boundsOf(root, schema);
  return (
    <div>
      <dt><code>{name}</code> <span class="dim">{type.text}{note && `, in the ${note}`}</span>{required && <strong> required</strong>}</dt>
      <dd>
        {schema.description ?? resolved.description}{bounds && <span class="dim"> {bounds}.</span>}
        {type.object && depth < deepest && (
          <Nested schema={type.object} root={root} depth={depth + 1} name={name} />
        )}
      </dd>
    </div>
  );
}

function Nested({ schema, root, depth, name }: { schema: Schema; root: any; depth: number; name: string }) {
  const [open, setOpen] = useState(false);
  return (
    <details onToggle={(e) => setOpen(e.currentTarget.open)}>
      <summary>Fields of {name}</summary>
      {open && <Fields schema={schema} root={root} depth={depth} />}
    </details>
  );
}
