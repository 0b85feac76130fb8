import { useState } from "preact/hooks";
import { get } from "../api/client";
import { replace, type Route } from "../router";
import { useEntered } from "../ui/entered";
import { useList } from "../ui/list";
import { useAction } from "../ui/load";
import { Badge, Empty, Field, Loading, Problem, save } from "../ui/parts";
import { Table } from "../ui/table";
import { Time } from "../ui/time";
import { actions } from "./actions";
import { EntryDialog } from "./entry";
import type { Entry } from "./proof";

const outcomes: [string, string][] = [["", "All"], ["success", "Success"], ["denied", "Denied"], ["failure", "Failure"]];
const ages: [string, string, number][] = [["", "Any time", 0], ["hour", "Last hour", 3600e3], ["day", "Last day", 86400e3], ["week", "Last week", 604800e3], ["month", "Last 30 days", 2592000e3]];
const names = ["action", "outcome", "label", "age"] as const;

export function OutcomeBadge({ outcome }: Pick<Entry, "outcome">) {
  return <Badge kind={outcome === "success" ? "good" : "bad"}>{outcomes.find(([o]) => o === outcome)?.[1] ?? outcome}</Badge>;
}

export function AuditPage({ route }: { route: Route }) {
  const filter = Object.fromEntries(names.map((n) => [n, route.query.get(n) ?? ""])) as Record<(typeof names)[number], string>;
  // The time must stay the same while the list loads page by page.
  const [since, setSince] = useState<{ age: string; at?: string }>({ age: "" });
  if (since.age !== filter.age) {
    const age = ages.find((a) => a[0] === filter.age)?.[2];
    setSince({ age: filter.age, at: age ? new Date(Date.now() - age).toISOString() : undefined });
  }
  const { action, outcome, label } = filter;
  const list = useList<Entry>("/api/v1/audit", "entries", { action, outcome, label, since: since.at, limit: 50 });
  const [opened, setOpened] = useState<Entry>();
  const checkpoint = useAction();
  const set = (name: string, value: string) => {
    const q = new URLSearchParams(Object.entries({ ...filter, [name]: value }).filter(([, v]) => v));
    replace(q.size ? `#/audit?${q}` : "#/audit");
  };
  const labelled = useEntered(label, (value) => set("label", value));
  const saveCheckpoint = async () => {
    const { checkpoint } = await get<{ checkpoint: string }>("/api/v1/audit/checkpoint");
    save(`checkpoint-${checkpoint.split("\n")[1]}.txt`, new Blob([checkpoint], { type: "text/plain" }));
  };
  return (
    <div class="page">
      <header>
        <h1>Audit log</h1>
        <button type="button" disabled={checkpoint.busy} onClick={() => void checkpoint.run(saveCheckpoint)}>Save a checkpoint</button>
        <button type="button" onClick={list.reload}>Refresh</button>
      </header>
      <p class="dim">Each action of your account is an entry in a signed log. Open an entry to check in the browser that nobody has changed it. Keep checkpoints in another place: the operator can compare the log with them.</p>
      <Problem error={checkpoint.error} />
      <div class="filters">
        <Field label="Action">{(p) => <select {...p} value={action} onChange={(e) => set("action", e.currentTarget.value)}><option value="">All</option>{actions.map((a) => <option key={a}>{a}</option>)}</select>}</Field>
        <Field label="Outcome">{(p) => <select {...p} value={outcome} onChange={(e) => set("outcome", e.currentTarget.value)}>{outcomes.map(([v, t]) => <option key={v} value={v}>{t}</option>)}</select>}</Field>
        <Field label="Time">{(p) => <select {...p} value={filter.age} onChange={(e) => set("age", e.currentTarget.value)}>{ages.map(([v, t]) => <option key={v} value={v}>{t}</option>)}</select>}</Field>
        <Field label="Label of a run">{(p) => <input {...p} {...labelled} />}</Field>
      </div>
      <Problem error={list.error} retry={list.reload} />
      {!list.items && list.loading && <Loading />}
      {list.items?.length === 0 && <Empty title="No entry matches"><button type="button" onClick={() => replace("#/audit")}>Show all entries</button></Empty>}
      {!!list.items?.length && (
        <Table
          label="Audit log" items={list.items} keyOf={(e) => e.id}
          columns={[
            { name: "Time", cell: (e) => <Time at={e.timestamp} /> },
            { name: "Action", cell: (e) => <button type="button" class="link" onClick={() => setOpened(e)}>{e.action}</button> },
            { name: "Outcome", cell: (e) => <OutcomeBadge outcome={e.outcome} /> },
            { name: "Resource", cell: (e) => e.resource && <span class="clip" title={e.resource}>{e.resource}</span> },
            { name: "By", cell: (e) => e.actor.keyPrefix ? <code>{e.actor.keyPrefix}…</code> : e.actor.credential === "jwt" ? "login" : e.actor.credential.replace("_", " ") },
            { name: "Address", cell: (e) => e.ip },
          ]}
        />
      )}
      {list.hasMore && <button type="button" disabled={list.busy} onClick={() => void list.loadMore()}>Load more</button>}
      {opened && <EntryDialog entry={opened} onClose={() => setOpened(undefined)} />}
    </div>
  );
}
