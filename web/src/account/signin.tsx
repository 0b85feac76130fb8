import { useEffect, useState } from "preact/hooks";
import { ApiError, call } from "../api/client";
import { currentLogin, logIn, logInWith, register } from "../api/login";
import type { Login, ServerInfo } from "../api/types";
import { useAction } from "../ui/load";
import { Field, Problem } from "../ui/parts";
import { requestLink } from "./confirmation";
import { explain, leaveForProvider, type SignIn as Returned } from "./provider";

export type Mode = "login" | "register" | "forgot" | "setup" | "invite" | "reset" | "confirm" | "provider";

// linkOf returns the mode and the code in a link from the server or an administrator.
export function linkOf(hash: string): { mode: Mode; code: string } | undefined {
  const match = /^#(setup|invite|reset|confirm)=(.+)$/.exec(hash);
  return match ? { mode: match[1] as Mode, code: match[2] } : undefined;
}

const texts: Record<Mode, { title: string; lead?: string; button: string }> = {
  login: { title: "Sign in", button: "Sign in" },
  register: { title: "Create an account", button: "Create account" },
  forgot: { title: "Forgot your password?", lead: "If the address has an account, you get a link by mail. If no mail arrives, ask an administrator of the server for a link.", button: "Send a link" },
  setup: { title: "Create the first account", lead: "You will be the administrator of this server.", button: "Create account" },
  invite: { title: "Create an account", lead: "You have an invite to this server.", button: "Create account" },
  reset: { title: "Set a new password", button: "Set password" },
  confirm: { title: "Confirm your e-mail address", lead: "Confirm the address only if you have registered the account yourself.", button: "Confirm address" },
  provider: { title: "Sign in", button: "Sign in" },
};

interface Props {
  info: ServerInfo;
  link?: { mode: Mode; code: string };
  // returned is the sign-in at the OIDC provider from which the browser returns.
  returned?: Returned;
  // expired is true if the form covers the page of a user whose login has ended. email is
  // the address of this user.
  expired?: boolean;
  email?: string;
  onLogin: (login: Login) => void;
}

export function SignIn({ info, link, returned, expired, email: known = "", onLogin }: Props) {
  const provider = info.oidc?.name ?? "the provider";
  const [mode, setMode] = useState<Mode>(link?.mode ?? (returned?.signIn ? "provider" : "login"));
  const [email, setEmail] = useState(known);
  const [password, setPassword] = useState("");
  const [shown, setShown] = useState(false);
  // code is undefined until the server asks for a second factor.
  const [code, setCode] = useState<string>();
  const [note, setNote] = useState(expired ? "Your login has ended. Sign in again; your work on this page stays." : "");
  const action = useAction();
  const text = texts[mode];
  const Place = expired ? "div" : "main";
  const isNew = mode === "register" || mode === "setup" || mode === "invite" || mode === "reset";
  const hasPassword = mode !== "forgot" && mode !== "provider" && mode !== "confirm";
  const isUnconfirmed = mode === "login" && action.error instanceof ApiError && action.error.code === "email_unconfirmed";
  const open = (next: Mode) => {
    action.clear();
    setNote("");
    setCode(undefined);
    setMode(next);
  };
  const enter = async () => {
    try {
      onLogin(await (mode === "provider" ? logInWith(returned!.signIn!, returned!.verifier, code?.trim()) : logIn(email, password, code?.trim())));
    } catch (error) {
      const problem = error instanceof ApiError ? error.code : "";
      if (problem === "second_factor_required") return setCode("");
      // A sign-in at the provider remains valid after a wrong code. After any other
      // error, the user must begin a new sign-in.
      if (mode !== "provider" || problem === "invalid_second_factor") throw error;
      setMode("login");
      throw problem === "identity_not_linked" ? new Error(explain(problem, provider)) : error;
    }
  };
  useEffect(() => {
    if (mode === "provider") void action.run(enter);
    else if (returned?.error) void action.run(() => Promise.reject(new Error(explain(returned.error!, provider))));
  }, []);
  const submit = (e: Event) => {
    e.preventDefault();
    void action.run(async () => {
      if (mode === "forgot") {
        await call("POST", "/api/password/forgot", { email });
        setNote("If the address has an account, a mail is on its way.");
        setMode("login");
      } else if (mode === "reset") {
        await call("POST", "/api/password/reset", { token: link!.code, newPassword: password });
        setPassword("");
        setNote("The new password is set. Sign in with it.");
        setMode("login");
      } else if (mode === "confirm") {
        await call("POST", "/api/email/confirm", { token: link!.code });
        const login = await currentLogin();
        if (login) return onLogin(login);
        setNote("The address is confirmed. Sign in.");
        setMode("login");
      } else if (mode === "login" || mode === "provider") await enter();
      else onLogin(await register(email, password, mode === "register" ? undefined : link!.code));
    });
  };
  return (
    <Place class="signin">
      <form onSubmit={submit} aria-label={text.title}>
        <p class="brand"><img src="/page/icon.svg" alt="" width="32" height="32" /> Pyth-On</p>
        <h1>{text.title}</h1>
        {text.lead && <p class="dim">{text.lead}</p>}
        {note && <p class="notice" role="status">{note}</p>}
        {mode === "provider" && code === undefined && <p role="status">Signing in with {provider}…</p>}
        {mode !== "reset" && mode !== "confirm" && mode !== "provider" && (
          <Field label="E-mail">
            {(p) => <input {...p} type="email" name="email" required autocomplete="username" autoFocus value={email} onInput={(e) => setEmail(e.currentTarget.value)} />}
          </Field>
        )}
        {hasPassword && (
          <Field label={isNew ? "New password" : "Password"} hint={isNew ? "8 characters or more. A few random words are a good password." : undefined}>
            {(p) => (
              <span class="password">
                <input
                  {...p}
                  type={(shown ? "text" : "password") as "password"} name="password" required minLength={isNew ? 8 : 1} maxLength={128}
                  autocomplete={isNew ? "new-password" : "current-password"} value={password} onInput={(e) => setPassword(e.currentTarget.value)}
                />
                <button type="button" class="plain" aria-pressed={shown} onClick={() => setShown(!shown)}>{shown ? "Hide" : "Show"}</button>
              </span>
            )}
          </Field>
        )}
        {code !== undefined && (mode === "login" || mode === "provider") && (
          <Field label="Code" hint="The code of the app on your phone, or a recovery code.">
            {(p) => <input {...p} required maxLength={64} autocomplete="one-time-code" autoFocus value={code} onInput={(e) => setCode(e.currentTarget.value)} />}
          </Field>
        )}
        <Problem error={action.error} />
        {isUnconfirmed && (
          <button type="button" class="link" onClick={() => void action.run(async () => (await requestLink(email), setNote("A new link is on its way.")))}>Send a new link</button>
        )}
        <button class="primary wide" disabled={action.busy}>{action.busy ? "Please wait…" : text.button}</button>
        {info.oidc && (mode === "login" || mode === "register") && (
          <button type="button" class="wide" disabled={action.busy} onClick={() => void action.run(() => leaveForProvider(info.oidc!.path, false))}>Sign in with {provider}</button>
        )}
        <p class="links">
          {mode === "login" ? (
            <>
              <button type="button" class="link" onClick={() => open("register")}>Create an account</button>
              <button type="button" class="link" onClick={() => open("forgot")}>Forgot your password?</button>
            </>
          ) : (
            <button type="button" class="link" onClick={() => open("login")}>Sign in with an account</button>
          )}
        </p>
      </form>
      <p class="dim"><a href="/docs">Documentation</a></p>
    </Place>
  );
}
