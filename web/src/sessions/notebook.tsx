import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { ApiError, call, get } from "../api/client";
import { Code } from "../editor/code";
import { Output } from "../output/view";
import { go, replace } from "../router";
import { languageName } from "../run/page";
import { isActive, useRun } from "../run/use-run";
import { duration } from "../ui/format";
import { useAction, useLoad } from "../ui/load";
import { Confirm, Empty, Pending, Problem } from "../ui/parts";
import { clearCells, loadCells, saveCells, type Cell } from "./cells";
import { FilesPanel } from "./files";
import type { Session } from "./list";
import { VariablesPanel } from "./variables";

export function Notebook({ id }: { id: string }) {
  const session = useLoad((signal) => get<Session>(`/api/v1/sessions/${id}`, signal), [id]);
  const hasEnded = session.error instanceof ApiError && session.error.status === 404;
  const known = session.data ?? (hasEnded ? loadCells(id) : undefined);
  if (known) return <Cells session={{ id, language: known.language, idleTimeoutMs: known.idleTimeoutMs }} hasEnded={hasEnded} onChange={session.reload} />;
  if (hasEnded) return <Empty title="This session has ended" isPage><p>A session ends when nobody uses it for a while.</p><a class="button primary" href="#/sessions">All sessions</a></Empty>;
  return <Pending title="Session" error={session.error} retry={session.reload} />;
}

type Origin = Pick<Session, "id" | "language" | "idleTimeoutMs">;

// Cells shows the cells of a session. If the session has ended, its cells stay, and a new
// session can continue with these cells.
function Cells({ session, hasEnded, onChange }: { session: Origin; hasEnded: boolean; onChange: () => void }) {
  const { id, language, idleTimeoutMs } = session;
  const [cells, setCells] = useState<Cell[]>(() => loadCells(id)?.cells ?? [{ key: 1, code: "" }]);
  // finished counts ended runs, after which variables and files can have changed.
  const [finished, setFinished] = useState(0);
  // focus contains the key of the cell that gets the focus. count increases each time a
  // cell gets the focus.
  const [focus, setFocus] = useState({ key: cells[0].key, count: 1 });
  const focusOn = (key: number) => setFocus((f) => ({ key, count: f.count + 1 }));
  const [asks, setAsks] = useState<"restart" | "close">();
  const action = useAction();
  const runners = useRef(new Map<number, () => Promise<void>>());
  useEffect(() => saveCells(id, { language, idleTimeoutMs, cells }), [cells]);
  const change = (key: number, c: Partial<Cell>) => setCells((all) => all.map((x) => (x.key === key ? { ...x, ...c } : x)));
  const add = (after: number) => {
    const key = Math.max(...cells.map((c) => c.key)) + 1;
    setCells((all) => {
      const at = all.findIndex((c) => c.key === after) + 1;
      return [...all.slice(0, at), { key, code: "" }, ...all.slice(at)];
    });
    focusOn(key);
  };
  const remove = (key: number) => setCells((all) => (all.length > 1 ? all.filter((c) => c.key !== key) : [{ key: key + 1, code: "" }]));
  const move = (key: number, by: number) =>
    setCells((all) => {
      const at = all.findIndex((c) => c.key === key), to = at + by;
      if (to < 0 || to >= all.length) return all;
      const next = [...all];
      [next[at], next[to]] = [next[to], next[at]];
      return next;
    });
  const close = async (isAwaited: () => boolean) => {
    await call("DELETE", `/api/v1/sessions/${id}`);
    clearCells(id);
    if (isAwaited()) go("#/sessions");
  };
  const runAll = async () => {
    for (const c of cells) if (c.code.trim()) await runners.current.get(c.key)?.();
  };
  const restart = async (isAwaited: () => boolean) => {
    await call("DELETE", `/api/v1/sessions/${id}`).catch(() => {});
    const next = await call<Session>("POST", "/api/v1/sessions", { language, idleTimeoutMs });
    saveCells(next.id, { language, idleTimeoutMs, cells: cells.map(({ key, code }) => ({ key, code })) });
    clearCells(id);
    if (isAwaited()) replace(`#/sessions/${next.id}`);
  };
  return (
    <div class="notebook">
      <div class="page">
        <header>
          <h1>{languageName(language)} session</h1>
          {!hasEnded && (
            <>
              <button type="button" onClick={() => void runAll()}>Run all</button>
              <button type="button" onClick={() => void action.run(() => call("POST", `/api/v1/sessions/${id}/interrupt`))}>Interrupt</button>
              <button type="button" onClick={() => setAsks("restart")}>Restart</button>
              <button type="button" class="danger" onClick={() => setAsks("close")}>Close</button>
            </>
          )}
        </header>
        {hasEnded && (
          <div class="notice warn" role="status">
            <p>This session has ended, with its variables and files. The cells stay in this tab.</p>
            <button type="button" disabled={action.busy} onClick={() => void action.run(restart)}>Continue in a new session</button>
          </div>
        )}
        <Problem error={asks ? undefined : action.error} />
        {cells.map((c, i) => (
          <CellView
            key={c.key} cell={c} number={i + 1} session={session} focus={c.key === focus.key ? focus.count : 0} last={i === cells.length - 1}
            onChange={(x) => change(c.key, x)} onRemove={() => remove(c.key)} onMove={(by) => move(c.key, by)} onAdd={() => add(c.key)}
            onNext={() => (i === cells.length - 1 ? add(c.key) : focusOn(cells[i + 1].key))} onDone={() => (setFinished((n) => n + 1), onChange())}
            register={(run) => runners.current.set(c.key, run)}
          />
        ))}
        <p><button type="button" onClick={() => add(cells[cells.length - 1].key)}>Add a cell</button> <span class="hint">Ctrl+Enter runs a cell. Shift+Enter runs it and goes to the next one.</span></p>
      </div>
      <aside aria-label="Variables and files">
        {!hasEnded && language === "python" && <VariablesPanel session={id} version={finished} />}
        {!hasEnded && <FilesPanel session={id} version={finished} />}
      </aside>
      {asks && (
        <Confirm
          title={asks === "restart" ? "Restart this session?" : "Close this session?"} action={asks === "restart" ? "Restart" : "Close"} busy={action.busy} error={action.error}
          onClose={() => (action.clear(), setAsks(undefined))}
          onYes={() => void action.run(asks === "restart" ? restart : close)}
        >
          <p>Its variables and files are deleted.{asks === "restart" ? " The cells stay. The new session has no network." : ""}</p>
        </Confirm>
      )}
    </div>
  );
}

