import { Fragment } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { AccountPage } from "./account/page";
import { ConfirmationNotice } from "./account/confirmation";
import { returnedSignIn } from "./account/provider";
import { linkOf, SignIn } from "./account/signin";
import { announceSignIn, get, onRenewed, onSignedOut } from "./api/client";
import { currentLogin, forget, logOut } from "./api/login";
import type { Login, ServerInfo } from "./api/types";
import { KeysPage } from "./keys/page";
import { PackagesPage } from "./packages/page";
import { useRoute } from "./router";
import { RunPage } from "./run/page";
import { ComparePage } from "./runs/compare";
import { RunDetail } from "./runs/detail";
import { RunsPage } from "./runs/list";
import { SecretsPage } from "./secrets/page";
import { SessionsPage } from "./sessions/list";
import { Notebook } from "./sessions/notebook";
import { setTheme, theme, type Theme } from "./ui/theme";
import { returnFocus } from "./ui/focus";
import { lazy } from "./ui/lazy";
import { Empty, Loading, Problem } from "./ui/parts";
import { useScroll } from "./ui/scroll";

const AskPage = lazy(() => import("./ask/page").then((m) => m.AskPage));
const UsagePage = lazy(() => import("./usage/page").then((m) => m.UsagePage));
const AuditPage = lazy(() => import("./audit/page").then((m) => m.AuditPage));
const ReferencePage = lazy(() => import("./reference/page").then((m) => m.ReferencePage));
const UsersPage = lazy(() => import("./admin/users").then((m) => m.UsersPage));
const NowPage = lazy(() => import("./admin/now").then((m) => m.NowPage));
const SettingsPage = lazy(() => import("./admin/settings").then((m) => m.SettingsPage));
const BackupsPage = lazy(() => import("./admin/backups").then((m) => m.BackupsPage));
const EncryptedPage = lazy(() => import("./encrypted/page").then((m) => m.EncryptedPage));

type State = { kind: "loading" } | { kind: "failed"; error: Error } | { kind: "ready"; info: ServerInfo; login?: Login; expired: boolean };

// A code in the address opens a form. Remove it from the address, so that it does not
// stay in the history.
const firstLink = linkOf(location.hash);
const firstSignIn = returnedSignIn(location.hash);
if (firstLink) history.replaceState(null, "", "/");
else if (firstSignIn) history.replaceState(null, "", "/" + firstSignIn.hash);
else if (location.pathname !== "/") history.replaceState(null, "", "/" + location.hash);

export function App() {
  const [state, setState] = useState<State>({ kind: "loading" });
  const [link, setLink] = useState(firstLink);
  const [signIn, setSignIn] = useState(firstSignIn);
  const load = () => {
    setState({ kind: "loading" });
    Promise.all([get<ServerInfo>("/api"), link || (signIn && !signIn.links) ? undefined : currentLogin()]).then(
      ([info, login]) => setState({ kind: "ready", info, login, expired: false }),
      (error) => setState({ kind: "failed", error }),
    );
  };
  useEffect(load, []);
  useEffect(() => onSignedOut(() => setState((s) => (s.kind === "ready" && s.login ? { ...s, expired: true } : s))), []);
  if (state.kind === "loading") return <Loading />;
  if (state.kind === "failed")
    return (
      <main class="signin">
        <p class="brand"><img src="/page/icon.svg" alt="" width="32" height="32" /> Pyth-On</p>
        <h1 class="hidden">The page does not open</h1>
        <Problem error={state.error} retry={load} />
      </main>
    );
  const { info, login } = state;
  if (!login) {
    // A link works only once, so a later sign-in does not use the link.
    const enter = (login: Login) => (setLink(undefined), signIn?.links || setSignIn(undefined), setState({ ...state, login, expired: false }));
    return <SignIn info={info} link={link} returned={signIn?.links ? undefined : signIn} onLogin={enter} />;
  }
  const enterAgain = (next: Login) => {
    // If another user signs in, this user must not see what the previous user has
    // written.
    if (next.user.id !== login.user.id) sessionStorage.clear();
    setState({ ...state, login: next, expired: false });
    announceSignIn();
  };
  return (
    <>
      <Shell
        key={login.user.id} info={info} login={login} signIn={signIn} onSignInUsed={() => setSignIn(undefined)}
        onLogin={(login) => setState({ ...state, login, expired: false })} onLogOut={() => (forget(), setState({ ...state, login: undefined, expired: false }))}
      />
      {state.expired && <SignInAgain info={info} email={login.user.email} onLogin={enterAgain} />}
    </>
  );
}

// SignInAgain covers the page after the login has ended, so that all work on the page
// stays. It disappears when the user signs in, here or in another tab.
function SignInAgain({ info, email, onLogin }: { info: ServerInfo; email: string; onLogin: (login: Login) => void }) {
  const ref = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const before = document.activeElement;
    ref.current!.showModal();
    return () => returnFocus(before);
  }, []);
  useEffect(() => onRenewed(() => void currentLogin().then((login) => login && onLogin(login), () => {})), []);
  return (
    <dialog ref={ref} class="cover" aria-label="Sign in" onCancel={(e) => e.preventDefault()} onClose={(e) => e.currentTarget.showModal()}>
      <SignIn info={info} email={email} expired onLogin={onLogin} />
    </dialog>
  );
}

interface Entry {
  path: string;
  name: string;
  forAdmins?: boolean;
}

