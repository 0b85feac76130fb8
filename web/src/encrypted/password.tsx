import { useState } from "preact/hooks";
import { Field } from "../ui/parts";

interface Props {
  value: string;
  onChange: (value: string) => void;
  // If isNew is true, the field offers a random password.
  isNew?: boolean;
}

// Password is the field for the password of an encrypted program. Password managers treat
// it as a different password, so it does not replace the password of the account.
export function Password({ value, onChange, isNew }: Props) {
  const [shown, setShown] = useState(false);
  return (
    <Field label="Password of the program" hint={isNew ? "Keep it in a password manager. Nobody can reset it: without it, the program is lost." : undefined}>
      {(p) => (
        <span class="password">
          <input
            {...p} type={(shown ? "text" : "password") as "password"} required minLength={isNew ? 10 : 1} maxLength={256}
            autocomplete="off" spellcheck={false} value={value} onInput={(e) => onChange(e.currentTarget.value)}
          />
          <button type="button" class="plain" aria-pressed={shown} onClick={() => setShown(!shown)}>{shown ? "Hide" : "Show"}</button>
          {isNew && <button type="button" class="small" onClick={() => (onChange(randomPassword()), setShown(true))}>Make one</button>}
        </span>
      )}
    </Field>
  );
}

// randomPassword returns a password with 120 random bits.
function randomPassword(): string {
  const letters = "abcdefghijkmnpqrstuvwxyz23456789";
  const all = Array.from(crypto.getRandomValues(new Uint8Array(24)), (b) => letters[b % 32]).join("");
  return all.match(/.{6}/g)!.join("-");
}