interface CellProps {
  cell: Cell;
  number: number;
  session: Origin;
  focus: number;
  last: boolean;
  onChange: (change: Partial<Cell>) => void;
  onRemove: () => void;
  onMove: (by: number) => void;
  onAdd: () => void;
  onNext: () => void;
  onDone: () => void;
  register: (run: () => Promise<void>) => void;
}

function CellView({ cell, number, session, focus, last, onChange, onRemove, onMove, onAdd, onNext, onDone, register }: CellProps) {
  const { live, start, attach, stop } = useRun();
  const active = isActive(live);
  // After a reload, show the stored output of the last run again.
  useEffect(() => void (cell.run && attach(cell.run)), []);
  const run = async () => {
    if (active || !cell.code.trim()) return;
    const id = await start({ code: cell.code, language: session.language, sessionId: session.id });
    onChange({ run: id });
    onDone();
  };
  register(run);
  const latest = useRef({ run, onNext });
  latest.current = { run, onNext };
  // The code of some cell changes at each keystroke, but the output does not.
  const output = useMemo(() => <Output live={live} compact />, [live]);
  return (
    <section class="cell card" aria-label={`Cell ${number}`}>
      <div class="bar">
        {active ? <button type="button" class="small danger" onClick={() => void stop()}>Stop</button> : <button type="button" class="small" aria-label={`Run cell ${number}`} onClick={() => void run()}>Run</button>}
        <span class="dim">{live.run?.usage && duration(live.run.usage.wallMs)}</span>
        <span class="space" />
        <button type="button" class="small plain" aria-label={`Move cell ${number} up`} disabled={number === 1} onClick={() => onMove(-1)}>↑</button>
        <button type="button" class="small plain" aria-label={`Move cell ${number} down`} disabled={last} onClick={() => onMove(1)}>↓</button>
        <button type="button" class="small plain" aria-label={`Add a cell below cell ${number}`} onClick={onAdd}>+</button>
        <button type="button" class="small plain" aria-label={`Delete cell ${number}`} onClick={onRemove}>✕</button>
      </div>
      <Code
        text={cell.code} language={session.language} label={`Code of cell ${number}`} lineNumbers={false} focus={focus} onChange={(code) => onChange({ code })}
        onRun={(mode) => {
          void latest.current.run();
          if (mode === "advance") latest.current.onNext();
        }}
      />
      {live.phase !== "idle" && output}
    </section>
  );
}
