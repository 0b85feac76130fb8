import type { ComponentChildren } from "preact";
import type { Run } from "../api/types";
import { Status } from "../output/outcome";
import { languageName } from "../run/page";
import { loadRun } from "../run/use-run";
import { bytes, duration } from "../ui/format";
import { useLoad } from "../ui/load";
import { Pending } from "../ui/parts";
import { Time } from "../ui/time";
import { DiffView } from "./diffview";

export function ComparePage({ first, second }: { first: string; second: string }) {
  const runs = useLoad((signal) => Promise.all([loadRun(first, signal), loadRun(second, signal)]), [first, second]);
  if (!runs.data) return <Pending title="Compare two runs" error={runs.error} retry={runs.reload} />;
  // The older run is on the left.
  const [a, b] = [...runs.data].sort((x, y) => x.createdAt.localeCompare(y.createdAt));
  const row = (name: string, cell: (r: Run) => ComponentChildren) => <tr><th scope="row">{name}</th><td>{cell(a)}</td><td>{cell(b)}</td></tr>;
  return (
    <div class="page">
      <header><h1>Compare two runs</h1><a href="#/runs">All runs</a></header>
      <div class="scroll" tabIndex={0} role="region" aria-label="Facts">
        <table>
          <thead><tr><td /><th scope="col"><a href={`#/runs/${a.id}`}>First run</a></th><th scope="col"><a href={`#/runs/${b.id}`}>Second run</a></th></tr></thead>
          <tbody>
            {row("Started", (r) => <Time at={r.createdAt} />)}
            {row("Result", (r) => <Status run={r} />)}
            {row("Language", (r) => languageName(r.language))}
            {row("Exit code", (r) => r.exitCode ?? r.signal ?? "")}
            {row("Time", (r) => r.usage && duration(r.usage.wallMs))}
            {row("Processor", (r) => r.usage && duration(r.usage.cpuMs))}
            {row("Memory", (r) => r.usage && bytes(r.usage.memoryPeakBytes))}
          </tbody>
        </table>
      </div>
      <Difference title="Code" a={a.code} b={b.code} />
      <Difference title="Output" a={a.stdout} b={b.stdout} />
      <Difference title="Errors" a={a.stderr} b={b.stderr} />
    </div>
  );
}

// Difference shows how two texts differ, if at least one of them exists.
function Difference({ title, a, b }: { title: string; a?: string; b?: string }) {
  if (!a && !b) return null;
  return (
    <section>
      <h2>{title}</h2>
      <DiffView a={a} b={b} />
    </section>
  );
}
