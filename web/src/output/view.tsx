import { useMemo } from "preact/hooks";
import { isActive, type Live } from "../run/use-run";
import { Problem } from "../ui/parts";
import { Console } from "./console";
import { Outcome, Status } from "./outcome";
import { Files, Value } from "./results";

interface Props {
  live: Live;
  // If compact is true, the parts that a cell of a notebook does not need are omitted.
  compact?: boolean;
}

// Output shows a run while it runs and afterwards.
export function Output({ live, compact }: Props) {
  const { run, screen, results, files, phase } = live;
  const hasText = screen.lines.length > 1 || screen.lines[0].length > 0;
  const nothing = phase === "ended" && run && !hasText && !results.length && !run.error;
  const missing = run?.error && missingPackage(run.error.message);
  // New text can arrive at each frame. Results are large, so render them again only if
  // they change.
  const values = useMemo(() => results.map((r, i) => <Value key={i} result={r} number={i + 1} />), [results]);
  return (
    <div class="output">
      {live.waiting && <p class="notice warn" role="status">The connection to the server is lost. The page connects again. The run continues, unless the server has stopped.</p>}
      {isActive(live) && (
        <div class="facts" role="status"><Status run={{ state: phase === "running" ? "running" : "queued" }} /></div>
      )}
      {run && !(compact && run.status === "succeeded") && <Outcome run={run} />}
      <Problem error={live.error} />
      {hasText && <Console screen={screen} version={live.version} />}
      {run?.error && !hasText && <pre class="traceback" tabIndex={0}>{run.error.traceback || `${run.error.name}: ${run.error.message}`}</pre>}
      {run?.error?.hint && <p class="notice warn">{run.error.hint}</p>}
      {missing && <p><a class="button" href={`#/packages?language=${run!.language === "python" ? "python" : "javascript"}&add=${encodeURIComponent(missing)}`}>Install {missing}</a></p>}
      {values}
      {(files.length > 0 || !!run?.filesSkipped?.length) && (
        <section>
          <h3>Files</h3>
          <Files files={files} skipped={run?.filesSkipped} />
        </section>
      )}
      {nothing && !compact && <p class="dim">{run!.content === "stored" || !run!.content ? "The program wrote nothing." : "The server does not have the output of this run."}</p>}
    </div>
  );
}

// missingPackage returns the package that an import did not find.
function missingPackage(message: string): string | undefined {
  const match = /No module named '([A-Za-z0-9_]+)|Cannot find (?:package|module) '((?:@[\w.-]+\/)?[\w-][\w.-]*)/.exec(message);
  return match?.[1] ?? match?.[2];
}
