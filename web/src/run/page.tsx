import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { ServerInfo } from "../api/types";
import { Code } from "../editor/code";
import { Output } from "../output/view";
import { replace } from "../router";
import { Menu } from "../ui/menu";
import { copyText, Dialog } from "../ui/parts";
import { examples } from "./examples";
import { draftOf, emptyDraft, requestOf, settingsOf, type Draft } from "./model";
import { Settings } from "./settings";
import { snippet, snippetLanguages, type SnippetLanguage } from "./snippets";
import { isActive, loadRun, useRun } from "./use-run";

const draftKey = "pyth-on.draft";
const languageNames: Record<string, string> = { python: "Python", javascript: "JavaScript", typescript: "TypeScript", bash: "Bash" };

export function languageName(language: string): string {
  return languageNames[language] ?? language;
}

// saveDraft stores the draft that the page Run shows next. The browser deletes the draft
// when the tab is closed.
export function saveDraft(draft: Draft): void {
  try {
    sessionStorage.setItem(draftKey, JSON.stringify(draft));
  } catch {
    // Large files do not fit into the storage. In this case, store the draft without
    // files.
    sessionStorage.setItem(draftKey, JSON.stringify({ ...draft, files: [] }));
  }
}

function savedDraft(): Draft {
  const draft = sessionStorage.getItem(draftKey);
  if (!draft) return { ...emptyDraft, code: examples[0].code };
  try {
    return { ...emptyDraft, ...JSON.parse(draft) };
  } catch {
    return emptyDraft;
  }
}

export function RunPage({ id, starts, info }: { id?: string; starts: boolean; info: ServerInfo }) {
  const [isNewTab] = useState(() => !sessionStorage.getItem(draftKey));
  const [draft, setDraft] = useState(savedDraft);
  const first = useRef(draft);
  const [open, setOpen] = useState(false);
  const [fault, setFault] = useState<Error>();
  const [code, setCode] = useState<SnippetLanguage>();
  const { live, start, attach, stop } = useRun();
  const change = (c: Partial<Draft>) => setDraft((d) => ({ ...d, ...c }));
  useEffect(() => saveDraft(draft), [draft]);

  // After a reload, the address contains the ID of the run, so the page shows this run
  // again. In a new tab, the page also loads the program of this run, unless the user has
  // changed the draft in the meantime.
  const shown = useRef<string | undefined>(undefined);
  useEffect(() => {
    if (!id || shown.current === id) return;
    shown.current = id;
    void attach(id);
    if (isNewTab) loadRun(id).then((r) => r.code && setDraft((d) => (d === first.current ? draftOf(r.code!, r.language) : d)), () => {});
  }, [id]);

  const active = isActive(live);
  const run = async () => {
    if (active) return;
    try {
      const request = requestOf(draft);
      setFault(undefined);
      const started = await start(request);
      if (!started) return;
      shown.current = started;
      if (request.store !== false) replace(`#/run/${started}`);
    } catch (error) {
      setFault(error as Error);
    }
  };
  const latest = useRef({ run, stop, active });
  latest.current = { run, stop, active };
  useEffect(() => {
    const key = (e: KeyboardEvent) => {
      if (e.key === "Enter" && (e.ctrlKey || e.metaKey) && !e.defaultPrevented) void latest.current.run();
      else if (e.key === "." && (e.ctrlKey || e.metaKey) && latest.current.active) void latest.current.stop();
      else return;
      e.preventDefault();
    };
    addEventListener("keydown", key);
    return () => removeEventListener("keydown", key);
  }, []);

  // "Run again" opens this page with a program and starts it.
  useEffect(() => void (starts && latest.current.run()), []);

  // The program changes at each keystroke, but the output does not.
  const output = useMemo(() => <Output live={live} />, [live]);
  const settings = settingsOf(draft);
  const runtimes = useMemo(() => info.languages.find((l) => l.name === draft.language)?.runtimes ?? [], [draft.language]);
  const showCode = (language: SnippetLanguage) => {
    try {
      requestOf(draft);
      setFault(undefined);
      setCode(language);
    } catch (error) {
      setFault(error as Error);
    }
  };
  return (
    <div class="run">
      <h1 class="hidden">Run</h1>
      <section class="program" aria-label="Program">
        <div class="bar">
          {active ? (
            <button type="button" class="danger" title="Ctrl+." onClick={() => void stop()}>Stop</button>
          ) : (
            <button type="button" class="primary" title="Ctrl+Enter" onClick={() => void run()}>Run</button>
          )}
          <label class="hidden" for="language">Language</label>
          <select id="language" value={draft.language} onChange={(e) => change({ language: e.currentTarget.value, runtime: "" })}>
            {info.languages.map((l) => <option key={l.name} value={l.name}>{languageName(l.name)} {l.version}</option>)}
          </select>
          {runtimes.length > 1 && (
            <>
              <label class="hidden" for="runtime">Image</label>
              <select id="runtime" value={draft.runtime} onChange={(e) => change({ runtime: e.currentTarget.value })}>
                {runtimes.map((r, i) => <option key={r.name} value={i ? r.name : ""}>{r.name}</option>)}
              </select>
            </>
          )}
          <Menu
            label="Examples"
            items={examples.filter((e) => info.languages.some((l) => l.name === e.language)).map((e) => ({ name: e.name, run: () => change({ code: e.code, language: e.language, runtime: "" }) }))}
          />
          <button type="button" aria-expanded={open} onClick={() => setOpen(!open)}>
            Settings{settings.length > 0 && <span class="count">{settings.length}</span>}
          </button>
          <Menu label="Copy as" items={snippetLanguages.map((l) => ({ name: l, run: () => showCode(l) }))} />
        </div>
        {!open && settings.length > 0 && <p class="chips">{settings.map((s) => <span key={s}>{s}</span>)}</p>}
        {open && <Settings draft={draft} info={info} change={change} />}
        {fault && <p class="fault" role="alert">{fault.message}</p>}
        <Code text={draft.code} language={draft.language} label="Program" onChange={(text) => change({ code: text })} onRun={() => void run()} />
      </section>
      <section class="result" aria-label="Output">
        {live.phase === "idle" ? (
          <div class="empty">
            <h2>No output yet</h2>
            <p>Press <kbd>Ctrl</kbd>+<kbd>Enter</kbd> to run the program in a new sandbox. Its output, pictures and tables appear here.</p>
          </div>
        ) : (
          output
        )}
      </section>
      {code && (
        <Dialog title={`This run in ${code}`} wide onClose={() => setCode(undefined)}>
          <p>Set <code>PYTH_ON_API_KEY</code> to an API key first.</p>
          <pre class="snippet" tabIndex={0}>{snippet(code, requestOf(draft), location.origin)}</pre>
          <div class="actions">
            <button type="button" class="primary" onClick={() => void copyText(snippet(code, requestOf(draft), location.origin)).then(() => setCode(undefined))}>Copy</button>
          </div>
        </Dialog>
      )}
    </div>
  );
}
