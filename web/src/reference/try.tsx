import { useRef, useState } from "preact/hooks";
import { ApiError, query as withQuery, send } from "../api/client";
import { duration } from "../ui/format";
import { useAction } from "../ui/load";
import { Badge, Copy, Field, Problem } from "../ui/parts";
import { resolve, typeOf, type Operation, type Parameter } from "./document";

interface Answer {
  status: number;
  text: string;
  ms: number;
}

// most limits the part of an answer that the page shows, in characters.
const most = 200_000;

// Try sends a request with the login of the page.
export function Try({ operation: o, root }: { operation: Operation; root: any }) {
  const media = o.body && Object.entries(o.body.content)[0];
  const isJSON = !media || media[0].includes("json");
  const [values, setValues] = useState<Record<string, string>>({});
  const [body, setBody] = useState(media && isJSON ? JSON.stringify(media[1].example ?? {}, null, 2) : "");
  const [answer, setAnswer] = useState<Answer>();
  const action = useAction();
  const abort = useRef(new AbortController());
  const path = () => {
    const filled = o.path.replace(/\{([^}]+)\}/g, (_, name: string) => (values["path " + name] ?? "").split("/").map(encodeURIComponent).join("/"));
    return withQuery(filled, Object.fromEntries(o.parameters.filter((p) => p.in === "query").map((p) => [p.name, values["query " + p.name]])));
  };
  const run = async () => {
    abort.current.abort();
    abort.current = new AbortController();
    const headers: Record<string, string> = {};
    for (const p of o.parameters) if (p.in === "header" && values["header " + p.name]) headers[p.name] = values["header " + p.name];
    if (media) headers["Content-Type"] = media[0];
    setAnswer(undefined);
    const start = performance.now();
    const show = (status: number, text: string) => setAnswer({ status, text: pretty(text), ms: performance.now() - start });
    try {
      const response = await send(o.method, path(), { ...(media && { raw: body }), headers, signal: abort.current.signal });
      show(response.status, await textOf(response));
    } catch (error) {
      if (!(error instanceof ApiError) || !error.status) throw error;
      show(error.status, JSON.stringify(error.problem));
    }
  };
  const fields = o.parameters.filter((p) => p.in !== "cookie");
  return (
    <form class="card" aria-label="Try it" onSubmit={(e) => (e.preventDefault(), void action.run(run))}>
      <h3>Try it</h3>
      {fields.length > 0 && (
        <div class="columns wide">
          {fields.map((p) => <Input key={p.in + p.name} parameter={p} root={root} value={values[`${p.in} ${p.name}`] ?? ""} onChange={(v) => setValues({ ...values, [`${p.in} ${p.name}`]: v })} />)}
        </div>
      )}
      {media && <Field label="Body" hint={media[0]}>{(p) => <textarea {...p} rows={Math.min(14, Math.max(3, body.split("\n").length))} spellcheck={false} value={body} onInput={(e) => setBody(e.currentTarget.value)} />}</Field>}
      <div class="bar">
        {action.busy ? <button type="button" onClick={() => abort.current.abort()}>Cancel</button> : <button class="primary">Send</button>}
        <Copy label="Copy as curl" text={() => curl(o, path(), media && body, media?.[0])} />
      </div>
      <p class="dim">The request uses your login and changes real data.</p>
      <Problem error={abort.current.signal.aborted ? undefined : action.error} />
      {answer && (
        <div role="status" class="output">
          <p class="facts"><Badge kind={answer.status < 400 ? "good" : "bad"}>{answer.status}</Badge><span>{duration(answer.ms)}</span></p>
          {answer.text && <pre class="snippet" tabIndex={0} aria-label="Answer">{answer.text.slice(0, most)}</pre>}
        </div>
      )}
    </form>
  );
}

function Input({ parameter: p, root, value, onChange }: { parameter: Parameter; root: any; value: string; onChange: (value: string) => void }) {
  const schema = resolve(root, p.schema);
  return (
    <Field label={p.name} hint={typeOf(root, p.schema).text.length < 40 ? `${typeOf(root, p.schema).text}, ${p.in}` : p.in}>
      {(props) =>
        schema?.enum ? (
          <select {...props} required={p.required} value={value} onChange={(e) => onChange(e.currentTarget.value)}><option value="" />{schema.enum.map((v) => <option key={String(v)}>{String(v)}</option>)}</select>
        ) : (
          <input {...props} required={p.required} value={value} spellcheck={false} autocomplete="off" onInput={(e) => onChange(e.currentTarget.value)} />
        )
      }
    </Field>
  );
}

// textOf returns the text of an answer. It does not read other content, because a file can
// be larger than the memory of the browser.
async function textOf(response: Response): Promise<string> {
  const type = response.headers.get("Content-Type") ?? "text/plain";
  if (/^text\/|json/.test(type)) return response.text();
  await response.body?.cancel();
  return `The page does not show content of the type ${type}.`;
}

function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function curl(o: Operation, path: string, body: string | undefined, type: string | undefined): string {
  const quote = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;
  const parts = [`curl -sS -X ${o.method} ${quote(location.origin + path)}`, `-H "x-api-key: $PYTH_ON_API_KEY"`];
  if (body) parts.push(`-H ${quote(`Content-Type: ${type}`)}`, `-d ${quote(body)}`);
  return parts.join(" \\\n  ") + "\n";
}
