import { useState } from "preact/hooks";
import { call, get } from "../api/client";
import type { Login } from "../api/types";
import { go } from "../router";
import { dateTime } from "../ui/format";
import { useAction, useLoad } from "../ui/load";
import { Confirm, Field, Pending, Problem } from "../ui/parts";
import { LinkDialog } from "./link";
import { Limits } from "./limits";
import { usersPath, type ResetLink, type User } from "./types";
import { UserState } from "./users";

// dangers contains the actions that the user must confirm before they run.
const dangers = {
  disable: { title: "Disable", text: "All requests of this user fail. The logins, runs and sessions of the user end.", method: "PATCH", path: "", body: { disabled: true } },
  logins: { title: "End all logins", text: "The user must sign in again. API keys stay valid.", method: "DELETE", path: "/logins", body: undefined },
  keys: { title: "Delete all API keys", text: "All programs that use these keys fail at once.", method: "DELETE", path: "/keys", body: undefined },
  totp: { title: "Remove the second factor", text: "The password alone is then enough to sign in. Make sure that the request comes from the user.", method: "DELETE", path: "/totp", body: undefined },
  delete: { title: "Delete the account", text: "The server deletes the account with all its runs, secrets, packages, keys and encrypted programs. You cannot undo this.", method: "DELETE", path: "", body: undefined },
} as const;

type Danger = keyof typeof dangers;

export function UserDetail({ id, login }: { id: string; login: Login }) {
  const path = `${usersPath}/${encodeURIComponent(id)}`;
  const record = useLoad((signal) => get<User>(path, signal), [path]);
  const [asks, setAsks] = useState<Danger>();
  const [link, setLink] = useState<ResetLink>();
  const change = useAction();
  const danger = useAction();
  const user = record.data;
  if (!user) return <Pending title="User" error={record.error} retry={record.reload} />;
  const patch = (body: object) => void change.run(async () => (await call("PATCH", path, body), record.reload()));
  const confirm = async (name: Danger, isAwaited: () => boolean) => {
    const d = dangers[name];
    await call(d.method, path + d.path, d.body);
    if (isAwaited()) setAsks(undefined);
    if (name !== "delete") record.reload();
    else if (isAwaited()) go("#/users");
  };
  const isSelf = user.id === login.user.id;
  return (
    <div class="page">
      <header><h1 dir="auto">{user.email}</h1><a href="#/users">All users</a></header>
      <p class="facts"><UserState user={user} /><span>created {dateTime(user.createdAt)}</span><code>{user.id}</code>{isSelf && <span>This is your account.</span>}</p>
      <Problem error={change.error} />
      <section class="card" aria-labelledby="access">
        <h2 id="access">Access</h2>
        <div class="filters">
          <Field label="Role" hint="Administrators manage the server and its users.">
            {(p) => <select {...p} value={user.role} disabled={change.busy} onChange={(e) => patch({ role: e.currentTarget.value })}><option value="user">User</option><option value="admin">Administrator</option></select>}
          </Field>
        </div>
        <div class="bar">
          {user.disabled ? <button type="button" disabled={change.busy} onClick={() => patch({ disabled: false })}>Enable</button> : <button type="button" class="danger" onClick={() => setAsks("disable")}>Disable</button>}
          <button type="button" disabled={change.busy} onClick={() => void change.run(async () => setLink(await call("POST", `${path}/reset-link`)))}>Make a link for a new password</button>
          {!user.emailConfirmed && <button type="button" disabled={change.busy} onClick={() => patch({ emailConfirmed: true })}>Confirm the e-mail address</button>}
          <button type="button" onClick={() => setAsks("logins")}>End all logins</button>
          <button type="button" onClick={() => setAsks("keys")}>Delete all API keys</button>
          {user.totpEnabledAt && <button type="button" onClick={() => setAsks("totp")}>Remove the second factor</button>}
        </div>
      </section>
      <Limits key={JSON.stringify(user.quotas)} quotas={user.quotas} onSave={async (quotas) => (await call("PATCH", path, { quotas }), record.reload())} />
      <section class="card" aria-labelledby="delete">
        <h2 id="delete">Delete</h2>
        <p>{dangers.delete.text}</p>
        <p><button type="button" class="danger" onClick={() => setAsks("delete")}>Delete the account</button></p>
      </section>
      {link && <LinkDialog title="A link for a new password" url={link.url} expiresAt={link.expiresAt} onClose={() => setLink(undefined)}>Send this link only to the user. It works once.</LinkDialog>}
      {asks && (
        <Confirm title={`${dangers[asks].title}: ${user.email}?`} action={dangers[asks].title} busy={danger.busy} error={danger.error} onClose={() => (danger.clear(), setAsks(undefined))} onYes={() => void danger.run((isAwaited) => confirm(asks, isAwaited))}>
          <p>{dangers[asks].text}</p>
          {isSelf && <p class="notice warn">This is your own account.</p>}
        </Confirm>
      )}
    </div>
  );
}
