import { useState } from "preact/hooks";
import { call, get } from "../api/client";
import type { ServerInfo } from "../api/types";
import { useAction, useLoad } from "../ui/load";
import { Confirm, Dialog, Field, Loading, Problem } from "../ui/parts";
import { Time } from "../ui/time";
import { explain, leaveForProvider, type SignIn } from "./provider";

interface Identity {
  id: string;
  issuer: string;
  subject: string;
  email?: string;
  createdAt: string;
  lastUsedAt?: string;
}

const path = "/api/v1/me/identities";

interface Props {
  provider: NonNullable<ServerInfo["oidc"]>;
  // returned is the sign-in that the user began on this page, to link an identity to the
  // account.
  returned?: SignIn;
  onUsed: () => void;
}

// Identities lists the persons at the OIDC provider who can sign in to the account.
export function Identities({ provider, returned, onUsed }: Props) {
  const list = useLoad((signal) => get<{ identities: Identity[] }>(path, signal), []);
  const [removed, setRemoved] = useState<Identity>();
  const leave = useAction();
  const remove = useAction();
  const identities = list.data?.identities;
  return (
    <section class="card" aria-labelledby="identities">
      <h2 id="identities">Sign-in with {provider.name}</h2>
      <Problem error={list.error ?? leave.error} retry={list.reload} />
      {returned?.error && <Problem error={new Error(explain(returned.error, provider.name))} />}
      {!identities && list.loading && <Loading />}
      {identities?.length === 0 && <p>You sign in with your password. You can also link {provider.name}, and then sign in there.</p>}
      <ul class="rows">
        {identities?.map((i) => (
          <li key={i.id}>
            <span class="grow"><strong>{i.email ?? i.subject}</strong><br /><span class="dim">linked <Time at={i.createdAt} />{i.lastUsedAt && <>, last used <Time at={i.lastUsedAt} /></>}</span></span>
            <button type="button" class="small" aria-label={`Unlink ${i.email ?? i.subject}`} onClick={() => setRemoved(i)}>Unlink</button>
          </li>
        ))}
      </ul>
      <p><button type="button" disabled={leave.busy} onClick={() => void leave.run(() => leaveForProvider(provider.path, true))}>Link {provider.name}</button></p>
      {returned?.signIn && <Link signIn={returned.signIn} verifier={returned.verifier} name={provider.name} onClose={onUsed} onDone={() => (onUsed(), list.reload())} />}
      {removed && (
        <Confirm
          title={`Unlink ${removed.email ?? removed.subject}?`} action="Unlink" busy={remove.busy} error={remove.error} onClose={() => (remove.clear(), setRemoved(undefined))}
          onYes={() => void remove.run(async (isAwaited) => (await call("DELETE", `${path}/${removed.id}`), isAwaited() && setRemoved(undefined), list.reload()))}
        >
          <p>You can then no longer sign in with {provider.name}. If you do not know the password of your account, ask for a link to set a new one first.</p>
        </Confirm>
      )}
    </section>
  );
}

function Link({ signIn, verifier, name, onClose, onDone }: { signIn: string; verifier: string; name: string; onClose: () => void; onDone: () => void }) {
  const [currentPassword, setPassword] = useState("");
  const action = useAction();
  return (
    <Dialog title={`Link ${name} to your account?`} onClose={onClose}>
      <form onSubmit={(e) => (e.preventDefault(), void action.run(() => call("POST", path, { currentPassword, signIn, verifier })).then((ok) => ok && onDone()))}>
        <p>The person who signed in at {name} just now can then sign in to this account without its password.</p>
        <Field label="Your password">{(p) => <input {...p} type="password" required autocomplete="current-password" value={currentPassword} onInput={(e) => setPassword(e.currentTarget.value)} />}</Field>
        <Problem error={action.error} />
        <div class="actions"><button type="button" onClick={onClose}>Cancel</button><button class="primary" disabled={action.busy}>Link</button></div>
      </form>
    </Dialog>
  );
}
