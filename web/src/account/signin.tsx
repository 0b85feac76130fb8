import { useState } from "preact/hooks";
import { ApiError, call } from "../api/client";
import { currentLogin, logIn, register } from "../api/login";
import type { Login } from "../api/types";
import { useAction } from "../ui/load";
import { Field, Problem } from "../ui/parts";
import { requestLink } from "./confirmation";

export type Mode = "login" | "register" | "forgot" | "setup" | "invite" | "reset" | "confirm";

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
};

interface Props {
  link?: { mode: Mode; code: string };
  expired: boolean;
  onLogin: (login: Login) => void;
}

export function SignIn({ link, expired, onLogin }: Props) {
  const [mode, setMode] = useState<Mode>(link?.mode ?? "login");
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const [shown, setShown] = useState(false);
  // code is undefined until the server asks for a second factor.
  const [code, setCode] = useState<string>();
  const [note, setNote] = useState(expired ? "Your login has ended. Sign in again; your work on this page stays." : "");
  const action = useAction();
  const text = texts[mode];
  const isNew = mode !== "login" && mode !== "forgot";
  const isUnconfirmed = mode === "login" && action.error instanceof ApiError && action.error.code === "email_unconfirmed";
  const open = (next: Mode) => {
    action.clear();
    setNote("");
    setMode(next);
  };
  const enter = async () => {
    try {
      onLogin(await logIn(email, password, code?.trim()));
    } catch (error) {
      if (!(error instanceof ApiError && error.code === "second_factor_required")) throw error;
      setCode("");
    }
  };
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
      } else if (mode === "login") await enter();
      else onLogin(await register(email, password, mode === "register" ? undefined : link!.code));
    });
  };
  return (
    <main class="signin">
      <form onSubmit={submit} aria-label={text.title}>
        <p class="brand"><img src="/page/icon.svg" alt="" width="32" height="32" /> Pyth-On</p>
        <h1>{text.title}</h1>
        {text.lead && <p class="dim">{text.lead}</p>}
        {note && <p class="notice" role="status">{note}</p>}
        {mode !== "reset" && mode !== "confirm" && (
          <Field label="E-mail">
            {(p) => <input {...p} type="email" name="email" required autocomplete="username" autoFocus value={email} onInput={(e) => setEmail(e.currentTarget.value)} />}
          </Field>
        )}
        {mode !== "forgot" && mode !== "confirm" && (
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
        {mode === "login" && code !== undefined && (
          <Field label="Code" hint="The code of the app on your phone, or a recovery code.">
            {(p) => <input {...p} required maxLength={64} autocomplete="one-time-code" autoFocus value={code} onInput={(e) => setCode(e.currentTarget.value)} />}
          </Field>
        )}
        <Problem error={action.error} />
        {isUnconfirmed && (
          <button type="button" class="link" onClick={() => void action.run(async () => (await requestLink(email), setNote("A new link is on its way.")))}>Send a new link</button>
        )}
        <button class="primary wide" disabled={action.busy}>{action.busy ? "Please wait…" : text.button}</button>
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
    </main>
  );
}
