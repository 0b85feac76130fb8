import { useState } from "preact/hooks";
import { get } from "../api/client";
import { useLoad } from "../ui/load";
import { Badge, Empty, Field, Loading, Problem } from "../ui/parts";
import { Table } from "../ui/table";
import type { Setting } from "./types";

const origins: Record<Setting["origin"], string> = { flag: "flag", environment: "environment", file: "file", default: "default" };

export function SettingsPage() {
  const list = useLoad((signal) => get<{ settings: Setting[] }>("/api/v1/admin/settings", signal), []);
  const [search, setSearch] = useState("");
  const [changed, setChanged] = useState(false);
  const shown = list.data?.settings.filter((s) => s.name.includes(search.trim().toLowerCase().replaceAll(" ", "-")) && (!changed || s.origin !== "default"));
  return (
    <div class="page">
      <header><h1>Settings</h1></header>
      <p class="dim">The settings of the server and where their values come from. Change them with flags, variables or the settings file. See <a href="/docs/settings.md" target="_blank" rel="noopener">the documentation</a>.</p>
      <div class="filters">
        <Field label="Search">{(p) => <input {...p} type="search" value={search} spellcheck={false} onInput={(e) => setSearch(e.currentTarget.value)} />}</Field>
        <label class="check align"><input type="checkbox" checked={changed} onChange={(e) => setChanged(e.currentTarget.checked)} /> Only values that differ from the default</label>
      </div>
      <Problem error={list.error} retry={list.reload} />
      {!shown && list.loading && <Loading />}
      {shown?.length === 0 && <Empty title="No setting matches" />}
      {!!shown?.length && (
        <Table
          label="Settings" items={shown} keyOf={(s) => s.name}
          columns={[
            { name: "Setting", cell: (s) => <code>{s.name}</code> },
            { name: "Value", cell: (s) => s.value && <code class="value">{s.value}</code> },
            { name: "Origin", cell: (s) => <>{origins[s.origin]}{s.source && <span class="dim"> {s.source}</span>}</> },
            { name: "Change", cell: (s) => (s.restartNeeded ? <Badge kind="busy">restart needed</Badge> : <span class="dim">{s.reload ? "without a restart" : "with a restart"}</span>) },
          ]}
        />
      )}
    </div>
  );
}
