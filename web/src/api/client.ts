import type { Problem } from "./types";

// ApiError says what happened, why, and what to do.
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  readonly requestId?: string;
  readonly faults: { location: string; message: string }[];
  // problem is the body of the answer.
  readonly problem: Partial<Problem>;

  constructor(problem: Partial<Problem> & { status: number }) {
    super(problem.detail || problem.title || `The server answered with the status ${problem.status}.`);
    this.problem = problem;
    this.status = problem.status;
    this.code = problem.code ?? "unknown";
    this.requestId = problem.requestId;
    this.faults = problem.errors ?? [];
  }
}

const offline = () =>
  new ApiError({ status: 0, code: "offline", detail: "The server does not answer. Check your connection, and try again." });

export interface Options {
  body?: unknown;
  // raw is a body that is not JSON.
  raw?: Blob | Uint8Array<ArrayBuffer> | string;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

export interface SentRequest {
  method: string;
  path: string;
  // body is empty for a request without a body, and for a body that is not text.
  body: string;
}

let sent: ((request: SentRequest) => void) | undefined;
// onRequest sets the function that gets all requests of the page before they are sent.
export function onRequest(run: typeof sent): void {
  sent = run;
}

async function attempt(method: string, path: string, o: Options): Promise<Response> {
  const headers = new Headers(o.headers);
  let body: BodyInit | undefined = o.raw;
  if (o.body !== undefined) {
    headers.set("Content-Type", "application/json");
    body = JSON.stringify(o.body);
  }
  sent?.({ method, path, body: typeof body === "string" ? body : "" });
  try {
    return await fetch(path, { method, headers, body, signal: o.signal, credentials: "same-origin", cache: "no-store" });
  } catch (error) {
    if (o.signal?.aborted) throw error;
    throw offline();
  }
}

let signedOut: () => void = () => {};
// onSignedOut sets the function that runs when the login has ended.
export function onSignedOut(run: () => void): void {
  signedOut = run;
}

const signedInEvent = "pyth-on-signed-in";

// onSignedIn calls run when the user has signed in again after the login had ended. It
// returns a function that removes run.
export function onSignedIn(run: () => void): () => void {
  addEventListener(signedInEvent, run);
  return () => removeEventListener(signedInEvent, run);
}

// announceSignIn calls the functions of onSignedIn.
export function announceSignIn(): void {
  dispatchEvent(new Event(signedInEvent));
}

const loginPath = "/api/v1/login-cookie";
const renewedKey = "pyth-on.renewed";

// markRenewed stores the time at which this browser got a new token.
export function markRenewed(): void {
  localStorage.setItem(renewedKey, String(Date.now()));
}

// onRenewed calls run when another tab gets a new token, for example after a sign-in. It
// returns a function that removes run.
export function onRenewed(run: () => void): () => void {
  const changed = (e: StorageEvent) => e.key === renewedKey && run();
  addEventListener("storage", changed);
  return () => removeEventListener("storage", changed);
}

// endedAt is the time at which the server refused to renew the login. After that, the
// user must sign in again.
let endedAt = 0;

// renew gets a new token cookie. Only one tab renews the login at a time, because a
// refresh token works only once. Another tab may have renewed the login while this tab
// was waiting.
async function renew(since: number): Promise<boolean> {
  const exchange = async () => {
    const renewed = Number(localStorage.getItem(renewedKey));
    if (renewed > since) return true;
    if (endedAt > renewed) return false;
    const response = await attempt("POST", loginPath, {});
    if (response.ok) markRenewed();
    else if (response.status !== 401 && response.status !== 403) throw await problemOf(response);
    else endedAt = Date.now();
    return response.ok;
  };
  // Browsers offer locks only if the page uses HTTPS, or if the server is on the same
  // machine.
  return navigator.locks ? navigator.locks.request("pyth-on.renew", exchange) : exchange();
}

async function problemOf(response: Response): Promise<ApiError> {
  let problem: Partial<Problem> = {};
  try {
    problem = await response.json();
  } catch {
    // A proxy may send an error response that contains no JSON.
  }
  const error = new ApiError({ ...problem, status: response.status });
  const wait = response.headers.get("Retry-After");
  if (response.status === 429 && wait) error.message += ` Try again in ${wait} seconds.`;
  return error;
}

// send sends a request and returns its response. If the token has expired, it renews the
// login first. A response with an error becomes an ApiError.
export async function send(method: string, path: string, options: Options = {}): Promise<Response> {
  const since = Date.now();
  let response = await attempt(method, path, options);
  if (response.ok) return response;
  let problem = await problemOf(response);
  // For a wrong password, the status is also 401, but the code is different.
  if (problem.code === "unauthenticated" && (path !== loginPath || method === "GET")) {
    if (await renew(since)) {
      response = await attempt(method, path, options);
      if (response.ok) return response;
      problem = await problemOf(response);
    }
    if (problem.code === "unauthenticated") signedOut();
  }
  throw problem;
}

export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return (await send("GET", path, { signal })).json();
}

export async function call<T = void>(method: string, path: string, body?: unknown): Promise<T> {
  const response = await send(method, path, { body });
  const text = await response.text();
  return (text ? JSON.parse(text) : undefined) as T;
}

// query returns the path with the parameters that have a value.
export function query(path: string, parameters: Record<string, string | number | undefined>): string {
  const q = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) if (value !== undefined && value !== "") q.set(name, String(value));
  const text = q.toString();
  return text ? `${path}?${text}` : path;
}
