import { useEffect, useRef, useState } from "preact/hooks";
import { onRequest, type SentRequest } from "../api/client";

// Shorter texts can be part of an unrelated text by chance.
const shortest = 6;

export interface Checked extends SentRequest {
  hasProgram: boolean;
  hasPassword: boolean;
}

export interface Evidence {
  requests: Checked[];
  // unknown lists requests that the browser reports, but that the page has not recorded.
  unknown: string[];
  // protect adds a text that must not leave the page.
  protect: (kind: "program" | "password", text: string) => void;
}

// useEvidence records all requests of the page, and searches them for the programs and
// passwords of the user.
export function useEvidence(): Evidence {
  const kept = useRef({ requests: [] as SentRequest[], program: new Set<string>(), password: new Set<string>(), unknown: [] as string[] });
  const [state, setState] = useState<Omit<Evidence, "protect">>({ requests: [], unknown: [] });
  const show = () => {
    const { requests, program, password, unknown } = kept.current;
    setState({ unknown, requests: requests.map((r) => ({ ...r, hasProgram: hasAny(r, program), hasPassword: hasAny(r, password) })) });
  };
  useEffect(() => {
    const k = kept.current;
    onRequest((r) => (k.requests.push(r), show()));
    // The browser also reports requests that other code of the page makes.
    const observer = new PerformanceObserver((list) => {
      const paths = new Set(k.requests.map((r) => r.path));
      const names = list.getEntries().map((e) => e as PerformanceResourceTiming).filter((e) => ["fetch", "xmlhttprequest", "beacon"].includes(e.initiatorType)).map((e) => e.name);
      const unknown = names.filter((name) => !name.startsWith(location.origin + "/") || !paths.has(name.slice(location.origin.length)));
      if (unknown.length) (k.unknown = [...k.unknown, ...unknown]), show();
    });
    observer.observe({ type: "resource" });
    return () => (onRequest(undefined), observer.disconnect());
  }, []);
  const protect = (kind: "program" | "password", text: string) => {
    for (const form of kind === "program" ? [...forms(text), ...lines(text)] : forms(text)) kept.current[kind].add(form);
    show();
  };
  return { ...state, protect };
}

function hasAny({ path, body }: SentRequest, texts: Set<string>): boolean {
  for (const text of texts) if (body.includes(text) || path.includes(text)) return true;
  return false;
}

// forms returns a text in the forms that it could have in a request.
export function forms(text: string): string[] {
  const all = new Set<string>();
  for (const t of [text, text.normalize("NFC")]) {
    const data = new TextEncoder().encode(t);
    const hex = Array.from(data, (b) => b.toString(16).padStart(2, "0")).join("");
    for (const form of [t, JSON.stringify(t).slice(1, -1), encodeURIComponent(t), hex, hex.toUpperCase(), ...base64Forms(data)]) all.add(form);
  }
  return [...all].filter((f) => f.length >= shortest);
}

// base64Forms returns the base64 of the data at each of the three positions in a group of
// three bytes, without the characters that also depend on other data.
function base64Forms(data: Uint8Array): string[] {
  return [0, 1, 2].flatMap((shift) => {
    const padded = new Uint8Array(shift + data.length);
    padded.set(data, shift);
    let binary = "";
    for (const byte of padded) binary += String.fromCharCode(byte);
    const end = Math.floor((padded.length * 8) / 6);
    const text = btoa(binary).slice(Math.ceil((shift * 8) / 6), end);
    return [text, text.replaceAll("+", "-").replaceAll("/", "_")];
  });
}

// lines returns the long lines of a program. Even a single line must not leave the page.
function lines(text: string): string[] {
  const long = text.split("\n").map((l) => l.trim()).filter((l) => l.length >= 16);
  return long.sort((a, b) => b.length - a.length).slice(0, 200).flatMap((l) => [l, JSON.stringify(l).slice(1, -1)]);
}
