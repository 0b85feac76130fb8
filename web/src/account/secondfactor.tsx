import { useState } from "preact/hooks";
import { call, get } from "../api/client";
import { dateTime } from "../ui/format";
import { useAction, useLoad } from "../ui/load";
import { Copy, Dialog, Field, Loading, Problem } from "../ui/parts";

interface State {
  enabled: boolean;
  enabledAt?: string;
  recoveryCodesLeft: number;
}

const path = "/api/v1/me/totp";

// SecondFactor sets up and removes the second factor of the account.
export function SecondFactor() {
  const state = useLoad((signal) => get<State>(path, signal), []);
  const [open, setOpen] = useState<"add" | "codes" | "remove">();
  const close = () => (setOpen(undefined), state.reload());
  const s = state.data;
  return (
    <section class="card" aria-labelledby="second-factor">
      <h2 id="second-factor">Second factor</h2>
      <Problem error={state.error} retry={state.reload} />
      {!s && state.loading && <Loading />}
      {s && !s.enabled && (
        <>
          <p>With a second factor, nobody can sign in with your password alone. You need an app on your phone that shows codes (TOTP).</p>
          <p><button type="button" onClick={() => setOpen("add")}>Set up a second factor</button></p>
        </>
      )}
      {s?.enabled && (
        <>
          <p>Enabled{s.enabledAt && ` since ${dateTime(s.enabledAt)}`}. You have {s.recoveryCodesLeft} recovery codes.</p>
          <div class="bar">
            <button type="button" onClick={() => setOpen("codes")}>New recovery codes</button>
            <button type="button" class="danger" onClick={() => setOpen("remove")}>Remove the second factor</button>
          </div>
        </>
      )}
      {open === "add" && <Add onClose={close} />}
      {(open === "codes" || open === "remove") && <Prove removes={open === "remove"} onClose={close} />}
    </section>
  );
}

function Add({ onClose }: { onClose: () => void }) {
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const [made, setMade] = useState<{ secret: string; qrCode: string }>();
  const [codes, setCodes] = useState<string[]>();
  const action = useAction();
  if (codes) return <Codes codes={codes} onClose={onClose} />;
  const submit = async () => {
    if (!made) setMade(await call("POST", path, { currentPassword: password }));
    else setCodes((await call<{ recoveryCodes: string[] }>("POST", path + "/verify", { code: code.trim() })).recoveryCodes);
  };
  return (
    <Dialog title="Set up a second factor" onClose={onClose}>
      <form onSubmit={(e) => (e.preventDefault(), void action.run(submit))}>
        {!made ? (
          <Field label="Your password">{(p) => <input {...p} type="password" required autocomplete="current-password" value={password} onInput={(e) => setPassword(e.currentTarget.value)} />}</Field>
        ) : (
          <>
            <p>Scan the image with the app, or type the secret into the app.</p>
            <p class="picture"><img alt="The secret as a QR code" width="200" height="200" src={`data:image/png;base64,${made.qrCode}`} /></p>
            <p class="secret"><code>{made.secret}</code></p>
            <Field label="Code" hint="The code that the app shows now.">{(p) => <input {...p} required inputMode="numeric" autocomplete="one-time-code" value={code} onInput={(e) => setCode(e.currentTarget.value)} />}</Field>
          </>
        )}
        <Problem error={action.error} />
        <div class="actions"><button type="button" onClick={onClose}>Cancel</button><button class="primary" disabled={action.busy}>{made ? "Enable" : "Continue"}</button></div>
      </form>
    </Dialog>
  );
}

// Prove asks for the password and a code, and then removes the second factor or makes new
// recovery codes.
function Prove({ removes, onClose }: { removes: boolean; onClose: () => void }) {
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const [codes, setCodes] = useState<string[]>();
  const action = useAction();
  if (codes) return <Codes codes={codes} onClose={onClose} />;
  const submit = async (isAwaited: () => boolean) => {
    const proof = { currentPassword: password, code: code.trim() };
    if (!removes) setCodes((await call<{ recoveryCodes: string[] }>("POST", path + "/recovery-codes", proof)).recoveryCodes);
    else {
      await call("DELETE", path, proof);
      if (isAwaited()) onClose();
    }
  };
  return (
    <Dialog title={removes ? "Remove the second factor?" : "Make new recovery codes?"} onClose={onClose}>
      <form onSubmit={(e) => (e.preventDefault(), void action.run(submit))}>
        <p>{removes ? "Your password alone will be enough to sign in." : "The earlier codes become invalid."}</p>
        <Field label="Your password">{(p) => <input {...p} type="password" required autocomplete="current-password" value={password} onInput={(e) => setPassword(e.currentTarget.value)} />}</Field>
        <Field label="Code" hint="The code of the app, or a recovery code.">{(p) => <input {...p} required autocomplete="one-time-code" value={code} onInput={(e) => setCode(e.currentTarget.value)} />}</Field>
        <Problem error={action.error} />
        <div class="actions"><button type="button" onClick={onClose}>Cancel</button><button class={removes ? "danger" : "primary"} disabled={action.busy}>{removes ? "Remove" : "Make codes"}</button></div>
      </form>
    </Dialog>
  );
}

function Codes({ codes, onClose }: { codes: string[]; onClose: () => void }) {
  const text = codes.join("\n");
  return (
    <Dialog title="Your recovery codes" onClose={onClose}>
      <p>Store these codes. Each replaces a code of the app once. The page does not show them again.</p>
      <pre class="secret" tabIndex={0}>{text}</pre>
      <div class="actions"><Copy text={text} label="Copy the codes" /><button type="button" class="primary" onClick={onClose}>Done</button></div>
    </Dialog>
  );
}
