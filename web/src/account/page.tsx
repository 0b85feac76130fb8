import { useState } from "preact/hooks";
import { ApiError, call, get, send } from "../api/client";
import { forget, logIn } from "../api/login";
import type { Login, ServerInfo, User } from "../api/types";
import { useAction, useLoad } from "../ui/load";
import { Confirm, Field, Loading, Problem, save } from "../ui/parts";
import { Identities } from "./identities";
import type { SignIn } from "./provider";
import { SecondFactor } from "./secondfactor";
import { Time } from "../ui/time";

interface LoginInfo {
  id: string;
  createdAt: string;
  lastUsedAt: string;
  ip?: string;
  userAgent?: string;
  current: boolean;
}

interface Props {
  info: ServerInfo;
  login: Login;
  // returned is a sign-in at the OIDC provider that the user wants to link to the
  // account.
  returned?: SignIn;
  onUsed: () => void;
  onChange: (login: Login) => void;
  onEnd: () => void;
}

export function AccountPage({ info, login, returned, onUsed, onChange, onEnd }: Props) {
  return (
    <div class="page">
      <header><h1>Account</h1></header>
      <Logins />
      <Password login={login} onChange={onChange} />
      <SecondFactor />
      {info.oidc && <Identities provider={info.oidc} returned={returned} onUsed={onUsed} />}
      <Email login={login} onChange={onChange} />
      <Export />
      <Remove login={login} onEnd={onEnd} />
    </div>
  );
}

// Export downloads the data of the user. A plain link would fail after the token has
// expired, because only send renews the login.
function Export() {
  const action = useAction();
  const download = async () => save("pyth-on-export.zip", await (await send("GET", "/api/v1/me/export")).blob());
  return (
    <section class="card" aria-labelledby="export">
      <h2 id="export">Your data</h2>
      <p>A zip file with everything that the server stores for you, except the values of secrets.</p>
      <Problem error={action.error} />
      <p><button type="button" disabled={action.busy} onClick={() => void action.run(download)}>{action.busy ? "Please wait…" : "Download"}</button></p>
    </section>
  );
}

