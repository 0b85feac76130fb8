import { useState } from "preact/hooks";
import { call } from "../api/client";
import { useList } from "../ui/list";
import { useAction } from "../ui/load";
import { Dialog, Field, Problem } from "../ui/parts";
import { Time } from "../ui/time";
import { LinkDialog } from "./link";

interface Invite {
  id: string;
  email?: string;
  createdAt: string;
  expiresAt: string;
}

const path = "/api/v1/admin/invites";

export function Invites() {
  const list = useList<Invite>(path, "invites");
  const [creates, setCreates] = useState(false);
  const [made, setMade] = useState<{ url: string; expiresAt: string }>();
  const remove = useAction();
  return (
    <section class="card" aria-labelledby="invites">
      <h2 id="invites">Invites</h2>
      <p class="dim">With an invite, a person can create an account even if the registration is not open.</p>
      <Problem error={list.error ?? remove.error} retry={list.reload} />
      <ul class="rows">
        {list.items?.map((i) => (
          <li key={i.id}>
            <span class="grow">{i.email ?? "for everyone with the link"} <span class="dim">created <Time at={i.createdAt} />, expires <Time at={i.expiresAt} /></span></span>
            <button type="button" class="small" aria-label={`Delete the invite ${i.email ?? i.id}`} disabled={remove.busy} onClick={() => void remove.run(async () => (await call("DELETE", `${path}/${i.id}`), list.reload()))}>Delete</button>
          </li>
        ))}
      </ul>
      {list.hasMore && <button type="button" disabled={list.busy} onClick={() => void list.loadMore()}>Load more</button>}
      <p><button type="button" onClick={() => setCreates(true)}>Invite a person</button></p>
      {creates && <Create onClose={() => setCreates(false)} onMade={(invite) => (setMade(invite), list.reload())} />}
      {made && <LinkDialog title="The invite" url={made.url} expiresAt={made.expiresAt} onClose={() => setMade(undefined)}>Send this link to the person. It works once.</LinkDialog>}
    </section>
  );
}

function Create({ onClose, onMade }: { onClose: () => void; onMade: (invite: { url: string; expiresAt: string }) => void }) {
  const [email, setEmail] = useState("");
  const [days, setDays] = useState("7");
  const action = useAction();
  const create = async () => onMade(await call("POST", path, { ...(email && { email }), expiresInMs: Number(days) * 86_400_000 }));
  return (
    <Dialog title="Invite a person" onClose={onClose}>
      <form onSubmit={(e) => (e.preventDefault(), void action.run(create).then((ok) => ok && onClose()))}>
        <Field label="E-mail" hint="Only this address can use the invite. Empty: every address.">{(p) => <input {...p} type="email" value={email} onInput={(e) => setEmail(e.currentTarget.value)} />}</Field>
        <Field label="Expires">{(p) => <select {...p} value={days} onChange={(e) => setDays(e.currentTarget.value)}><option value="1">in a day</option><option value="7">in 7 days</option><option value="30">in 30 days</option></select>}</Field>
        <Problem error={action.error} />
        <div class="actions"><button type="button" onClick={onClose}>Cancel</button><button class="primary" disabled={action.busy}>Create the link</button></div>
      </form>
    </Dialog>
  );
}
