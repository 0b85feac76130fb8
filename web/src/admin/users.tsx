import { useState } from "preact/hooks";
import { call } from "../api/client";
import type { Login } from "../api/types";
import { replace, type Route } from "../router";
import { useEntered } from "../ui/entered";
import { useList } from "../ui/list";
import { useAction } from "../ui/load";
import { Badge, Dialog, Empty, Field, Loading, Problem } from "../ui/parts";
import { Table } from "../ui/table";
import { Time } from "../ui/time";
import { Invites } from "./invites";
import { LinkDialog } from "./link";
import { usersPath, type ResetLink, type User } from "./types";
import { UserDetail } from "./user";

interface Props {
  // id selects one user instead of the list.
  id?: string;
  route: Route;
  login: Login;
}

export function UsersPage({ id, route, login }: Props) {
  return id ? <UserDetail key={id} id={id} login={login} /> : <List route={route} login={login} />;
}

export function UserState({ user }: { user: User }) {
  return (
    <>
      {user.disabled ? <Badge kind="bad">Disabled</Badge> : <Badge kind="good">Enabled</Badge>}
      {!user.emailConfirmed && <Badge kind="plain">E-mail not confirmed</Badge>}
    </>
  );
}

function List({ route, login }: Omit<Props, "id">) {
  const q = route.query.get("q") ?? "";
  const list = useList<User>(usersPath, "users", { q, limit: 50 });
  const [creates, setCreates] = useState(false);
  const [made, setMade] = useState<{ email: string; reset: ResetLink }>();
  const search = (value: string) => replace(value ? `#/users?q=${encodeURIComponent(value)}` : "#/users");
  const searched = useEntered(q, search);
  return (
    <div class="page">
      <header><h1>Users</h1><button type="button" class="primary" onClick={() => setCreates(true)}>Create a user</button></header>
      <div class="filters"><Field label="Search">{(p) => <input {...p} type="search" placeholder="part of the e-mail address" {...searched} />}</Field></div>
      <Problem error={list.error} retry={list.reload} />
      {!list.items && list.loading && <Loading />}
      {list.items?.length === 0 && <Empty title="No user matches"><button type="button" onClick={() => search("")}>Show all users</button></Empty>}
      {!!list.items?.length && (
        <Table
          label="Users" items={list.items} keyOf={(u) => u.id}
          columns={[
            { name: "E-mail", cell: (u) => <><a href={`#/users/${encodeURIComponent(u.id)}`} dir="auto">{u.email}</a>{u.id === login.user.id && <span class="dim"> you</span>}</> },
            { name: "Role", cell: (u) => (u.role === "admin" ? "Administrator" : "User") },
            { name: "State", cell: (u) => <UserState user={u} /> },
            { name: "Second factor", cell: (u) => (u.totpEnabledAt ? "yes" : "no") },
            { name: "Created", cell: (u) => <Time at={u.createdAt} /> },
          ]}
        />
      )}
      {list.hasMore && <button type="button" disabled={list.busy} onClick={() => void list.loadMore()}>Load more</button>}
      <Invites />
      {creates && <Create onClose={() => setCreates(false)} onMade={(user) => (setMade(user), list.reload())} />}
      {made && <LinkDialog title={`${made.email} has an account`} url={made.reset.url} expiresAt={made.reset.expiresAt} onClose={() => setMade(undefined)}>Send this link to the user, who sets a password with it.</LinkDialog>}
    </div>
  );
}

function Create({ onClose, onMade }: { onClose: () => void; onMade: (user: { email: string; reset: ResetLink }) => void }) {
  const [email, setEmail] = useState("");
  const [role, setRole] = useState("user");
  const action = useAction();
  return (
    <Dialog title="Create a user" onClose={onClose}>
      <form onSubmit={(e) => (e.preventDefault(), void action.run(async () => onMade(await call("POST", usersPath, { email, role }))).then((ok) => ok && onClose()))}>
        <Field label="E-mail">{(p) => <input {...p} type="email" required value={email} onInput={(e) => setEmail(e.currentTarget.value)} />}</Field>
        <Field label="Role">{(p) => <select {...p} value={role} onChange={(e) => setRole(e.currentTarget.value)}><option value="user">User</option><option value="admin">Administrator</option></select>}</Field>
        <Problem error={action.error} />
        <div class="actions"><button type="button" onClick={onClose}>Cancel</button><button class="primary" disabled={action.busy}>Create</button></div>
      </form>
    </Dialog>
  );
}
