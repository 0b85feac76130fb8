import type { InputFile, RunRequest } from "../api/types";

// Draft contains the text that the user enters on the page Run.
export interface Draft {
  code: string;
  language: string;
  runtime: string;
  args: string;
  stdin: string;
  env: string;
  files: InputFile[];
  outputFiles: string;
  secrets: "all" | "none" | string[];
  network: string;
  timeout: string;
  memory: string;
  cpu: string;
  disk: string;
  output: string;
  processes: string;
  labels: string;
  isolated: boolean;
  store: boolean;
}

export const emptyDraft: Draft = {
  code: "", language: "python", runtime: "", args: "", stdin: "", env: "", files: [], outputFiles: "", secrets: "all", network: "",
  timeout: "", memory: "", cpu: "", disk: "", output: "", processes: "", labels: "", isolated: false, store: true,
};

const mib = 1 << 20;

// requestOf returns the request of a draft. It throws an Error that says what to change.
export function requestOf(d: Draft): RunRequest {
  if (!d.code.trim()) throw new Error("There is no program. Write one, or choose an example.");
  return { code: d.code, language: d.language, ...optionsOf(d) };
}

// optionsOf returns the settings of a draft without the program.
export function optionsOf(d: Draft): Omit<RunRequest, "code" | "language"> {
  const r: Omit<RunRequest, "code" | "language"> = {};
  if (d.runtime) r.runtime = d.runtime;
  if (d.stdin) r.stdin = d.stdin;
  const args = splitArguments(d.args);
  if (args.length) r.args = args;
  const env = environment(d.env);
  if (Object.keys(env).length) r.env = env;
  if (d.files.length) r.files = d.files;
  const outputs = words(d.outputFiles);
  if (outputs.length) r.outputFiles = outputs;
  if (d.secrets !== "all") r.secrets = d.secrets === "none" ? [] : d.secrets;
  const hosts = words(d.network);
  if (hosts.length) r.network = { allow: hosts };
  const timeout = number(d.timeout, "Time limit");
  if (timeout) r.timeoutMs = Math.round(timeout * 1000);
  const limits: NonNullable<RunRequest["limits"]> = {};
  const set = (name: keyof typeof limits, text: string, label: string, factor: number) => {
    const n = number(text, label);
    if (n) limits[name] = Math.round(n * factor);
  };
  set("memoryBytes", d.memory, "Memory", mib);
  set("cpuMs", d.cpu, "Processor time", 1000);
  set("diskBytes", d.disk, "Disk", mib);
  set("outputBytes", d.output, "Output", mib);
  set("processes", d.processes, "Processes", 1);
  if (Object.keys(limits).length) r.limits = limits;
  const labels = d.labels.split(",").map((l) => l.trim()).filter(Boolean);
  if (labels.length) r.labels = labels;
  if (d.isolated) r.isolation = "execution";
  if (!d.store) r.store = false;
  return r;
}

// draftOf returns a draft for the request of an earlier run.
export function draftOf(code: string, language: string): Draft {
  return { ...emptyDraft, code, language };
}

// settingsOf returns the names of the settings that a draft changes. The code is not a
// setting.
export function settingsOf(d: Draft): string[] {
  const out: string[] = [];
  const add = (on: unknown, text: string) => on && out.push(text);
  add(d.args.trim(), "arguments");
  add(d.stdin, "input");
  add(d.files.length, d.files.length === 1 ? "1 file" : `${d.files.length} files`);
  add(words(d.network).length, "network");
  add(d.secrets === "none", "no secrets");
  add(Array.isArray(d.secrets), `${d.secrets.length} secrets`);
  add(d.env.trim(), "environment");
  add(d.timeout || d.memory || d.cpu || d.disk || d.output || d.processes, "limits");
  add(d.outputFiles.trim(), "result files");
  add(d.runtime, d.runtime);
  return out;
}

// words splits a text at spaces and commas.
export function words(text: string): string[] {
  return text.split(/[\s,]+/).filter(Boolean);
}

function number(text: string, label: string): number {
  if (!text.trim()) return 0;
  const n = Number(text);
  if (!(n > 0)) throw new Error(`${label} must be a number above 0.`);
  return n;
}

function environment(text: string): Record<string, string> {
  const out: Record<string, string> = {};
  for (const line of text.split("\n")) {
    if (!line.trim()) continue;
    const at = line.indexOf("=");
    if (at < 1) throw new Error(`The environment has the line "${line}". Write each variable as NAME=value.`);
    out[line.slice(0, at).trim()] = line.slice(at + 1);
  }
  return out;
}

// splitArguments splits a line at spaces, except in quotes, as a shell does.
function splitArguments(line: string): string[] {
  const out: string[] = [];
  let word = "", quote = "", inWord = false;
  for (let i = 0; i < line.length; i++) {
    const c = line[i];
    if (quote) {
      if (c === quote) quote = "";
      else if (c === "\\" && quote === '"' && i + 1 < line.length) word += line[++i];
      else word += c;
    } else if (c === '"' || c === "'") (quote = c), (inWord = true);
    else if (c === "\\" && i + 1 < line.length) (word += line[++i]), (inWord = true);
    else if (/\s/.test(c)) {
      if (inWord) out.push(word);
      word = "";
      inWord = false;
    } else (word += c), (inWord = true);
  }
  if (quote) throw new Error(`The arguments have an open quote ${quote}. Close it.`);
  if (inWord) out.push(word);
  return out;
}
