import { useMemo, useState } from "preact/hooks";
import { call } from "../api/client";
import { stream, type ServerEvent } from "../api/events";
import type { ServerInfo } from "../api/types";
import { Output } from "../output/view";
import { emptyDraft, optionsOf, settingsOf, type Draft } from "../run/model";
import { Settings } from "../run/settings";
import { isActive, useRun } from "../run/use-run";
import type { Evidence } from "./evidence";
import { Password } from "./password";

interface Reservation {
  sandboxId: string;
  publicKey: string;
}

// sealedRun reserves a sandbox, seals the password for it, and yields the events of the
// run. Only this sandbox can decrypt the password.
async function* sealedRun(name: string, password: string, options: object, signal: AbortSignal): AsyncGenerator<ServerEvent> {
  const { seal } = await import("./crypto");
  const { sandboxId, publicKey } = await call<Reservation>("POST", "/api/v1/zk/sandboxes");
  const sealedPassword = await seal(password, publicKey, sandboxId);
  yield* stream("POST", `/api/v1/zk/execute/${encodeURIComponent(name)}`, { body: { sandboxId, sealedPassword, ...options }, signal });
}

export function RunEncrypted({ name, info, evidence }: { name: string; info: ServerInfo; evidence: Evidence }) {
  const [password, setPassword] = useState("");
  const [draft, setDraft] = useState<Draft>(emptyDraft);
  const [open, setOpen] = useState(false);
  const [fault, setFault] = useState("");
  const { live, open: show, stop } = useRun();
  const active = isActive(live);
  const settings = settingsOf(draft);
  const run = () => {
    try {
      const options = optionsOf(draft);
      setFault("");
      evidence.protect("password", password);
      void show((signal) => sealedRun(name, password, options, signal));
    } catch (error) {
      setFault((error as Error).message);
    }
  };
  const output = useMemo(() => <Output live={live} />, [live]);
  return (
    <>
      <header><h1>{name}</h1><a href="#/encrypted">All encrypted programs</a></header>
      <form class="card" aria-label={`Run ${name}`} onSubmit={(e) => (e.preventDefault(), active ? void stop() : run())}>
        <Password value={password} onChange={setPassword} />
        <div class="bar">
          {active ? <button class="danger">Stop</button> : <button class="primary" disabled={!crypto.subtle}>Run</button>}
          <button type="button" aria-expanded={open} onClick={() => setOpen(!open)}>Settings{settings.length > 0 && <span class="count">{settings.length}</span>}</button>
        </div>
        {open && <Settings draft={draft} info={info} change={(c) => setDraft((d) => ({ ...d, ...c }))} />}
        {fault && <p class="fault" role="alert">{fault}</p>}
      </form>
      {live.phase !== "idle" && <section aria-label="Output">{output}</section>}
    </>
  );
}
