import { bytes, duration } from "../ui/format";
import { Time } from "../ui/time";

export interface Quota {
  name: string;
  limit: number;
  used: number;
  resetsAt?: string;
}

const names: Record<string, string> = {
  executions_per_day: "Runs today", cpu_ms_per_day: "Processor time today", memory_mib_ms_per_day: "Memory today", generate_tokens_per_day: "Tokens of the model today",
  executions: "Runs at the same time", sessions: "Open sessions", reservations: "Reserved sandboxes", secrets: "Secrets", encrypted_programs: "Encrypted programs",
  webhooks: "Webhooks", storage_bytes: "Stored code and output", python_packages: "Python packages", node_packages: "JavaScript packages",
  python_package_bytes: "Size of Python packages", node_package_bytes: "Size of JavaScript packages",
};

function amount(name: string, n: number): string {
  return name.endsWith("_bytes") ? bytes(n) : name.startsWith("cpu_ms") ? duration(n) : n.toLocaleString();
}

// Quotas shows how much of each limit is used.
export function Quotas({ quotas }: { quotas: Quota[] }) {
  return (
    <section class="card" aria-labelledby="quotas">
      <h2 id="quotas">Limits</h2>
      <ul class="quotas">
        {quotas.map((q) => {
          const share = q.limit ? q.used / q.limit : 1;
          const name = names[q.name] ?? q.name;
          return (
            <li key={q.name}>
              <span>{name}</span>
              <span class="dim">{amount(q.name, q.used)} of {amount(q.name, q.limit)}{q.resetsAt && q.used > 0 && <>, resets <Time at={q.resetsAt} /></>}</span>
              <progress class={share >= 0.9 ? "full" : ""} max={1} value={Math.min(share, 1)} aria-label={name} />
            </li>
          );
        })}
      </ul>
    </section>
  );
}
