import { useState } from "preact/hooks";
import { call, get } from "../api/client";
import type { Login } from "../api/types";
import { useAction } from "../ui/load";
import { Problem } from "../ui/parts";

// requestLink asks the server to mail a new link to the address.
export function requestLink(email: string): Promise<void> {
  return call("POST", "/api/email/resend", { email });
}

// ConfirmationNotice tells users that they must confirm their address. The user can open
// the link on another device, so the notice also checks the state again.
export function ConfirmationNotice({ login, onChange }: { login: Login; onChange: (login: Login) => void }) {
  const [sent, setSent] = useState(false);
  const action = useAction();
  const send = async () => {
    await requestLink(login.user.email);
    setSent(true);
  };
  return (
    <div class="notice warn" role="status">
      <span>
        {sent ? `A new link is on its way to ${login.user.email}.` : `Open the link in the mail to ${login.user.email} to confirm the address.`}
        <Problem error={action.error} />
      </span>
      <span>
        <button type="button" class="link" disabled={action.busy} onClick={() => void action.run(send)}>Send a new link</button>{" "}
        <button type="button" class="link" disabled={action.busy} onClick={() => void action.run(async () => onChange(await get<Login>("/api/v1/login-cookie")))}>Check again</button>
      </span>
    </div>
  );
}
