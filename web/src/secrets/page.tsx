import { useState } from "preact/hooks";
import { call, get } from "../api/client";
import type { Secret } from "../api/types";
import { useAction, useLoad } from "../ui/load";
import { Confirm, Dialog, Empty, Field, Loading, Problem } from "../ui/parts";
import { Table } from "../ui/table";
import { Time } from "../ui/time";

const path = (name: string) => `/api/v1/secrets/${encodeURIComponent(name)}`;

export function SecretsPage() {
  const list = useLoad((signal) => get<{ secrets: Secret[] }>("/api/v1/secrets", signal), []);
  const [edited, setEdited] = useState<Secret | "new">();
  const [removed, setRemoved] = useState<Secret>();
  const remove = useAction();
  const secrets = list.data?.secrets;
  return (
    <div class="page">
      <header><h1>Secrets</h1><button type="button" class="primary" onClick={() => setEdited("new")}>Add a secret</button></header>
      <p class="dim">Programs get secrets as environment variables. The server encrypts the values, replaces them in output, and never shows them again.</p>
      <Problem error={list.error} retry={list.reload} />
      {!secrets && list.loading && <Loading />}
      {secrets?.length === 0 && <Empty title="No secrets yet"><p>Add a token or a password that your programs need.</p></Empty>}
      {!!secrets?.length && (
        <Table
          label="Secrets" items={secrets} keyOf={(s) => s.name}
          columns={[
            { name: "Name", cell: (s) => <code>{s.name}</code> },
            { name: "Description", cell: (s) => s.description },
            { name: "Changed", cell: (s) => <Time at={s.updatedAt} /> },
            { name: "Last used", cell: (s) => (s.lastUsedAt ? <Time at={s.lastUsedAt} /> : "never") },
            {
              name: "Actions", isHidden: true, kind: "row-actions",
              cell: (s) => (
                <>
                  <button type="button" class="small" aria-label={`Replace ${s.name}`} onClick={() => setEdited(s)}>Replace</button>
                  <button type="button" class="small" aria-label={`Delete ${s.name}`} onClick={() => setRemoved(s)}>Delete</button>
                </>
              ),
            },
          ]}
        />
      )}
      {edited && <Edit secret={edited === "new" ? undefined : edited} onClose={() => setEdited(undefined)} onStored={list.reload} />}
      {removed && (
        <Confirm
          title={`Delete ${removed.name}?`} action="Delete" busy={remove.busy} error={remove.error} onClose={() => (remove.clear(), setRemoved(undefined))}
          onYes={() => void remove.run(async (isAwaited) => (await call("DELETE", path(removed.name)), isAwaited() && setRemoved(undefined), list.reload()))}
        >
          <p>Later runs do not get this secret. The value is lost.</p>
        </Confirm>
      )}
    </div>
  );
}

function Edit({ secret, onClose, onStored }: { secret?: Secret; onClose: () => void; onStored: () => void }) {
  const [name, setName] = useState(secret?.name ?? "");
  const [value, setValue] = useState("");
  const [description, setDescription] = useState(secret?.description ?? "");
  const action = useAction();
  return (
    <Dialog title={secret ? `Replace ${secret.name}` : "Add a secret"} onClose={onClose}>
      <form
        onSubmit={(e) => {
          e.preventDefault();
          void action.run(async () => (await call("PUT", path(name.trim()), { value, ...(description && { description }) }), onStored())).then((ok) => ok && onClose());
        }}
      >
        {!secret && (
          <Field label="Name" hint="Letters, digits and underscores. The program reads it as an environment variable.">
            {(p) => <input {...p} required pattern="[A-Za-z_][A-Za-z0-9_]*" maxLength={128} value={name} autocomplete="off" spellcheck={false} onInput={(e) => setName(e.currentTarget.value)} />}
          </Field>
        )}
        <Field label="Value">{(p) => <textarea {...p} class="concealed" required rows={3} value={value} autocomplete="off" spellcheck={false} onInput={(e) => setValue(e.currentTarget.value)} />}</Field>
        <Field label="Description">{(p) => <input {...p} value={description} maxLength={1000} onInput={(e) => setDescription(e.currentTarget.value)} />}</Field>
        <Problem error={action.error} />
        <div class="actions"><button type="button" onClick={onClose}>Cancel</button><button class="primary" disabled={action.busy}>Save</button></div>
      </form>
    </Dialog>
  );
}
