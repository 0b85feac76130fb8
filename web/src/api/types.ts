// Types of the API that the page uses. The document /openapi.json contains all types of
// the API.

export type Language = string;

export interface Problem {
  status: number;
  code: string;
  title: string;
  detail?: string;
  requestId?: string;
  errors?: { location: string; message: string }[];
}

export interface User {
  id: string;
  email: string;
  emailConfirmed: boolean;
  createdAt: string;
}

export interface Login {
  user: User;
  role: "user" | "admin";
  expiresAt: string;
}

export interface Limits {
  memoryBytes: number;
  cpuMs?: number;
  outputBytes: number;
  diskBytes: number;
  processes: number;
}

export interface ServerInfo {
  name: string;
  version: string;
  languages: { name: Language; version: string; runtimes: { name: string; version: string }[] }[];
  limits: {
    defaultTimeoutMs: number;
    maxTimeoutMs: number;
    maxFiles: number;
    maxFilesBytes: number;
    default: Limits;
    max: Limits;
  };
  // oidc is absent if the server has no OIDC provider.
  oidc?: { name: string; path: string };
  features: string[];
}

export interface InputFile {
  path: string;
  content: string;
  encoding?: "utf8" | "base64";
}

export interface RunRequest {
  code: string;
  language?: Language;
  runtime?: string;
  stdin?: string;
  args?: string[];
  env?: Record<string, string>;
  secrets?: string[];
  files?: InputFile[];
  outputFiles?: string[];
  timeoutMs?: number;
  limits?: Partial<Limits>;
  network?: { allow: string[] };
  sessionId?: string;
  isolation?: "tenant" | "execution";
  labels?: string[];
  store?: boolean;
}

export type Result = Record<string, unknown>;

export interface OutputFile {
  path: string;
  sizeBytes: number;
  content: string;
  encoding: "utf8" | "base64";
  mediaType: string;
}

export interface RunError {
  name: string;
  message: string;
  traceback: string;
  hint?: string;
  line?: number;
}

export interface Usage {
  wallMs: number;
  cpuMs: number;
  memoryPeakBytes: number;
  queuedMs: number;
  network?: { host: string; port: number; sentBytes: number; receivedBytes: number; verdict: string; reason?: string; count: number }[];
}

export interface Run {
  id: string;
  state?: "queued" | "running" | "ended";
  language: Language;
  labels?: string[];
  sessionId?: string;
  keyId?: string;
  encryptedName?: string;
  createdAt: string;
  startedAt?: string;
  endedAt?: string;
  status?: string;
  reason?: string;
  exitCode?: number;
  signal?: string;
  code?: string;
  content?: string;
  stdout?: string;
  stderr?: string;
  stdoutTruncated?: boolean;
  stderrTruncated?: boolean;
  error?: RunError;
  results?: Result[];
  resultsTruncated?: boolean;
  resultsSkipped?: { mediaType: string; reason: string }[];
  files?: OutputFile[];
  filesSkipped?: { path: string; reason: string }[];
  redactions?: number;
  usage?: Usage;
  sessionEnded?: boolean;
}

export interface Secret {
  name: string;
  description?: string;
  version: number;
  createdAt: string;
  updatedAt: string;
  lastUsedAt?: string;
}
