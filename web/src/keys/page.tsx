import { useState } from "preact/hooks";
import { call } from "../api/client";
import { useList } from "../ui/list";
import { useAction } from "../ui/load";
import { Confirm, Copy, Dialog, Empty, Field, Loading, Problem } from "../ui/parts";
import { Table } from "../ui/table";
import { Time } from "../ui/time";

interface Key {
  id: string;
  name: string;
  prefix: string;
  createdAt: string;
  expiresAt?: string;
  lastUsedAt?: string;
  scopes: string[];
}

const scopes: [string, string][] = [
  ["execute", "Run programs and read the runs"], ["sessions", "Use sessions"], ["secrets:read", "List secrets"], ["secrets:write", "Change secrets"],
  ["packages", "Manage packages"], ["zk", "Use encrypted programs"], ["audit:read", "Read the audit log"], ["account", "Manage the account and its keys"],
];

export function KeysPage({ isAdmin }: { isAdmin: boolean }) {
  const list = useList<Key>("/api/v1/keys", "keys");
  const [creates, setCreates] = useState(false);
  const [made, setMade] = useState<{ name: string; key: string }>();
  const [removed, setRemoved] = useState<Key>();
  const remove = useAction();
  return (
    <div class="page">
      <header><h1>API keys</h1><button type="button" class="primary" onClick={() => setCreates(true)}>Create a key</button></header>
      <p class="dim">Programs and scripts use the API with a key. Give each one a key that allows only what it needs.</p>
      <Problem error={list.error} retry={list.reload} />
      {!list.items && list.loading && <Loading />}
      {list.items?.length === 0 && <Empty title="No keys" />}
      {!!list.items?.length && (
        <Table
          label="API keys" items={list.items} keyOf={(k) => k.id}
          columns={[
            { name: "Name", cell: (k) => k.name },
            { name: "Key", cell: (k) => <code>{k.prefix}…</code> },
            { name: "Allows", cell: (k) => (scopes.every(([s]) => k.scopes.includes(s)) ? (k.scopes.includes("admin") ? "all, with admin" : "all but admin") : k.scopes.join(", ")) },
            { name: "Expires", cell: (k) => (k.expiresAt ? <Time at={k.expiresAt} /> : "never") },
            { name: "Last used", cell: (k) => (k.lastUsedAt ? <Time at={k.lastUsedAt} /> : "never") },
            {
              name: "Actions", isHidden: true, kind: "row-actions",
              cell: (k) => <button type="button" class="small" aria-label={`Delete ${k.name}`} onClick={() => setRemoved(k)}>Delete</button>,
            },
          ]}
        />
      )}
      {list.hasMore && <button type="button" disabled={list.busy} onClick={() => void list.loadMore()}>Load more</button>}
      {creates && <Create isAdmin={isAdmin} onClose={() => setCreates(false)} onMade={(key) => (setMade(key), list.reload())} />}
      {made && (
        <Dialog title={`The key ${made.name}`} onClose={() => setMade(undefined)}>
          <p>Copy the key now. The page does not show it again.</p>
          <p class="secret"><code>{made.key}</code></p>
          <div class="actions"><Copy text={made.key} label="Copy the key" /><button type="button" class="primary" onClick={() => setMade(undefined)}>Done</button></div>
        </Dialog>
      )}
      {removed && (
        <Confirm
          title={`Delete the key ${removed.name}?`} action="Delete" busy={remove.busy} error={remove.error} onClose={() => (remove.clear(), setRemoved(undefined))}
          onYes={() => void remove.run(async (isAwaited) => (await call("DELETE", `/api/v1/keys/${removed.id}`), isAwaited() && setRemoved(undefined), list.reload()))}
        >
          <p>All requests with this key fail at once.</p>
        </Confirm>
      )}
    </div>
  );
}

function Create({ isAdmin, onClose, onMade }: { isAdmin: boolean; onClose: () => void; onMade: (key: { name: string; key: string }) => void }) {
  const all = isAdmin ? [...scopes, ["admin", "Administer the server"] as [string, string]] : scopes;
  const [name, setName] = useState("");
  const [days, setDays] = useState("90");
  const [chosen, setChosen] = useState(scopes.map(([s]) => s));
  const action = useAction();
  const create = async () => {
    const expires = days && new Date(Date.now() + Number(days) * 86400e3).toISOString();
    onMade(await call("POST", "/api/v1/keys", { name: name.trim(), scopes: chosen, ...(expires && { expiresAt: expires }) }));
  };
  return (
    <Dialog title="Create a key" onClose={onClose}>
      <form onSubmit={(e) => (e.preventDefault(), void action.run(create).then((ok) => ok && onClose()))}>
        <Field label="Name" hint="Where you use the key">{(p) => <input {...p} required maxLength={100} value={name} onInput={(e) => setName(e.currentTarget.value)} />}</Field>
        <Field label="Expires">
          {(p) => (
            <select {...p} value={days} onChange={(e) => setDays(e.currentTarget.value)}>
              <option value="7">in 7 days</option><option value="30">in 30 days</option><option value="90">in 90 days</option><option value="365">in a year</option><option value="">never</option>
            </select>
          )}
        </Field>
        <fieldset>
          <legend>Allows</legend>
          {all.map(([s, text]) => (
            <label class="check" key={s}>
              <input type="checkbox" checked={chosen.includes(s)} onChange={(e) => setChosen(e.currentTarget.checked ? [...chosen, s] : chosen.filter((c) => c !== s))} />
              {text}
            </label>
          ))}
        </fieldset>
        <Problem error={action.error} />
        <div class="actions"><button type="button" onClick={onClose}>Cancel</button><button class="primary" disabled={action.busy || !chosen.length}>Create</button></div>
      </form>
    </Dialog>
  );
}
