import type { ComponentChildren } from "preact";
import type { Run } from "../api/types";
import { bytes, count, duration } from "../ui/format";
import { Badge } from "../ui/parts";

// statusNames contains the name that the page shows for each status and state of a run.
export const statusNames: Record<string, string> = {
  succeeded: "Succeeded", failed: "Failed", timed_out: "Timed out", out_of_memory: "Out of memory", output_limit: "Too much output",
  killed: "Killed", canceled: "Stopped", queued: "Waiting", running: "Running",
};

const advice: Record<string, string> = {
  timed_out: "The program reached its time limit. Raise the time limit in the settings of the run.",
  out_of_memory: "The program reached its memory limit. Raise the memory limit in the settings of the run.",
  output_limit: "The program wrote more than its output limit. Raise the limit, or write to a file.",
};

export function Status({ run }: { run: Pick<Run, "status" | "state" | "reason"> }) {
  const status = run.status ?? run.state ?? "";
  const kind = status === "succeeded" ? "good" : status === "queued" || status === "running" ? "busy" : status === "canceled" ? "plain" : "bad";
  return <Badge kind={kind}>{statusNames[status] ?? status}</Badge>;
}

// Outcome shows how a run ended and what it used.
export function Outcome({ run, children }: { run: Run; children?: ComponentChildren }) {
  const u = run.usage;
  return (
    <div class="outcome">
      <div class="facts" role="status">
        <Status run={run} />
        {run.exitCode !== undefined && run.exitCode !== 0 && <span>exit code {run.exitCode}</span>}
        {run.signal && <span>{run.signal}</span>}
        {u && (
          <>
            <span>{duration(u.wallMs)}</span>
            <span>{duration(u.cpuMs)} CPU</span>
            <span>{bytes(u.memoryPeakBytes)} memory</span>
            {u.queuedMs >= 5 && <span>{duration(u.queuedMs)} waiting</span>}
          </>
        )}
        {children}
      </div>
      {run.reason && <p class="dim">Reason: {run.reason}</p>}
      {run.status && advice[run.status] && <p>{advice[run.status]}</p>}
      {(run.stdoutTruncated || run.stderrTruncated) && <p class="dim">The output is longer than the output limit. The rest is missing.</p>}
      {!!run.redactions && <p class="dim">The server replaced {count(run.redactions, "value")} of secrets.</p>}
      {run.resultsTruncated && <p class="dim">The program showed too many or too large values. Some are missing.</p>}
      {run.sessionEnded && <p>The session ended with this run.</p>}
      {!!u?.network?.length && (
        <details>
          <summary>{count(u.network.reduce((n, c) => n + c.count, 0), "connection")}</summary>
          <ul>
            {u.network.map((c) => (
              <li key={c.host + c.port + c.verdict}>
                <code>{c.host || "(no host)"}:{c.port}</code> {c.verdict}{c.reason ? `: ${c.reason}` : ""} – sent {bytes(c.sentBytes)}, received {bytes(c.receivedBytes)}
              </li>
            ))}
          </ul>
        </details>
      )}
    </div>
  );
}
