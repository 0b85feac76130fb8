import { useMemo, useState } from "preact/hooks";
import type { ServerInfo } from "../api/types";
import { emptyDraft, optionsOf, type Draft } from "../run/model";
import { languageName } from "../run/page";
import { Secrets, Upload } from "../run/settings";
import { count } from "../ui/format";
import { Empty, Field, Problem } from "../ui/parts";
import { AttemptView } from "./attempt";
import { useGeneration } from "./use-generation";

export function AskPage({ info }: { info: ServerInfo }) {
  return (
    <div class="page">
      <header><h1>Ask</h1></header>
      {info.features.includes("generate") ? (
        <Ask info={info} />
      ) : (
        <Empty title="This server has no model">
          <p>With a model, you describe a program, and the server writes and runs it.</p>
          <p>The operator of the server can add a model with the setting <code>ANTHROPIC_API_KEY</code>. See <a href="/docs/server.md#the-model" target="_blank" rel="noopener">the documentation</a>.</p>
        </Empty>
      )}
    </div>
  );
}

const promptKey = "pyth-on.prompt";

function Ask({ info }: { info: ServerInfo }) {
  const [prompt, setPrompt] = useState(sessionStorage.getItem(promptKey) ?? "");
  const [draft, setDraft] = useState<Draft>(emptyDraft);
  const [attempts, setAttempts] = useState("3");
  const [runs, setRuns] = useState(true);
  const [installs, setInstalls] = useState(false);
  const [open, setOpen] = useState(false);
  const [fault, setFault] = useState<Error>();
  const { generation, ask, stop } = useGeneration();
  const { answer, busy } = generation;
  const change = (c: Partial<Draft>) => setDraft((d) => ({ ...d, ...c }));
  const submit = () => {
    if (busy) return stop();
    try {
      const options = optionsOf(draft);
      setFault(undefined);
      void ask({ prompt, language: draft.language, maxAttempts: Number(attempts), ...(!runs && { execute: false }), ...(installs && { installPackages: true }), ...options });
    } catch (error) {
      setFault(error as Error);
    }
  };
  const languages = info.languages.filter((l) => ["python", "javascript", "typescript"].includes(l.name));
  // The prompt changes at each keystroke, but the attempts do not.
  const list = useMemo(
    () => generation.attempts.map((a, i) => <AttemptView key={a.number} attempt={a} before={generation.attempts[i - 1]} language={answer?.language ?? draft.language} writes={busy && i === generation.attempts.length - 1} />),
    [generation],
  );
  return (
    <>
      <form class="card" aria-label="Ask" onSubmit={(e) => (e.preventDefault(), submit())}>
        <Field label="What should the program do?" hint="The model also gets the names of your files and secrets, and the beginning of text files.">
          {(p) => (
            <textarea
              {...p} class="prose" rows={4} required maxLength={32000} dir="auto" value={prompt}
              onInput={(e) => (setPrompt(e.currentTarget.value), sessionStorage.setItem(promptKey, e.currentTarget.value))}
              onKeyDown={(e) => e.key === "Enter" && (e.ctrlKey || e.metaKey) && (e.preventDefault(), e.currentTarget.form!.requestSubmit())}
            />
          )}
        </Field>
        <div class="bar">
          {busy ? <button class="danger">Stop</button> : <button class="primary" title="Ctrl+Enter">Ask</button>}
          <label class="hidden" for="ask-language">Language</label>
          <select id="ask-language" value={draft.language} onChange={(e) => change({ language: e.currentTarget.value })}>{languages.map((l) => <option key={l.name} value={l.name}>{languageName(l.name)}</option>)}</select>
          <button type="button" aria-expanded={open} onClick={() => setOpen(!open)}>Settings{draft.files.length > 0 && <span class="count">{draft.files.length}</span>}</button>
        </div>
        {open && (
          <div class="settings" role="group" aria-label="Settings of the program">
            <label class="check"><input type="checkbox" checked={runs} onChange={(e) => setRuns(e.currentTarget.checked)} /> Run the program, and let the model correct it if it fails</label>
            <label class="check"><input type="checkbox" checked={installs} onChange={(e) => setInstalls(e.currentTarget.checked)} /> Install packages that the program needs</label>
            <Field label="Attempts">{(p) => <select {...p} value={attempts} onChange={(e) => setAttempts(e.currentTarget.value)}>{["1", "2", "3", "4", "5"].map((n) => <option key={n}>{n}</option>)}</select>}</Field>
            <Field label="Network" hint="Hosts that the program may reach. Empty: no network.">{(p) => <input {...p} value={draft.network} spellcheck={false} onInput={(e) => change({ network: e.currentTarget.value })} />}</Field>
            <Secrets draft={draft} change={change} />
            <div class="field"><Upload draft={draft} info={info} change={change} /></div>
          </div>
        )}
        {fault && <p class="fault" role="alert">{fault.message}</p>}
      </form>
      {busy && !generation.attempts.length && <p class="loading" role="status">The model is thinking…</p>}
      {list}
      <Problem error={generation.error} />
      {answer?.stopped && <p class="notice warn" role="status">{answer.stopped.detail}</p>}
      {!!answer?.missingPackages.length && (
        <p>Missing packages: {answer.missingPackages.map((name) => <a key={name} class="button small" href={`#/packages?language=${answer.language === "python" ? "python" : "javascript"}&add=${encodeURIComponent(name)}`}>Install {name}</a>)}</p>
      )}
      {answer && <p class="dim" role="status">{answer.model}: {count(answer.attempts.length, "attempt")}, {count(answer.usage.inputTokens + answer.usage.outputTokens, "token")}.</p>}
    </>
  );
}
