import { useState } from "preact/hooks";
import { get } from "../api/client";
import { useEntered } from "../ui/entered";
import { dateTime } from "../ui/format";
import { useLoad } from "../ui/load";
import { Badge, Copy, Dialog, Field, Loading, Problem } from "../ui/parts";
import { check, type Entry, type Proof } from "./proof";

// The verifier key is public, so the browser may store it.
const pinnedKey = "pyth-on.verifier-key";

// EntryDialog shows an entry, and checks its proof.
export function EntryDialog({ entry, onClose }: { entry: Entry; onClose: () => void }) {
  const [pinned, setPinned] = useState(localStorage.getItem(pinnedKey) ?? "");
  const proof = useLoad((signal) => get<Proof>(`/api/v1/audit/${encodeURIComponent(entry.id)}/proof`, signal), [entry.id]);
  const result = useLoad(async () => {
    if (!proof.data) return undefined;
    if (!crypto.subtle) throw new Error("The browser checks proofs only over HTTPS, or on the machine of the server. Open this page with HTTPS.");
    return check(entry, proof.data, pinned);
  }, [proof.data, pinned]);
  const pin = (value: string) => {
    setPinned(value);
    if (value) localStorage.setItem(pinnedKey, value);
    else localStorage.removeItem(pinnedKey);
  };
  const entered = useEntered(pinned, pin);
  const facts: [string, string | undefined][] = [
    ["Time", dateTime(entry.timestamp)], ["Resource", entry.resource], ["Outcome", entry.outcome], ["Position", String(entry.sequence)], ["Credential", entry.actor.keyPrefix ?? entry.actor.credential],
    ["Address", entry.ip], ["Program of the caller", entry.userAgent], ["Request", entry.requestId],
  ];
  return (
    <Dialog title={entry.action} wide onClose={onClose}>
      <dl class="facts-list">
        {facts.filter(([, v]) => v).map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}
      </dl>
      {Object.keys(entry.details).length > 0 && <pre class="snippet" tabIndex={0} aria-label="Details">{JSON.stringify(entry.details, null, 2)}</pre>}
      <section aria-labelledby="proof">
        <h3 id="proof">Proof</h3>
        <Problem error={proof.error ?? result.error} retry={proof.reload} />
        {!result.data && (proof.loading || result.loading) && <Loading />}
        {result.data && (
          <ul class="rows" aria-label="Checks">
            {result.data.map((s) => (
              <li key={s.name}><span class="grow"><strong>{s.name}</strong><br /><span class="dim">{s.detail}</span></span><Badge kind={s.ok ? "good" : "bad"}>{s.ok ? "Correct" : "Wrong"}</Badge></li>
            ))}
          </ul>
        )}
      </section>
      <Field label="Verifier key from the operator" hint="The output of pyth-on audit key. The browser keeps it.">
        {(p) => <input {...p} spellcheck={false} autocomplete="off" {...entered} />}
      </Field>
      <div class="actions">
        {proof.data && <Copy text={() => JSON.stringify(proof.data, null, 2)} label="Copy the proof" />}
        <button type="button" class="primary" onClick={onClose}>Done</button>
      </div>
    </Dialog>
  );
}
