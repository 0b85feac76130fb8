import { useState } from "preact/hooks";
import { call, get } from "../api/client";
import type { ServerInfo } from "../api/types";
import { languageName } from "../run/page";
import { bytes } from "../ui/format";
import { useAction, useLoad } from "../ui/load";
import { Confirm, Empty, Loading, Problem } from "../ui/parts";
import { Table } from "../ui/table";
import { Time } from "../ui/time";
import { codePath, Edit, type Program } from "./edit";
import { useEvidence, type Evidence } from "./evidence";
import { Requests } from "./requests";
import { RunEncrypted } from "./run";

interface Metadata {
  name: string;
  language: string;
  sizeBytes: number;
  createdAt: string;
  updatedAt: string;
  lastExecutedAt?: string;
}

// EncryptedPage shows the list of programs, or one program to run.
export function EncryptedPage({ name, info }: { name?: string; info: ServerInfo }) {
  const evidence = useEvidence();
  return (
    <div class="page">
      {!crypto.subtle && <p class="notice warn">The browser encrypts only over HTTPS, or on the machine of the server. Open this page with HTTPS.</p>}
      {name ? <RunEncrypted key={name} name={name} info={info} evidence={evidence} /> : <List info={info} evidence={evidence} />}
      <Requests evidence={evidence} />
    </div>
  );
}

function List({ info, evidence }: { info: ServerInfo; evidence: Evidence }) {
  const list = useLoad((signal) => get<{ code: Metadata[] }>("/api/v1/zk/code", signal), []);
  const [edited, setEdited] = useState<Program | "new">();
  const [removed, setRemoved] = useState<Metadata>();
  const remove = useAction();
  const programs = list.data?.code;
  if (edited) return <Edit program={edited === "new" ? undefined : edited} info={info} evidence={evidence} onClose={() => setEdited(undefined)} onDone={() => (setEdited(undefined), list.reload())} />;
  return (
    <>
      <header><h1>Encrypted programs</h1><button type="button" class="primary" disabled={!crypto.subtle} onClick={() => setEdited("new")}>Encrypt a program</button></header>
      <p class="dim">The browser encrypts the program with a password before it sends the program. The server stores only the encrypted program. The password goes sealed to a new sandbox, which decrypts the program and runs it. The server can read the input and the output of the run.</p>
      <Problem error={list.error} retry={list.reload} />
      {!programs && list.loading && <Loading />}
      {programs?.length === 0 && <Empty title="No encrypted programs yet"><p>Encrypt a program that nobody with access to the disk or the backups may read.</p></Empty>}
      {!!programs?.length && (
        <Table
          label="Encrypted programs" items={programs} keyOf={(p) => p.name}
          columns={[
            { name: "Name", cell: (p) => <a href={`#/encrypted/${encodeURIComponent(p.name)}`}>{p.name}</a> },
            { name: "Language", cell: (p) => languageName(p.language) },
            { name: "Size", kind: "number", cell: (p) => bytes(p.sizeBytes) },
            { name: "Changed", cell: (p) => <Time at={p.updatedAt} /> },
            { name: "Last run", cell: (p) => (p.lastExecutedAt ? <Time at={p.lastExecutedAt} /> : "never") },
            {
              name: "Actions", isHidden: true, kind: "row-actions",
              cell: (p) => (
                <>
                  <a class="button small" aria-label={`Run ${p.name}`} href={`#/encrypted/${encodeURIComponent(p.name)}`}>Run</a>
                  <button type="button" class="small" aria-label={`Change ${p.name}`} onClick={() => setEdited({ name: p.name, language: p.language })}>Change</button>
                  <button type="button" class="small" aria-label={`Delete ${p.name}`} onClick={() => setRemoved(p)}>Delete</button>
                </>
              ),
            },
          ]}
        />
      )}
      {removed && (
        <Confirm
          title={`Delete ${removed.name}?`} action="Delete" busy={remove.busy} error={remove.error} onClose={() => (remove.clear(), setRemoved(undefined))}
          onYes={() => void remove.run(async (isAwaited) => (await call("DELETE", codePath(removed.name)), isAwaited() && setRemoved(undefined), list.reload()))}
        >
          <p>The program is lost.</p>
        </Confirm>
      )}
    </>
  );
}
