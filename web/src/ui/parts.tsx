import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { ApiError } from "../api/client";
import { returnFocus } from "./focus";

export function Problem({ error, retry }: { error?: Error; retry?: () => void }) {
  if (!error) return null;
  const faults = error instanceof ApiError ? error.faults.slice(0, 5) : [];
  // If something does not exist or is forbidden, another attempt would fail in the same
  // way.
  const isFinal = error instanceof ApiError && (error.status === 403 || error.status === 404);
  return (
    <div class="notice bad" role="alert">
      <div>
        <p>{error.message.replace(/^body\./, "")}</p>
        {faults.length > 1 && (
          <ul>{faults.map((f) => <li key={f.location}><code>{f.location.replace(/^body\./, "")}</code> {f.message}</li>)}</ul>
        )}
        {error instanceof ApiError && error.status >= 500 && error.requestId && <p class="dim">Request {error.requestId}</p>}
      </div>
      {retry && !isFinal && <button type="button" onClick={retry}>Try again</button>}
    </div>
  );
}

// Empty says that there is nothing to see, and what to do. With isPage, it is the whole page.
export function Empty({ title, isPage, children }: { title: string; isPage?: boolean; children?: ComponentChildren }) {
  const Heading = isPage ? "h1" : "h2";
  return (
    <div class="empty">
      <Heading>{title}</Heading>
      {children}
    </div>
  );
}

export function Loading() {
  return <p class="loading" role="status">Loading…</p>;
}

// Pending shows that a part of the page is loading, or that it could not be loaded.
export function Pending({ title, error, retry }: { title: string; error?: Error; retry: () => void }) {
  return (
    <div class="page">
      <header><h1>{title}</h1></header>
      {error ? <Problem error={error} retry={retry} /> : <Loading />}
    </div>
  );
}

interface FieldProps {
  label: string;
  hint?: ComponentChildren;
  children: (props: { id: string; "aria-describedby"?: string }) => ComponentChildren;
}

// Field connects a label and a hint with an input.
export function Field({ label, hint, children }: FieldProps) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children({ id, "aria-describedby": hint ? id + "h" : undefined })}
      {hint && <p class="hint" id={id + "h"}>{hint}</p>}
    </div>
  );
}

export function Badge({ kind, children }: { kind: "good" | "bad" | "busy" | "plain"; children: ComponentChildren }) {
  return <span class={`badge ${kind}`}>{children}</span>;
}

// Copy is a button that copies a text.
export function Copy({ text, label = "Copy" }: { text: string | (() => string); label?: string }) {
  const [done, setDone] = useState(false);
  useEffect(() => {
    if (!done) return;
    const timer = setTimeout(() => setDone(false), 1500);
    return () => clearTimeout(timer);
  }, [done]);
  return (
    <button type="button" class="small" onClick={() => copyText(typeof text === "function" ? text() : text).then(() => setDone(true))}>
      <span aria-live="polite">{done ? "Copied" : label}</span>
    </button>
  );
}

// copyText also works without HTTPS, where browsers have no clipboard for scripts.
export async function copyText(text: string): Promise<void> {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = document.createElement("textarea");
  area.value = text;
  (document.querySelector("dialog[open]") ?? document.body).append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

interface DialogProps {
  title: string;
  wide?: boolean;
  onClose: () => void;
  children: ComponentChildren;
}

export function Dialog({ title, wide, onClose, children }: DialogProps) {
  const ref = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const before = document.activeElement;
    ref.current?.showModal();
    return () => returnFocus(before);
  }, []);
  return (
    <dialog ref={ref} class={wide ? "wide" : ""} tabIndex={-1} aria-labelledby={id} onClose={onClose} onCancel={onClose}>
      <header>
        <h2 id={id}>{title}</h2>
        <button type="button" class="plain" aria-label="Close" onClick={onClose}>✕</button>
      </header>
      {children}
    </dialog>
  );
}

// Confirm asks before an action that cannot be undone.
export function Confirm(props: { title: string; action: string; busy?: boolean; error?: Error; onYes: () => void; onClose: () => void; children: ComponentChildren }) {
  return (
    <Dialog title={props.title} onClose={props.onClose}>
      {props.children}
      <Problem error={props.error} />
      <div class="actions">
        <button type="button" onClick={props.onClose}>Cancel</button>
        <button type="button" class="danger" disabled={props.busy} onClick={props.onYes}>{props.action}</button>
      </div>
    </Dialog>
  );
}

export function save(name: string, content: Blob): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name.split("/").pop() || "file";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
