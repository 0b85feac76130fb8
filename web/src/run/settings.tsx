import { useRef, useState } from "preact/hooks";
import { get } from "../api/client";
import type { InputFile, Secret, ServerInfo } from "../api/types";
import { bytesToBase64 } from "../output/results";
import { bytes } from "../ui/format";
import { useLoad } from "../ui/load";
import { Field } from "../ui/parts";
import type { Draft } from "./model";

interface Props {
  draft: Draft;
  info: ServerInfo;
  change: (change: Partial<Draft>) => void;
}

const unlimited = "no limit";

// Settings shows all parts of a run except its code.
export function Settings({ draft, info, change }: Props) {
  const { limits } = info;
  const text = (name: keyof Draft) => ({ value: draft[name] as string, onInput: (e: { currentTarget: { value: string } }) => change({ [name]: e.currentTarget.value }) });
  const small = (name: keyof Draft, label: string, usual: string, most: string) => (
    <Field label={label} hint={`${usual === unlimited ? "no default" : `default ${usual}`}, at most ${most}`}>
      {(p) => <input {...p} {...text(name)} inputMode="decimal" placeholder={usual} />}
    </Field>
  );
  const mib = (n: number) => String(Math.round(n / (1 << 20)));
  return (
    <div class="settings" role="group" aria-label="Settings of the run">
      <fieldset>
        <legend>Input</legend>
        <Field label="Arguments" hint="Separated by spaces. Use quotes around spaces.">{(p) => <input {...p} {...text("args")} placeholder="--name Ada" spellcheck={false} />}</Field>
        <Field label="Standard input">{(p) => <textarea {...p} {...text("stdin")} rows={3} spellcheck={false} />}</Field>
        <Field label="Environment" hint="One variable a line: NAME=value">{(p) => <textarea {...p} {...text("env")} rows={2} spellcheck={false} />}</Field>
      </fieldset>
      <fieldset>
        <legend>Files</legend>
        <Upload draft={draft} info={info} change={change} />
        <Field label="Files to return" hint="Patterns of files in the working directory, for example *.csv">{(p) => <input {...p} {...text("outputFiles")} placeholder="*.csv" spellcheck={false} />}</Field>
      </fieldset>
      <fieldset>
        <legend>Access</legend>
        <Field label="Network" hint="Hosts that the program may reach. Empty: no network.">{(p) => <input {...p} {...text("network")} placeholder="api.example.org *.example.net:8443" spellcheck={false} />}</Field>
        <Secrets draft={draft} change={change} />
        <label class="check"><input type="checkbox" checked={draft.isolated} onChange={(e) => change({ isolated: e.currentTarget.checked })} /> Use a new sandbox for this run only</label>
      </fieldset>
      <fieldset>
        <legend>Limits</legend>
        <div class="columns">
          {small("timeout", "Time in s", String(limits.defaultTimeoutMs / 1000), String(limits.maxTimeoutMs / 1000))}
          {small("cpu", "Processor in s", unlimited, String((limits.max.cpuMs ?? limits.maxTimeoutMs) / 1000))}
          {small("memory", "Memory in MiB", mib(limits.default.memoryBytes), mib(limits.max.memoryBytes))}
          {small("disk", "Disk in MiB", mib(limits.default.diskBytes), mib(limits.max.diskBytes))}
          {small("output", "Output in MiB", mib(limits.default.outputBytes), mib(limits.max.outputBytes))}
          {small("processes", "Processes", String(limits.default.processes), String(limits.max.processes))}
        </div>
      </fieldset>
      <fieldset>
        <legend>Record</legend>
        <Field label="Labels" hint="Separated by commas. Find the run again by its labels.">{(p) => <input {...p} {...text("labels")} placeholder="nightly, report" />}</Field>
        <label class="check"><input type="checkbox" checked={draft.store} onChange={(e) => change({ store: e.currentTarget.checked })} /> Keep the code and the output for a limited time</label>
      </fieldset>
    </div>
  );
}

export function Secrets({ draft, change }: Pick<Props, "draft" | "change">) {
  const { data, error } = useLoad((signal) => get<{ secrets: Secret[] }>("/api/v1/secrets", signal), []);
  const chosen = draft.secrets;
  const mode = Array.isArray(chosen) ? "some" : chosen;
  // Until the list has loaded, at least the chosen secrets are known.
  const names = data?.secrets.map((s) => s.name) ?? (Array.isArray(chosen) ? chosen : []);
  const hint = names.length ? "The program gets them as environment variables." : data ? "You have no secrets." : error ? "The page cannot load your secrets." : "Loading…";
  return (
    <div class="field">
      <Field label="Secrets" hint={hint}>
        {(p) => (
          <select {...p} value={mode} onChange={(e) => change({ secrets: e.currentTarget.value === "some" ? names : (e.currentTarget.value as "all" | "none") })}>
            <option value="all">All secrets</option>
            <option value="none">No secrets</option>
            {names.length > 0 && <option value="some">Only these</option>}
          </select>
        )}
      </Field>
      {Array.isArray(chosen) &&
        names.map((n) => (
          <label class="check" key={n}>
            <input type="checkbox" checked={chosen.includes(n)} onChange={(e) => change({ secrets: e.currentTarget.checked ? [...chosen, n] : chosen.filter((c) => c !== n) })} />
            <code>{n}</code>
          </label>
        ))}
    </div>
  );
}

export function Upload({ draft, info, change }: Props) {
  const [error, setError] = useState("");
  // Reading takes time, and the user can add or remove other files meanwhile.
  const files = useRef(draft.files);
  files.current = draft.files;
  const put = (next: InputFile[]) => change({ files: (files.current = next) });
  const add = async (list: FileList | null) => {
    setError("");
    const added: InputFile[] = [];
    for (const file of [...(list ?? [])]) {
      if (file.size > info.limits.maxFilesBytes) {
        setError(`${file.name} is too large. All files together can have ${bytes(info.limits.maxFilesBytes)}.`);
        continue;
      }
      const content = new Uint8Array(await file.arrayBuffer());
      added.push({ path: file.name, ...encode(content) });
    }
    const all = new Map([...files.current, ...added].map((f) => [f.path, f]));
    if (all.size > info.limits.maxFiles) setError(`A run can have at most ${info.limits.maxFiles} files.`);
    else put([...all.values()]);
  };
  return (
    <div
      class="upload"
      onDragOver={(e) => e.preventDefault()}
      onDrop={(e) => (e.preventDefault(), void add(e.dataTransfer?.files ?? null))}
    >
      <label class="button">
        Add files
        <input type="file" multiple class="hidden" onChange={(e) => void add(e.currentTarget.files).then(() => (e.target as HTMLInputElement).value = "")} />
      </label>
      <span class="hint"> or drop them here. They are in the working directory of the program.</span>
      {error && <p class="fault" role="alert">{error}</p>}
      <ul class="files">
        {draft.files.map((f) => (
          <li key={f.path}>
            <span class="name">{f.path}</span>
            <button type="button" class="small" aria-label={`Remove ${f.path}`} onClick={() => put(files.current.filter((x) => x !== f))}>Remove</button>
          </li>
        ))}
      </ul>
    </div>
  );
}

function encode(content: Uint8Array): Pick<InputFile, "content" | "encoding"> {
  try {
    return { content: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(content) };
  } catch {
    return { content: bytesToBase64(content), encoding: "base64" };
  }
}
