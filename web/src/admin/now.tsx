import { useEffect, useRef } from "preact/hooks";
import { call, get } from "../api/client";
import { Status } from "../output/outcome";
import { languageName } from "../run/page";
import { bytes, count, duration } from "../ui/format";
import { useList } from "../ui/list";
import { useAction, useLoad } from "../ui/load";
import { Loading, Problem } from "../ui/parts";
import { Table } from "../ui/table";
import { Time } from "../ui/time";
import type { Overview } from "./types";

interface Active {
  id: string;
  userId: string;
  email: string;
  state: "queued" | "running";
  language: string;
  sessionId?: string;
  labels: string[];
  createdAt: string;
  startedAt?: string;
}

const path = "/api/v1/admin/executions";
const everyMs = 3000;

// NowPage shows what the server does now. It loads again every few seconds while the user
// looks at it.
export function NowPage() {
  const overview = useLoad((signal) => get<Overview>("/api/v1/admin/overview", signal), []);
  const runs = useList<Active>(path, "executions", { limit: 100 });
  const stop = useAction();
  // A new load aborts a load that is still waiting for its answer. With a slow server, no
  // answer would ever arrive. So start no new load while another load is waiting.
  const loading = useRef(false);
  loading.current = overview.loading || runs.loading;
  useEffect(() => {
    const timer = setInterval(() => {
      if (document.hidden || loading.current) return;
      overview.reload();
      runs.reload();
    }, everyMs);
    return () => clearInterval(timer);
  }, []);
  const o = overview.data;
  return (
    <div class="page">
      <header><h1>Now</h1></header>
      <Problem error={overview.error ?? runs.error ?? stop.error} />
      {!o && overview.loading && <Loading />}
      {o && <Numbers overview={o} />}
      <h2>Runs that run or wait</h2>
      {runs.items?.length === 0 && <p class="dim">Nothing runs and nothing waits.</p>}
      {!!runs.items?.length && (
        <Table
          label="Active runs" items={runs.items} keyOf={(r) => r.id}
          columns={[
            { name: "State", cell: (r) => <Status run={r} /> },
            { name: "User", cell: (r) => <a href={`#/users/${encodeURIComponent(r.userId)}`} dir="auto">{r.email}</a> },
            { name: "Language", cell: (r) => <>{languageName(r.language)}{r.sessionId && <span class="dim"> in a session</span>}</> },
            { name: "Labels", cell: (r) => r.labels.join(", ") },
            { name: "Since", cell: (r) => <Time at={r.startedAt ?? r.createdAt} /> },
            {
              name: "Actions", isHidden: true, kind: "row-actions",
              cell: (r) => <button type="button" class="small" aria-label={`Stop the run of ${r.email}`} disabled={stop.busy} onClick={() => void stop.run(async () => (await call("POST", `${path}/${r.id}/cancel`), overview.reload(), runs.reload()))}>Stop</button>,
            },
          ]}
        />
      )}
      {runs.hasMore && <button type="button" disabled={runs.busy} onClick={() => void runs.loadMore()}>Load more</button>}
    </div>
  );
}

function Numbers({ overview: o }: { overview: Overview }) {
  const facts: [string, string, string?][] = [
    ["Running", String(o.pool.running), `${bytes(o.pool.reservedMemoryBytes)} reserved`],
    ["Waiting", String(o.pool.waiting + o.queuedExecutions)],
    ["Sandboxes", String(o.pool.warm + o.pool.idle), `${o.pool.warm} warm, ${o.pool.idle} idle, ${o.pool.booting} booting`],
    ["Idle sessions", String(o.pool.sessions)],
    ["Users", String(o.users.total), `${o.users.disabled} disabled, ${count(o.users.activeAdmins, "administrator")}`],
    ["Memory of the server", bytes(o.processMemoryBytes)],
    ["Free disk", bytes(o.disk.freeBytes), `of ${bytes(o.disk.totalBytes)}`],
    ["Database", bytes(o.database.sizeBytes), o.database.kind],
    ["Up for", duration(o.uptimeMs), `version ${o.version}`],
  ];
  if (o.workers !== undefined) facts.push(["Workers", String(o.workers)]);
  return <dl class="numbers">{facts.map(([name, value, more]) => <div key={name}><dt>{name}</dt><dd><strong>{value}</strong>{more && <span class="dim">{more}</span>}</dd></div>)}</dl>;
}
