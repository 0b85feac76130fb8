import { useMemo, useRef, useState } from "preact/hooks";
import { get } from "../api/client";
import { replace, type Route } from "../router";
import { useLoad } from "../ui/load";
import { Empty, Field, Loading, Problem } from "../ui/parts";
import { read, type Document, type Operation } from "./document";
import { OperationView } from "./operation";

// ReferencePage shows the operations of the API from the document of this server.
export function ReferencePage({ id, route }: { id?: string; route: Route }) {
  const document = useLoad(async (signal) => read(await get<unknown>("/openapi.json", signal)), []);
  if (!document.data) return document.error ? <Problem error={document.error} retry={document.reload} /> : <Loading />;
  return <Reference document={document.data} id={id} query={route.query.get("q") ?? ""} />;
}

const matches = (o: Operation, q: string) => !q || [o.operationId, o.path, o.summary, o.method].some((t) => t?.toLowerCase().includes(q.toLowerCase()));

function Reference({ document, id, query }: { document: Document; id?: string; query: string }) {
  const [q, setQ] = useState(query);
  const selected = document.operations.find((o) => o.operationId === id);
  const top = useRef<HTMLDivElement>(null);
  const groups = useMemo(
    () => document.tags.map((tag) => ({ tag, operations: document.operations.filter((o) => o.tags?.includes(tag.name) && matches(o, q)) })).filter((g) => g.operations.length),
    [document, q],
  );
  const search = (value: string) => {
    setQ(value);
    replace(`#/api${id ? `/${id}` : ""}${value ? `?q=${encodeURIComponent(value)}` : ""}`);
  };
  return (
    <div class="page reference">
      <header><h1>API</h1><a href="/openapi.json" target="_blank" rel="noopener">OpenAPI document</a><a href="/docs/api.md" target="_blank" rel="noopener">Guide</a></header>
      <div class="split">
        <nav aria-label="Operations" class={selected ? "has-selection" : ""}>
          <Field label="Search">{(p) => <input {...p} type="search" value={q} spellcheck={false} onInput={(e) => search(e.currentTarget.value)} />}</Field>
          {groups.map(({ tag, operations }) => (
            <details key={tag.name} open={!!q || operations.some((o) => o === selected)}>
              <summary>{tag.name}</summary>
              <ul>
                {operations.map((o) => (
                  <li key={o.operationId}>
                    <a href={`#/api/${o.operationId}${q ? `?q=${encodeURIComponent(q)}` : ""}`} aria-current={o === selected ? "true" : undefined} title={`${o.method} ${o.path}`} onClick={() => top.current?.scrollIntoView()}>
                      <span class={`method ${o.method.toLowerCase()}`}>{o.method}</span> {o.summary}
                    </a>
                  </li>
                ))}
              </ul>
            </details>
          ))}
          {!groups.length && <p class="dim">No operation matches.</p>}
        </nav>
        <div ref={top} class="chosen">
          {selected ? (
            <OperationView key={selected.operationId} operation={selected} root={document.root} />
          ) : id ? (
            <Empty title="The API has no such operation" />
          ) : (
            <Empty title="Choose an operation"><p>You can send requests from this page with your login. In programs, use an <a href="#/keys">API key</a>.</p></Empty>
          )}
        </div>
      </div>
    </div>
  );
}
