import { useState } from "preact/hooks";
import type { Payload } from "pyth-on/crypto.js";
import { call, get } from "../api/client";
import type { ServerInfo } from "../api/types";
import { Code } from "../editor/code";
import { languageName } from "../run/page";
import { useAction } from "../ui/load";
import { Field, Problem } from "../ui/parts";
import type { Evidence } from "./evidence";
import { Password } from "./password";

export const codePath = (name: string) => `/api/v1/zk/code/${encodeURIComponent(name)}`;

export interface Program {
  name: string;
  language: string;
}

interface Props {
  // program is a stored program, or undefined for a new program.
  program?: Program;
  info: ServerInfo;
  evidence: Evidence;
  onClose: () => void;
  onDone: () => void;
}

// Edit encrypts a program and stores it. It first decrypts a stored program.
export function Edit({ program, info, evidence, onClose, onDone }: Props) {
  const languages = info.languages.map((l) => l.name).filter((n) => ["python", "javascript", "typescript", "bash"].includes(n));
  const [name, setName] = useState(program?.name ?? "");
  const [language, setLanguage] = useState(program?.language ?? languages[0]);
  const [code, setCode] = useState(program ? undefined : "");
  const [password, setPassword] = useState("");
  const action = useAction();
  const open = async (isAwaited: () => boolean) => {
    evidence.protect("password", password);
    const [payload, { decrypt }] = await Promise.all([get<Payload>(codePath(name)), import("./crypto")]);
    const text = await decrypt(payload, password, program!);
    evidence.protect("program", text);
    if (isAwaited()) setCode(text);
  };
  const store = async () => {
    if (!code!.trim()) throw new Error("There is no program. Write one.");
    evidence.protect("program", code!);
    evidence.protect("password", password);
    const { encrypt } = await import("./crypto");
    await call("PUT", codePath(name), await encrypt(code!, password, language, name));
  };
  const submit = (e: Event) => {
    e.preventDefault();
    void action.run(code === undefined ? open : store).then((ok) => ok && code !== undefined && onDone());
  };
  return (
    <>
      <header><h1>{program ? `Change ${program.name}` : "Encrypt a program"}</h1></header>
      <form class="card" onSubmit={submit}>
        {!program && (
          <div class="filters">
            <Field label="Name" hint="Letters, digits, dots, hyphens and underscores. The server can read it.">
              {(p) => <input {...p} required pattern="[A-Za-z0-9][A-Za-z0-9._\-]*" maxLength={128} value={name} autocomplete="off" spellcheck={false} onInput={(e) => setName(e.currentTarget.value)} />}
            </Field>
            <Field label="Language">{(p) => <select {...p} value={language} onChange={(e) => setLanguage(e.currentTarget.value)}>{languages.map((l) => <option key={l} value={l}>{languageName(l)}</option>)}</select>}</Field>
          </div>
        )}
        {code !== undefined && <Code text={code} language={language} label="Program" onChange={setCode} onRun={() => {}} />}
        <Password value={password} onChange={setPassword} isNew={code !== undefined} />
        <Problem error={action.error} />
        <div class="actions">
          <button type="button" onClick={onClose}>Cancel</button>
          <button class="primary" disabled={action.busy}>{code === undefined ? (action.busy ? "Decrypting…" : "Decrypt here") : action.busy ? "Encrypting…" : "Encrypt and store"}</button>
        </div>
      </form>
    </>
  );
}
