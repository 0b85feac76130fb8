// Calls a Pyth-On server, in Node and in browsers. index.d.ts describes the interface.

import { defaultKeyCost, encrypt, fromBase64, seal, toBase64 } from './crypto.js';
import { ApiError, ConnectionLostError, UnknownServerError, errorOf } from './errors.js';
import { contentOf, eventOf, messages } from './events.js';

export { ApiError, ConnectionLostError, UnknownServerError, contentOf, defaultKeyCost, encrypt, seal };

/** The longest time that the client waits because of the header Retry-After, in milliseconds. */
const maxRetryAfterMs = 30_000;

/** The longest time that the server waits for the end of a run, in seconds. */
const maxWait = 60;

/**
 * Refuses a path with a segment that is empty, "." or "..". A name or an ID can be such a segment.
 * URL parsers remove the segment. The request, which contains the client's API key, would then reach
 * another operation.
 */
function checkPath(path) {
  if (path.slice(1).split('/').some((segment) => ['', '.', '..'].includes(segment))) {
    throw new TypeError(`the path ${path} has a name or an ID that is empty, "." or ".."`);
  }
}

export class Client {
  #server;
  #headers;
  #retries;
  #fetch;

  constructor(server, { apiKey, token, retries = 2, fetch = globalThis.fetch } = {}) {
    this.#server = new URL(server).href.replace(/\/+$/, '');
    this.#headers = { ...(apiKey && { 'x-api-key': apiKey }), ...(token && { Authorization: `Bearer ${token}` }) };
    this.#retries = retries;
    this.#fetch = fetch.bind(globalThis);
  }

