import { useState } from "preact/hooks";
import { call } from "../api/client";
import type { Run } from "../api/types";
import { useLoad } from "../ui/load";
import { Problem } from "../ui/parts";

interface Variable {
  name: string;
  type: string;
  value: string;
}

// The program lists the variables of the session. It defines no names itself.
const program = `print((lambda g, json: json.dumps([[k, type(v).__name__, (lambda r: r if len(r) <= 200 else r[:200] + "…")(repr(v))] for k, v in sorted(g.items()) if not k.startswith("_") and type(v).__name__ not in ("module", "function", "type", "builtin_function_or_method")][:200]))(dict(globals()), __import__("json")))`;

// VariablesPanel shows the variables of a Python session after each run.
export function VariablesPanel({ session, version }: { session: string; version: number }) {
  const [filter, setFilter] = useState("");
  const list = useLoad(async (): Promise<Variable[]> => {
    if (!version) return [];
    const run = await call<Run>("POST", "/api/v1/execute", { code: program, sessionId: session, store: false, labels: ["variables"] });
    if (run.status !== "succeeded") return [];
    return (JSON.parse(run.stdout ?? "[]") as string[][]).map(([name, type, value]) => ({ name, type, value }));
  }, [session, version]);
  const all = list.data ?? [];
  const shown = all.filter((v) => v.name.includes(filter));
  return (
    <section class="card" aria-labelledby="variables">
      <h2 id="variables">Variables</h2>
      {all.length > 8 && <input aria-label="Filter the variables" placeholder="Filter" value={filter} onInput={(e) => setFilter(e.currentTarget.value)} />}
      <Problem error={list.error} retry={list.reload} />
      {!all.length && !list.error && <p class="dim">{!version ? "They appear after the first run." : list.loading ? "Loading…" : "No variables."}</p>}
      <dl class="variables">
        {shown.map((v) => (
          <div key={v.name}><dt><code>{v.name}</code> <span class="dim">{v.type}</span></dt><dd><code dir="auto">{v.value}</code></dd></div>
        ))}
      </dl>
    </section>
  );
}
