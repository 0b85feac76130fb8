import { useEffect, useState } from "preact/hooks";
import { call } from "../api/client";
import { Output } from "../output/view";
import { go } from "../router";
import { draftOf } from "../run/model";
import { languageName, saveDraft } from "../run/page";
import { loadRun, useRun } from "../run/use-run";
import { useAction, useLoad } from "../ui/load";
import { Confirm, Copy, Pending } from "../ui/parts";
import { Time } from "../ui/time";

export function RunDetail({ id }: { id: string }) {
  const record = useLoad((signal) => loadRun(id, signal), [id]);
  const { live, attach, stop } = useRun();
  const [asks, setAsks] = useState(false);
  const remove = useAction();
  useEffect(() => void attach(id), [id]);
  const run = live.run ?? record.data;
  if (!record.data) return <Pending title="Run" error={record.error} retry={record.reload} />;
  const { code, language } = record.data;
  const ended = run?.state === "ended" || live.phase === "ended" || !!run?.status;
  const again = (runNow: boolean) => {
    saveDraft(draftOf(code!, language));
    go(runNow ? "#/run?start=1" : "#/run");
  };
  return (
    <div class="page">
      <header>
        <h1>Run</h1>
        {code && <button type="button" class="primary" onClick={() => again(true)}>Run again</button>}
        {code && <button type="button" onClick={() => again(false)}>Edit</button>}
        {ended ? <button type="button" class="danger" onClick={() => setAsks(true)}>Delete</button> : <button type="button" class="danger" onClick={() => void stop()}>Stop</button>}
      </header>
      <p class="facts">
        <span>{languageName(language)}</span>
        <Time at={record.data.createdAt} />
        <code>{id}</code>
        {record.data.labels?.map((l) => <a key={l} href={`#/runs?label=${encodeURIComponent(l)}`}>{l}</a>)}
        {record.data.sessionId && <a href={`#/sessions/${record.data.sessionId}`}>Session</a>}
      </p>
      {code ? (
        <section class="text" aria-label="Program"><pre tabIndex={0} class="source">{code}</pre><div class="corner"><Copy text={code} /></div></section>
      ) : (
        <p class="dim">{run?.encryptedName ? "The program is encrypted, so the server does not have its code." : "The server does not have the code of this run any more."}</p>
      )}
      <section aria-label="Output"><Output live={live} /></section>
      {asks && (
        <Confirm
          title="Delete this run?" action="Delete" busy={remove.busy} error={remove.error} onClose={() => setAsks(false)}
          onYes={() => void remove.run(() => call("DELETE", `/api/v1/executions/${id}`)).then((ok) => ok && go("#/runs"))}
        >
          <p>The server deletes the record with its code, output and files.</p>
        </Confirm>
      )}
    </div>
  );
}
