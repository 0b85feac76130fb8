import { diff } from "./diff";

// DiffView shows how two texts differ. A text is undefined if the server does not have it.
export function DiffView({ a, b }: { a?: string; b?: string }) {
  if (a === undefined || b === undefined) return <p class="dim">The server has it for only one of the runs.</p>;
  if (a === b) return <p class="dim">Both are the same.</p>;
  const lines = diff(a, b);
  if (!lines) return <p class="dim">The texts are too long to compare.</p>;
  return (
    <pre class="diff" tabIndex={0}>
      {lines.map((l, i) => <div key={i} class={l.kind}><span class="hidden">{l.kind === "old" ? "removed: " : l.kind === "new" ? "added: " : ""}</span><span aria-hidden="true">{l.kind === "old" ? "− " : l.kind === "new" ? "+ " : "  "}</span>{l.text}{"\n"}</div>)}
    </pre>
  );
}
