import { useState } from "preact/hooks";
import type { OutputFile, Result } from "../api/types";
import { bytes } from "../ui/format";
import { Copy, save } from "../ui/parts";
import { Frame } from "./frame";
import { Grid, parseCSV, tableOf } from "./table";

const pictures = ["image/png", "image/jpeg", "image/gif", "image/webp"];

// Value shows a rich value in the best of its media types.
export function Value({ result, number }: { result: Result; number: number }) {
  const title = `Result ${number}`;
  for (const type of pictures) {
    const data = result[type];
    if (typeof data === "string") return <Picture type={type} data={data.replace(/\s/g, "")} title={title} />;
  }
  const svg = result["image/svg+xml"];
  if (typeof svg === "string") return <Picture type="image/svg+xml" data={base64(svg)} title={title} />;
  const html = result["text/html"];
  if (typeof html === "string") return <Frame html={html} title={title} />;
  const json = result["application/json"];
  if (json !== undefined) {
    const table = tableOf(json);
    if (table) return <Grid table={table} label={title} />;
    if (result["text/plain"] === undefined) return <Text text={JSON.stringify(json, null, 2)} />;
  }
  const text = result["text/plain"] ?? Object.values(result)[0];
  return <Text text={typeof text === "string" ? text : JSON.stringify(text)} />;
}

function Picture({ type, data, title }: { type: string; data: string; title: string }) {
  return (
    <figure class="picture">
      <img src={`data:${type};base64,${data}`} alt={`${title}, a picture`} />
      <figcaption>
        <button type="button" class="small" onClick={() => save(`${title}.${type.split("/")[1].split("+")[0]}`, blobOf(data, type))}>Download</button>
      </figcaption>
    </figure>
  );
}

function Text({ text }: { text: string }) {
  return (
    <div class="text">
      <pre tabIndex={0} dir="auto">{text}</pre>
      <div class="corner"><Copy text={text} /></div>
    </div>
  );
}

export function Files({ files, skipped }: { files: OutputFile[]; skipped?: { path: string; reason: string }[] }) {
  return (
    <ul class="files">
      {files.map((f) => <FileItem key={f.path} file={f} />)}
      {skipped?.map((f) => <li key={f.path}><span class="name">{f.path}</span><span class="dim">not returned: {f.reason}</span></li>)}
    </ul>
  );
}

function FileItem({ file }: { file: OutputFile }) {
  const [open, setOpen] = useState(false);
  const picture = file.mediaType.startsWith("image/");
  const preview = picture || file.encoding === "utf8";
  const blob = () => (file.encoding === "base64" ? blobOf(file.content, file.mediaType) : new Blob([file.content], { type: file.mediaType }));
  const table = open && file.mediaType.startsWith("text/csv") ? parseCSV(file.content) : undefined;
  return (
    <li>
      <span class="name">{file.path}</span>
      <span class="dim">{bytes(file.sizeBytes)}</span>
      {preview && <button type="button" class="small" aria-expanded={open} onClick={() => setOpen(!open)}>{open ? "Hide" : "Show"}</button>}
      <button type="button" class="small" onClick={() => save(file.path, blob())}>Download</button>
      {open && (
        <div class="preview">
          {picture ? (
            <img alt={file.path} src={`data:${file.mediaType};base64,${file.encoding === "base64" ? file.content : base64(file.content)}`} />
          ) : table ? (
            <Grid table={table} label={file.path} />
          ) : (
            <pre tabIndex={0} dir="auto">{file.content.slice(0, 200_000)}</pre>
          )}
        </div>
      )}
    </li>
  );
}

export function base64(text: string): string {
  return bytesToBase64(new TextEncoder().encode(text));
}

export function bytesToBase64(data: Uint8Array): string {
  let binary = "";
  for (let i = 0; i < data.length; i += 8192) binary += String.fromCharCode(...data.subarray(i, i + 8192));
  return btoa(binary);
}

function base64ToBytes(data: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
}

function blobOf(data: string, type: string): Blob {
  return new Blob([base64ToBytes(data)], { type });
}