function Logins() {
  const list = useLoad((signal) => get<{ logins: LoginInfo[] }>("/api/v1/logins", signal), []);
  const end = useAction();
  const logins = list.data?.logins;
  return (
    <section class="card" aria-labelledby="logins">
      <h2 id="logins">Where you are signed in</h2>
      <Problem error={list.error ?? end.error} retry={list.reload} />
      {!logins && list.loading && <Loading />}
      <ul class="rows">
        {logins?.map((l) => (
          <li key={l.id}>
            <span class="grow"><strong>{browserOf(l.userAgent)}</strong> {l.ip && <span class="dim">from {l.ip}</span>}<br /><span class="dim">signed in <Time at={l.createdAt} />, last used <Time at={l.lastUsedAt} /></span></span>
            {l.current ? (
              <span class="badge good">this browser</span>
            ) : (
              <button type="button" class="small" aria-label={`End the login of ${browserOf(l.userAgent)}`} disabled={end.busy} onClick={() => void end.run(async () => (await call("DELETE", `/api/v1/logins/${l.id}`), list.reload()))}>End</button>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}

function browserOf(agent = ""): string {
  const browser = /Edg\//.test(agent) ? "Edge" : /Chrome\//.test(agent) ? "Chrome" : /Firefox\//.test(agent) ? "Firefox" : /Safari\//.test(agent) ? "Safari" : agent.split(/[ /]/)[0] || "Unknown program";
  const system = /Windows/.test(agent) ? "Windows" : /Android/.test(agent) ? "Android" : /iPhone|iPad/.test(agent) ? "iOS" : /Mac OS/.test(agent) ? "macOS" : /Linux/.test(agent) ? "Linux" : "";
  return system ? `${browser} on ${system}` : browser;
}

function Password({ login, onChange }: Pick<Props, "login" | "onChange">) {
  const [current, setCurrent] = useState("");
  const [next, setNext] = useState("");
  const [done, setDone] = useState(false);
  const action = useAction();
  const change = async () => {
    setDone(false);
    await call("PUT", "/api/password", { currentPassword: current, newPassword: next });
    // The change ends all logins, including this one. If the account has a second factor,
    // the page asks for a code when the token of this login expires.
    await logIn(login.user.email, next).then(onChange, (error) => {
      if (!(error instanceof ApiError && error.code === "second_factor_required")) throw error;
    });
    setCurrent("");
    setNext("");
    setDone(true);
  };
  return (
    <form class="card" aria-labelledby="password" onSubmit={(e) => (e.preventDefault(), void action.run(change))}>
      <h2 id="password">Password</h2>
      <p class="dim">A new password ends all your other logins.</p>
      <input type="text" name="username" autocomplete="username" class="hidden" tabIndex={-1} aria-hidden="true" readOnly value={login.user.email} />
      <div class="filters">
        <Field label="Current password">{(p) => <input {...p} type="password" required autocomplete="current-password" value={current} onInput={(e) => setCurrent(e.currentTarget.value)} />}</Field>
        <Field label="New password">{(p) => <input {...p} type="password" required minLength={8} maxLength={128} autocomplete="new-password" value={next} onInput={(e) => setNext(e.currentTarget.value)} />}</Field>
        <button class="align" disabled={action.busy}>Change password</button>
      </div>
      {done && <p class="notice" role="status">The password is changed.</p>}
      <Problem error={action.error} />
    </form>
  );
}

function Email({ login, onChange }: Pick<Props, "login" | "onChange">) {
  const [email, setEmail] = useState(login.user.email);
  const [password, setPassword] = useState("");
  const [done, setDone] = useState(false);
  const action = useAction();
  const change = async () => {
    setDone(false);
    onChange({ ...login, user: await call<User>("PATCH", "/api/v1/me", { email, currentPassword: password }) });
    setPassword("");
    setDone(true);
  };
  return (
    <form class="card" aria-labelledby="email" onSubmit={(e) => (e.preventDefault(), void action.run(change))}>
      <h2 id="email">E-mail address</h2>
      <div class="filters">
        <Field label="New address">{(p) => <input {...p} type="email" required value={email} onInput={(e) => setEmail(e.currentTarget.value)} />}</Field>
        <Field label="Password">{(p) => <input {...p} type="password" required autocomplete="current-password" value={password} onInput={(e) => setPassword(e.currentTarget.value)} />}</Field>
        <button class="align" disabled={action.busy || email === login.user.email}>Change address</button>
      </div>
      {done && <p class="notice" role="status">The address is changed.</p>}
      <Problem error={action.error} />
    </form>
  );
}

function Remove({ login, onEnd }: Pick<Props, "login" | "onEnd">) {
  const [asks, setAsks] = useState(false);
  const [password, setPassword] = useState("");
  const action = useAction();
  return (
    <section class="card" aria-labelledby="delete">
      <h2 id="delete">Delete the account</h2>
      <p>The server deletes your runs, secrets, packages, keys and encrypted programs. You cannot undo this.</p>
      <p><button type="button" class="danger" onClick={() => setAsks(true)}>Delete my account</button></p>
      {asks && (
        <Confirm
          title={`Delete the account ${login.user.email}?`} action="Delete my account" busy={action.busy || !password} error={action.error} onClose={() => (action.clear(), setAsks(false))}
          onYes={() => void action.run(async () => (await call("DELETE", "/api/v1/me", { currentPassword: password }), forget(), onEnd()))}
        >
          <Field label="Your password">{(p) => <input {...p} type="password" autocomplete="current-password" value={password} onInput={(e) => setPassword(e.currentTarget.value)} />}</Field>
        </Confirm>
      )}
    </section>
  );
}
