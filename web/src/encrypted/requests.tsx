import { bytes, count } from "../ui/format";
import { Badge } from "../ui/parts";
import type { Evidence } from "./evidence";

// Requests shows what left this page: its requests, and whether the programs and passwords
// of the user are in them.
export function Requests({ evidence }: { evidence: Evidence }) {
  const { requests, unknown } = evidence;
  const isClean = !unknown.length && requests.every((r) => !r.hasProgram && !r.hasPassword);
  const size = (body: string) => new TextEncoder().encode(body).length;
  return (
    <section class="card" aria-labelledby="sent">
      <h2 id="sent">What left this page</h2>
      <p role="status">
        {isClean ? <Badge kind="good">Clean</Badge> : <Badge kind="bad">Not clean</Badge>}{" "}
        {isClean ? "No request contains your programs or passwords." : "A request contains a program or a password, or the page does not know its content."}{" "}
        <span class="dim">{count(requests.length, "request")}, {bytes(requests.reduce((n, r) => n + size(r.body), 0))} sent.</span>
      </p>
      <p class="dim">These are all requests since you opened this page. The page searches each one for your programs and passwords: as text, in JSON, percent-encoded, in hexadecimal and in base64. Texts below 6 characters are too short for that. You can compare the list with the network tools of your browser.</p>
      <ul class="rows requests">
        {requests.map((r, i) => (
          <li key={i}>
            <details class="grow">
              <summary>
                <code>{r.method} {r.path}</code> <span class="dim">{bytes(size(r.body))}</span>{" "}
                {r.hasProgram && <Badge kind="bad">contains a program</Badge>} {r.hasPassword && <Badge kind="bad">contains a password</Badge>}
              </summary>
              <pre tabIndex={0}>{r.body ? r.body.slice(0, 20_000) : "(no body)"}</pre>
            </details>
          </li>
        ))}
        {unknown.map((name, i) => <li key={"u" + i}><code class="grow">{name}</code> <Badge kind="bad">not made by this page</Badge></li>)}
      </ul>
    </section>
  );
}
