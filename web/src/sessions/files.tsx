import { useState } from "preact/hooks";
import { call, get, send } from "../api/client";
import { bytes } from "../ui/format";
import { useAction, useLoad } from "../ui/load";
import { Problem, save } from "../ui/parts";

interface SessionFile {
  path: string;
  sizeBytes: number;
}

const encode = (path: string) => path.split("/").map(encodeURIComponent).join("/");

// FilesPanel shows the files of a session. It loads them again when version changes.
export function FilesPanel({ session, version }: { session: string; version: number }) {
  const base = `/api/v1/sessions/${session}/files`;
  const list = useLoad((signal) => get<{ files: SessionFile[] }>(base, signal), [session, version]);
  const action = useAction();
  const sending = useAction();
  const [note, setNote] = useState("");
  const upload = (files: FileList | null) =>
    void sending.run(async () => {
      try {
        for (const file of files ?? []) {
          setNote(`Sending ${file.name}`);
          await send("PUT", `${base}/${encode(file.name)}`, { raw: file });
        }
      } finally {
        setNote("");
        list.reload();
      }
    });
  const files = list.data?.files;
  return (
    <section class="card" aria-labelledby="session-files">
      <h2 id="session-files">Files</h2>
      <Problem error={sending.error ?? action.error ?? list.error} retry={list.reload} />
      {files?.length === 0 && <p class="dim">No files yet.</p>}
      <ul class="files">
        {files?.map((f) => (
          <li key={f.path}>
            <span class="name">{f.path}</span>
            <span class="dim">{bytes(f.sizeBytes)}</span>
            <button type="button" class="small" aria-label={`Download ${f.path}`} onClick={() => void action.run(async () => save(f.path, await (await send("GET", `${base}/${encode(f.path)}`)).blob()))}>Download</button>
            <button type="button" class="small" aria-label={`Delete ${f.path}`} onClick={() => void action.run(async () => (await call("DELETE", `${base}/${encode(f.path)}`), list.reload()))}>Delete</button>
          </li>
        ))}
      </ul>
      <div class="upload">
        <label class="button">
          Upload files
          <input type="file" multiple class="hidden" disabled={sending.busy} onChange={(e) => (upload(e.currentTarget.files), (e.currentTarget.value = ""))} />
        </label>
        {note && <span role="status"> {note}</span>}
      </div>
    </section>
  );
}
