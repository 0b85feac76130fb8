import { Output } from "../output/view";
import { Status } from "../output/outcome";
import { go } from "../router";
import { draftOf } from "../run/model";
import { saveDraft } from "../run/page";
import { isActive } from "../run/use-run";
import { DiffView } from "../runs/diffview";
import { Badge, Copy } from "../ui/parts";
import type { Attempt } from "./use-generation";

interface Props {
  attempt: Attempt;
  before?: Attempt;
  language: string;
  // writes is true while the model writes this attempt or its program runs.
  writes: boolean;
}

export function AttemptView({ attempt, before, language, writes }: Props) {
  const { number, text, code, live } = attempt;
  const id = `attempt-${number}`;
  const open = () => {
    saveDraft(draftOf(code!, language));
    go("#/run");
  };
  return (
    <section class="card" aria-labelledby={id}>
      <div class="facts">
        <h2 id={id}>Attempt {number}</h2>
        {isActive(live) ? <Status run={{ state: "running" }} /> : writes && <Badge kind="busy">Writing</Badge>}
        {code !== undefined && <button type="button" class="small end" onClick={open}>Open in Run</button>}
      </div>
      {text && <p dir="auto" class="prose">{text}</p>}
      {code !== undefined && (
        <div class="text" role="group" aria-label={`Program of attempt ${number}`}>
          <pre tabIndex={0} class="source" dir="ltr">{code}</pre>
          <div class="corner"><Copy text={code} /></div>
        </div>
      )}
      {code !== undefined && before?.code !== undefined && (
        <details>
          <summary>Differences from attempt {before.number}</summary>
          <DiffView a={before.code} b={code} />
        </details>
      )}
      {live.phase !== "idle" && <Output live={live} />}
    </section>
  );
}