  /** Sends a request once. A redirect is an error, because it could send the key to another host. */
  async #sendOnce({ method, path, query, headers, body, content, signal, accept = 'application/json' }) {
    const parameters = new URLSearchParams(Object.entries(query ?? {}).filter(([, value]) => value !== undefined && value !== ''));
    const target = this.#server + path + (parameters.size ? `?${parameters}` : '');
    const type = body !== undefined ? 'application/json' : content !== undefined ? 'application/octet-stream' : undefined;
    const response = await this.#fetch(target, {
      method,
      signal,
      redirect: 'manual',
      headers: { Accept: accept, ...this.#headers, ...headers, ...(type && { 'Content-Type': type }) },
      body: body !== undefined ? JSON.stringify(body) : content,
    });
    if (!response.ok) throw await errorOf(response);
    return response;
  }

  /** Sends a request. Repeats the request after a failure if the failed request had no effect. */
  async #send(call) {
    checkPath(call.path);
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#sendOnce(call);
      } catch (error) {
        const delay = retryDelay(call, error, attempt);
        if (delay === undefined || attempt >= this.#retries || call.signal?.aborted) throw error;
        await new Promise((done) => setTimeout(done, delay));
      }
    }
  }

  /** Sends a request and returns the decoded answer. */
  async #json(call) {
    const response = await this.#send(call);
    const text = await response.text();
    if (!text) return undefined;
    try {
      return JSON.parse(text);
    } catch {
      throw new UnknownServerError(response.status);
    }
  }

  async *#pages(path, name, query = {}) {
    for (let cursor; ; ) {
      const page = await this.#json({ method: 'GET', path, query: { ...query, cursor } });
      yield* page[name];
      cursor = page.nextCursor;
      if (!cursor) return;
    }
  }

  async *#messages(call) {
    const response = await this.#send({ ...call, accept: 'text/event-stream' });
    if (response.status === 204) return;
    yield* messages(response.body);
  }

  async *#events(call) {
    for await (const message of this.#messages(call)) {
      const event = eventOf(message);
      if (event) yield event;
      if (event?.type === 'end') return;
    }
    throw new ConnectionLostError();
  }

  // Runs.

  run(code, { signal, ...options } = {}) {
    return this.#json({ method: 'POST', path: '/api/v1/execute', body: request(code, options), signal });
  }

  stream(code, { signal, ...options } = {}) {
    return this.#events({ method: 'POST', path: '/api/v1/execute/stream', body: request(code, options), signal });
  }

  start(code, { signal, ...options } = {}) {
    const headers = { Prefer: 'respond-async', ...once() };
    return this.#json({ method: 'POST', path: '/api/v1/execute', body: request(code, options), headers, signal });
  }

  execution(id) {
    return this.#json({ method: 'GET', path: `/api/v1/executions/${encodeURIComponent(id)}` });
  }

  async wait(id, { signal } = {}) {
    for (;;) {
      const run = await this.#json({ method: 'GET', path: `/api/v1/executions/${encodeURIComponent(id)}`, query: { wait: maxWait }, signal });
      if (run.state === 'ended') return run;
    }
  }

  async *events(id, { signal } = {}) {
    let last = 0;
    for (let failures = 0; ; ) {
      let failure = new ConnectionLostError();
      try {
        const headers = last ? { 'Last-Event-ID': String(last) } : {};
        for await (const message of this.#messages({ method: 'GET', path: `/api/v1/executions/${encodeURIComponent(id)}/events`, headers, signal })) {
          last = message.id;
          failures = 0;
          const event = eventOf(message);
          if (event) yield event;
          if (event?.type === 'end') return;
        }
      } catch (error) {
        if (!(error instanceof TypeError)) throw error; // fetch reports lost connections as TypeError.
        failure = error;
      }
      if (++failures > this.#retries) throw failure;
      await new Promise((done) => setTimeout(done, 500 * failures));
    }
  }

  executions(filters) {
    return this.#pages('/api/v1/executions', 'executions', filters);
  }

  cancel(id) {
    return this.#json({ method: 'POST', path: `/api/v1/executions/${encodeURIComponent(id)}/cancel`, headers: once() });
  }

  async deleteExecution(id) {
    await this.#json({ method: 'DELETE', path: `/api/v1/executions/${encodeURIComponent(id)}` });
  }

  // Sessions.

  async openSession(options = {}) {
    return this.#session(await this.#json({ method: 'POST', path: '/api/v1/sessions', body: options, headers: once() }));
  }

  async session(id) {
    return this.#session(await this.#json({ method: 'GET', path: `/api/v1/sessions/${encodeURIComponent(id)}` }));
  }

  #session(info) {
    return new Session(this, info, (call) => this.#json(call), (call) => this.#send(call));
  }

  sessions() {
    return this.#pages('/api/v1/sessions', 'sessions');
  }

  // Secrets, packages and the account.

  secrets() {
    return this.#pages('/api/v1/secrets', 'secrets');
  }

  setSecret(name, value, { description } = {}) {
    return this.#json({ method: 'PUT', path: `/api/v1/secrets/${encodeURIComponent(name)}`, body: { value, description } });
  }

  async deleteSecret(name) {
    await this.#json({ method: 'DELETE', path: `/api/v1/secrets/${encodeURIComponent(name)}` });
  }

  async packages(language = 'python') {
    return (await this.#json({ method: 'GET', path: '/api/v1/packages', query: { language } })).packages;
  }

  addPackage(requirement, { language = 'python' } = {}) {
    return this.#json({ method: 'POST', path: '/api/v1/packages', body: { package: requirement, language }, headers: once() });
  }

  async removePackage(name, { language = 'python' } = {}) {
    await this.#json({ method: 'DELETE', path: `/api/v1/packages/${encodeURIComponent(name)}`, query: { language } });
  }

  audit(filters) {
    return this.#pages('/api/v1/audit', 'entries', filters);
  }

  usage(filters) {
    return this.#json({ method: 'GET', path: '/api/v1/usage', query: filters });
  }

  me() {
    return this.#json({ method: 'GET', path: '/api/v1/me' });
  }

  // Encrypted programs.

  async storeEncrypted(name, code, password, { language, cost } = {}) {
    const body = await encrypt(code, password, { language, name, cost });
    return this.#json({ method: 'PUT', path: `/api/v1/zk/code/${encodeURIComponent(name)}`, body });
  }

  async runEncrypted(name, password, { signal, ...options } = {}) {
    const { sandboxId, publicKey } = await this.#json({ method: 'POST', path: '/api/v1/zk/sandboxes', headers: once(), signal });
    const sealedPassword = toBase64(await seal(password, fromBase64(publicKey), sandboxId));
    const body = { ...encodeFiles(options), sandboxId, sealedPassword };
    return this.#json({ method: 'POST', path: `/api/v1/zk/execute/${encodeURIComponent(name)}`, body, signal });
  }

  async encryptedPrograms() {
    return (await this.#json({ method: 'GET', path: '/api/v1/zk/code' })).code;
  }

  async deleteEncrypted(name) {
    await this.#json({ method: 'DELETE', path: `/api/v1/zk/code/${encodeURIComponent(name)}` });
  }
}

export class Session {
  #client;
  #json;
  #send;

  constructor(client, info, json, send) {
    this.#client = client;
    this.#json = json;
    this.#send = send;
    this.info = info;
    this.id = info.id;
  }

  get #path() {
    return `/api/v1/sessions/${encodeURIComponent(this.id)}`;
  }

  #file(path) {
    return `${this.#path}/files/${path.split('/').map(encodeURIComponent).join('/')}`;
  }

  async close() {
    try {
      await this.#json({ method: 'DELETE', path: this.#path });
    } catch (error) {
      if (error.code !== 'not_found') throw error;
    }
  }

  async change(change = {}) {
    this.info = await this.#json({ method: 'PATCH', path: this.#path, body: change });
    return this.info;
  }

  run(code, options) {
    return this.#client.run(code, { ...options, sessionId: this.id });
  }

  stream(code, options) {
    return this.#client.stream(code, { ...options, sessionId: this.id });
  }

  async interrupt() {
    await this.#json({ method: 'POST', path: `${this.#path}/interrupt`, headers: once() });
  }

  async files() {
    return (await this.#json({ method: 'GET', path: `${this.#path}/files` })).files;
  }

  async readFile(path) {
    const response = await this.#send({ method: 'GET', path: this.#file(path), accept: '*/*' });
    return new Uint8Array(await response.arrayBuffer());
  }

  async writeFile(path, content) {
    await this.#json({ method: 'PUT', path: this.#file(path), content });
  }

  async deleteFile(path) {
    await this.#json({ method: 'DELETE', path: this.#file(path) });
  }
}

// In JavaScript engines that support it, `await using` closes a session.
if (Symbol.asyncDispose) {
  Object.defineProperty(Session.prototype, Symbol.asyncDispose, { value: Session.prototype.close });
}

/** Returns a header with a new idempotency key, so that the server executes a POST request once. */
const once = () => ({ 'Idempotency-Key': crypto.randomUUID() });

const request = (code, options) => ({ code, ...encodeFiles(options) });

/** Converts an object that maps paths to contents to the list of files that the API expects. */
function encodeFiles({ files, ...options }) {
  if (files === undefined || Array.isArray(files)) return files === undefined ? options : { ...options, files };
  const list = Object.entries(files).map(([path, content]) =>
    typeof content === 'string' ? { path, content } : { path, content: toBase64(content), encoding: 'base64' },
  );
  return { ...options, files: list };
}

/** Returns the time until the next attempt in milliseconds, or undefined if the request must not be repeated. */
function retryDelay(call, error, attempt) {
  const backoff = 500 * 2 ** attempt * (0.5 + Math.random() / 2);
  const repeatable = call.method !== 'POST' || call.headers?.['Idempotency-Key'] !== undefined;
  if (error instanceof ApiError) {
    if ((error.status === 429 || error.status === 503) && (error.retryAfterMs ?? 0) <= maxRetryAfterMs) {
      // If the code is 'unavailable', the server may have executed the request.
      return repeatable || error.code !== 'unavailable' ? (error.retryAfterMs ?? backoff) : undefined;
    }
    return error.code === 'in_progress' ? backoff : undefined;
  }
  if (!(error instanceof TypeError)) return undefined; // fetch reports failures of the connection as TypeError.
  const refused = ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN'].includes(error.cause?.code);
  return repeatable || refused ? backoff : undefined;
}