const entries: Entry[] = [
  { path: "run", name: "Run" },
  { path: "ask", name: "Ask" },
  { path: "runs", name: "Runs" },
  { path: "sessions", name: "Sessions" },
  { path: "packages", name: "Packages" },
  { path: "secrets", name: "Secrets" },
  { path: "encrypted", name: "Encrypted programs" },
  { path: "keys", name: "API keys" },
  { path: "usage", name: "Usage" },
  { path: "audit", name: "Audit log" },
  { path: "account", name: "Account" },
  { path: "api", name: "API" },
  { path: "users", name: "Users", forAdmins: true },
  { path: "now", name: "Now", forAdmins: true },
  { path: "settings", name: "Settings", forAdmins: true },
  { path: "backups", name: "Backups", forAdmins: true },
];

interface ShellProps {
  info: ServerInfo;
  login: Login;
  // signIn is a sign-in at the OIDC provider that the user wants to link to the account.
  signIn?: ReturnType<typeof returnedSignIn>;
  onSignInUsed: () => void;
  onLogin: (login: Login) => void;
  onLogOut: () => void;
}

function Shell({ info, login, signIn, onSignInUsed, onLogin, onLogOut }: ShellProps) {
  const route = useRoute();
  const { path } = route;
  const [open, setOpen] = useState(false);
  const place = path[0] ?? "run";
  const visible = entries.filter((e) => !e.forAdmins || login.role === "admin");
  const entry = visible.find((e) => e.path === (place === "compare" ? "runs" : place));
  useEffect(() => {
    document.title = `${entry?.name ?? "Not found"} – Pyth-On`;
    setOpen(false);
  }, [place]);
  // The pages Run and API change the address while the user stays on the page.
  useScroll(place === "run" || place === "api" ? place : path.join("/"));
  return (
    <div class="shell">
      <a class="skip" href="#content" onClick={(e) => (e.preventDefault(), document.getElementById("content")!.focus())}>Skip to the content</a>
      <header class={`side${open ? " open" : ""}`}>
        <p class="brand">
          <img src="/page/icon.svg" alt="" width="26" height="26" /> Pyth-On
          <button type="button" class="toggle" aria-expanded={open} aria-controls="navigation" onClick={() => setOpen(!open)}>Menu</button>
        </p>
        <div id="navigation" class="navigation">
          <nav aria-label="Pages">
            {visible.map((e) => (
              <Fragment key={e.path}>
                {e.path === "users" && <p class="group">Administration</p>}
                <a href={`#/${e.path}`} aria-current={e === entry ? "page" : undefined}>{e.name}</a>
              </Fragment>
            ))}
          </nav>
          <div class="foot">
            <a href="/docs" target="_blank" rel="noopener">Documentation</a>
            <ThemeChoice />
            <span class="user" title={login.user.email}>{login.user.email}</span>
            <SignOut onDone={onLogOut} />
          </div>
        </div>
      </header>
      <main id="content" tabIndex={-1}>
        {!login.user.emailConfirmed && <ConfirmationNotice login={login} onChange={onLogin} />}
        {place === "run" && <RunPage id={path[1]} starts={route.query.has("start")} info={info} />}
        {place === "runs" && (path[1] ? <RunDetail key={path[1]} id={path[1]} /> : <RunsPage route={route} info={info} />)}
        {place === "compare" && <ComparePage first={path[1]} second={path[2]} />}
        {place === "sessions" && (path[1] ? <Notebook key={path[1]} id={path[1]} /> : <SessionsPage info={info} />)}
        {place === "packages" && <PackagesPage info={info} route={route} />}
        {place === "secrets" && <SecretsPage />}
        {place === "ask" && <AskPage info={info} />}
        {place === "usage" && <UsagePage />}
        {place === "audit" && <AuditPage route={route} />}
        {place === "api" && <ReferencePage id={path[1]} route={route} />}
        {entry?.forAdmins && place === "users" && <UsersPage id={path[1]} route={route} login={login} />}
        {entry?.forAdmins && place === "now" && <NowPage />}
        {entry?.forAdmins && place === "settings" && <SettingsPage />}
        {entry?.forAdmins && place === "backups" && <BackupsPage />}
        {place === "encrypted" && <EncryptedPage name={path[1]} info={info} />}
        {place === "keys" && <KeysPage isAdmin={login.role === "admin"} />}
        {place === "account" && <AccountPage info={info} login={login} returned={signIn} onUsed={onSignInUsed} onChange={onLogin} onEnd={onLogOut} />}
        {!entry && <Empty title="This page does not exist" isPage><p>The address may be wrong, or the page may need an administrator.</p><a class="button primary" href="#/run">Run a program</a></Empty>}
      </main>
    </div>
  );
}

function SignOut({ onDone }: { onDone: () => void }) {
  const [error, setError] = useState<Error>();
  return (
    <>
      <button type="button" onClick={() => logOut().then(onDone, setError)}>Sign out</button>
      <Problem error={error} />
    </>
  );
}

function ThemeChoice() {
  const [value, setValue] = useState(theme);
  return (
    <label class="theme">
      <span>Colours</span>
      <select value={value} onChange={(e) => (setTheme(e.currentTarget.value as Theme), setValue(e.currentTarget.value as Theme))}>
        <option value="system">System</option>
        <option value="light">Light</option>
        <option value="dark">Dark</option>
      </select>
    </label>
  );
}
