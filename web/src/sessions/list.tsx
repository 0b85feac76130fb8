import { useState } from "preact/hooks";
import { call } from "../api/client";
import type { ServerInfo } from "../api/types";
import { go } from "../router";
import { words } from "../run/model";
import { languageName } from "../run/page";
import { useList } from "../ui/list";
import { useAction } from "../ui/load";
import { Badge, Confirm, Dialog, Empty, Field, Loading, Problem } from "../ui/parts";
import { Table } from "../ui/table";
import { Time } from "../ui/time";
import { clearCells } from "./cells";

export interface Session {
  id: string;
  language: string;
  createdAt: string;
  expiresAt: string;
  idleTimeoutMs: number;
  executions: number;
  running: boolean;
}

export function SessionsPage({ info }: { info: ServerInfo }) {
  const list = useList<Session>("/api/v1/sessions", "sessions");
  const [creates, setCreates] = useState(false);
  const [closed, setClosed] = useState<Session>();
  const close = useAction();
  return (
    <div class="page">
      <header><h1>Sessions</h1><button type="button" class="primary" onClick={() => setCreates(true)}>Open a session</button></header>
      <p class="dim">A session keeps its variables and files between runs, as a notebook does.</p>
      <Problem error={list.error} retry={list.reload} />
      {!list.items && list.loading && <Loading />}
      {list.items?.length === 0 && <Empty title="No open sessions"><p>Open one to work step by step.</p></Empty>}
      {!!list.items?.length && (
        <Table
          label="Sessions" items={list.items} keyOf={(s) => s.id}
          columns={[
            { name: "Session", cell: (s) => <><a href={`#/sessions/${s.id}`}>{languageName(s.language)}</a> <span class="dim">{s.id.slice(0, 8)}</span></> },
            { name: "State", cell: (s) => (s.running ? <Badge kind="busy">Running</Badge> : <Badge kind="plain">Idle</Badge>) },
            { name: "Runs", kind: "number", cell: (s) => s.executions },
            { name: "Opened", cell: (s) => <Time at={s.createdAt} /> },
            { name: "Ends, if unused", cell: (s) => <Time at={s.expiresAt} /> },
            {
              name: "Actions", isHidden: true, kind: "row-actions",
              cell: (s) => <button type="button" class="small" aria-label={`Close the session ${s.id}`} onClick={() => setClosed(s)}>Close</button>,
            },
          ]}
        />
      )}
      {list.hasMore && <button type="button" disabled={list.busy} onClick={() => void list.loadMore()}>Load more</button>}
      {creates && <Create info={info} onClose={() => setCreates(false)} onOpened={list.reload} />}
      {closed && (
        <Confirm
          title="Close this session?" action="Close" busy={close.busy} error={close.error} onClose={() => (close.clear(), setClosed(undefined))}
          onYes={() => void close.run(async (isAwaited) => (await call("DELETE", `/api/v1/sessions/${closed.id}`), clearCells(closed.id), isAwaited() && setClosed(undefined), list.reload()))}
        >
          <p>Its variables and files are deleted.</p>
        </Confirm>
      )}
    </div>
  );
}

// Create opens a session, and shows it unless the user has closed the dialog.
function Create({ info, onClose, onOpened }: { info: ServerInfo; onClose: () => void; onOpened: () => void }) {
  const [language, setLanguage] = useState(info.languages[0].name);
  const [minutes, setMinutes] = useState("60");
  const [network, setNetwork] = useState("");
  const action = useAction();
  const create = async (isAwaited: () => boolean) => {
    const allow = words(network);
    const s = await call<Session>("POST", "/api/v1/sessions", { language, idleTimeoutMs: Number(minutes) * 60_000, ...(allow.length && { network: { allow } }) });
    if (isAwaited()) go(`#/sessions/${s.id}`);
    else onOpened();
  };
  return (
    <Dialog title="Open a session" onClose={onClose}>
      <form onSubmit={(e) => (e.preventDefault(), void action.run(create))}>
        <Field label="Language">{(p) => <select {...p} value={language} onChange={(e) => setLanguage(e.currentTarget.value)}>{info.languages.map((l) => <option key={l.name} value={l.name}>{languageName(l.name)} {l.version}</option>)}</select>}</Field>
        <Field label="Ends, if unused for">
          {(p) => <select {...p} value={minutes} onChange={(e) => setMinutes(e.currentTarget.value)}><option value="10">10 minutes</option><option value="60">1 hour</option><option value="480">8 hours</option><option value="1440">24 hours</option></select>}
        </Field>
        <Field label="Network" hint="Hosts that its programs may reach. Empty: no network.">{(p) => <input {...p} value={network} spellcheck={false} onInput={(e) => setNetwork(e.currentTarget.value)} />}</Field>
        <Problem error={action.error} />
        <div class="actions"><button type="button" onClick={onClose}>Cancel</button><button class="primary" disabled={action.busy}>{action.busy ? "Opening…" : "Open"}</button></div>
      </form>
    </Dialog>
  );
}
