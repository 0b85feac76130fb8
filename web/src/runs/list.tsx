import { useState } from "preact/hooks";
import type { Run, ServerInfo } from "../api/types";
import { Status, statusNames } from "../output/outcome";
import { go, replace, type Route } from "../router";
import { languageName } from "../run/page";
import { useEntered } from "../ui/entered";
import { bytes, duration } from "../ui/format";
import { useList } from "../ui/list";
import { Empty, Field, Loading, Problem } from "../ui/parts";
import { Table } from "../ui/table";
import { Time } from "../ui/time";

const named = (...values: string[]) => values.map((v) => [v, statusNames[v]]);
const states = [["", "All"], ...named("queued", "running"), ["ended", "Ended"]];
const statuses = [["", "All"], ...named("succeeded", "failed", "timed_out", "out_of_memory", "output_limit", "killed", "canceled")];
const ages: [string, string, number][] = [["", "Any time", 0], ["hour", "Last hour", 3600e3], ["day", "Last day", 86400e3], ["week", "Last week", 604800e3]];
const names = ["state", "status", "language", "label", "age"] as const;

export function RunsPage({ route, info }: { route: Route; info: ServerInfo }) {
  const filter = Object.fromEntries(names.map((n) => [n, route.query.get(n) ?? ""])) as Record<(typeof names)[number], string>;
  const [since, setSince] = useState<{ age: string; at?: string }>({ age: "" });
  if (since.age !== filter.age) {
    const age = ages.find((a) => a[0] === filter.age)?.[2];
    setSince({ age: filter.age, at: age ? new Date(Date.now() - age).toISOString() : undefined });
  }
  const { state, status, language, label } = filter;
  const list = useList<Run>("/api/v1/executions", "executions", { state, status, language, label, since: since.at, limit: 50 });
  const [chosen, setChosen] = useState<string[]>([]);
  const choose = (id: string, on: boolean) => setChosen((ids) => (on ? [...ids, id] : ids.filter((i) => i !== id)));
  const set = (name: string, value: string) => {
    const q = new URLSearchParams(Object.entries({ ...filter, [name]: value }).filter(([, v]) => v));
    replace(q.size ? `#/runs?${q}` : "#/runs");
  };
  const labelled = useEntered(label, (value) => set("label", value));
  const select = (name: (typeof names)[number], text: string, options: string[][]) => (
    <Field label={text}>
      {(p) => <select {...p} value={filter[name]} onChange={(e) => set(name, e.currentTarget.value)}>{options.map(([v, t]) => <option key={v} value={v}>{t}</option>)}</select>}
    </Field>
  );
  const filtered = names.some((n) => filter[n]);
  return (
    <div class="page">
      <header>
        <h1>Runs</h1>
        {chosen.length > 0 && <span class="dim">{chosen.length === 1 ? "Choose a second run to compare." : "2 runs chosen"}</span>}
        {chosen.length > 0 && <button type="button" onClick={() => setChosen([])}>Clear</button>}
        {chosen.length === 2 && <button type="button" class="primary" onClick={() => go(`#/compare/${chosen[0]}/${chosen[1]}`)}>Compare</button>}
        <button type="button" onClick={list.reload}>Refresh</button>
      </header>
      <div class="filters">
        {select("state", "State", states)}
        {select("status", "Result", statuses)}
        {select("language", "Language", [["", "All"], ...info.languages.map((l) => [l.name, languageName(l.name)])])}
        {select("age", "Started", ages.map(([v, t]) => [v, t]))}
        <Field label="Label">{(p) => <input {...p} {...labelled} />}</Field>
      </div>
      <Problem error={list.error} retry={list.reload} />
      {!list.items && list.loading && <Loading />}
      {list.items?.length === 0 &&
        (filtered ? (
          <Empty title="No run matches"><button type="button" onClick={() => replace("#/runs")}>Show all runs</button></Empty>
        ) : (
          <Empty title="No runs yet"><p>Runs appear here with their code and output.</p><a class="button primary" href="#/run">Run a program</a></Empty>
        ))}
      {!!list.items?.length && (
        <Table
          label="Runs" items={list.items} keyOf={(r) => r.id}
          columns={[
            {
              name: "Compare", isHidden: true,
              cell: (r) => (
                <input
                  type="checkbox" aria-label={`Compare the run ${r.id}`} checked={chosen.includes(r.id)} disabled={chosen.length === 2 && !chosen.includes(r.id)}
                  onChange={(e) => choose(r.id, e.currentTarget.checked)}
                />
              ),
            },
            { name: "Result", cell: (r) => <Status run={r} /> },
            { name: "Run", cell: (r) => <><a href={`#/runs/${r.id}`}><Time at={r.createdAt} /></a>{r.encryptedName && <span class="dim"> {r.encryptedName}</span>}{r.sessionId && <span class="dim"> in a session</span>}</> },
            { name: "Language", cell: (r) => languageName(r.language) },
            { name: "Labels", cell: (r) => r.labels?.map((l) => <button key={l} type="button" class="small" onClick={() => set("label", l)}>{l}</button>) },
            { name: "Time", kind: "number", cell: (r) => r.usage && duration(r.usage.wallMs) },
            { name: "Memory", kind: "number", cell: (r) => r.usage && bytes(r.usage.memoryPeakBytes) },
          ]}
        />
      )}
      {list.hasMore && <button type="button" disabled={list.busy} onClick={() => void list.loadMore()}>Load more</button>}
    </div>
  );
}
