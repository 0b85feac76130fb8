import type {
  AuditAction,
  AuditEntry,
  EncryptedCodeMetadata,
  ErrorCode,
  ErrorField,
  ExecuteResponse,
  Execution,
  ExecutionState,
  ExecutionStatus,
  ExecutionSummary,
  InputFile,
  Language,
  Outcome,
  OutputFile,
  PackageInfo,
  ResultValue,
  RunOptions as ApiRunOptions,
  SecretMetadata,
  SessionChange,
  SessionFile,
  SessionInfo,
  SessionRequest,
  UsageGroup,
  UsageReport,
  UserInfo,
  WebhookRequest,
  ZKPayload,
} from './types.js';

export type * from './types.js';

/** Text as a string or as bytes. */
export type Data = string | Uint8Array;

export interface ClientOptions {
  apiKey?: string;
  /** The token of a login, instead of an API key. */
  token?: string;
  /** How often the client repeats a request that had no effect. The default is 2. */
  retries?: number;
  fetch?: typeof fetch;
}

export interface RunOptions extends Omit<ApiRunOptions, 'files'> {
  /** An object that maps paths to contents, or a list of input files in the format of the API. */
  files?: Record<string, Data> | InputFile[];
  /** Cancels the run. */
  signal?: AbortSignal;
}

export interface ProgramOptions extends RunOptions {
  language?: Language;
}

export interface StartOptions extends ProgramOptions {
  webhook?: WebhookRequest;
}

/** An event of a run. The last event has the type end. The stdout and stderr of its run are empty. */
export type Event =
  | { type: 'start'; id: string }
  | { type: 'stdout' | 'stderr'; text: string }
  | { type: 'result'; value: ResultValue }
  | { type: 'file'; path: string; mediaType: string; content: Uint8Array }
  | { type: 'end'; run: ExecuteResponse };

/** Calls the API of one server with the credentials of one user. */
export declare class Client {
  constructor(server: string, options?: ClientOptions);

  /** Runs a program and returns its result when it ends. */
  run(code: string, options?: ProgramOptions): Promise<ExecuteResponse>;
  /** Runs a program and returns its events. If you leave the loop, the server cancels the run. */
  stream(code: string, options?: ProgramOptions): AsyncGenerator<Event, void, undefined>;
  /** Queues a program and returns without waiting for its end. */
  start(code: string, options?: StartOptions): Promise<Execution>;
  /** Returns a run with its code and output. */
  execution(id: string): Promise<Execution>;
  /** Waits until a run has ended, and returns the run. */
  wait(id: string, options?: { signal?: AbortSignal }): Promise<Execution>;
  /** Returns all events of a run. After a lost connection, it connects again and continues with the next event. */
  events(id: string, options?: { signal?: AbortSignal }): AsyncGenerator<Event, void, undefined>;
  /** Returns the runs, newest first. */
  executions(filters?: {
    state?: ExecutionState;
    status?: ExecutionStatus;
    language?: Language;
    label?: string;
    sessionId?: string;
    key?: string;
    since?: string;
    until?: string;
  }): AsyncGenerator<ExecutionSummary, void, undefined>;
  /** Cancels a run. It does not wait for the end of the run. */
  cancel(id: string): Promise<Execution>;
  /** Deletes a run with its code and output. */
  deleteExecution(id: string): Promise<void>;

  /** Opens a session. Close it when it is no longer needed. */
  openSession(options?: SessionRequest): Promise<Session>;
  /** Returns an open session. */
  session(id: string): Promise<Session>;
  /** Returns the open sessions, oldest first. */
  sessions(): AsyncGenerator<SessionInfo, void, undefined>;

  /** Returns the secrets, without their values. */
  secrets(): AsyncGenerator<SecretMetadata, void, undefined>;
  /** Creates a secret, or replaces its value. */
  setSecret(name: string, value: string, options?: { description?: string }): Promise<SecretMetadata>;
  /** Deletes a secret. */
  deleteSecret(name: string): Promise<void>;
  /** Returns the packages of a language. */
  packages(language?: Language): Promise<PackageInfo[]>;
  /** Installs a package, such as numpy>=2, with its dependencies. */
  addPackage(requirement: string, options?: { language?: Language }): Promise<PackageInfo>;
  /** Removes a package, and its dependencies that no other package needs. */
  removePackage(name: string, options?: { language?: Language }): Promise<void>;
  /** Returns the entries of the audit log, newest first. */
  audit(filters?: {
    action?: AuditAction;
    outcome?: Outcome;
    label?: string;
    since?: string;
    until?: string;
  }): AsyncGenerator<AuditEntry, void, undefined>;
  /** Returns usage and quotas. */
  usage(filters?: { by?: UsageGroup; since?: string; until?: string }): Promise<UsageReport>;
  /** Returns the account. */
  me(): Promise<UserInfo>;

  /** Encrypts a program on this machine, and stores it. The server receives neither the program nor the password. */
  storeEncrypted(
    name: string,
    code: Data,
    password: Data,
    options?: { language?: Language; cost?: KeyCost },
  ): Promise<EncryptedCodeMetadata>;
  /** Runs an encrypted program. Only the sandbox of the run can decrypt the password. */
  runEncrypted(name: string, password: Data, options?: RunOptions): Promise<ExecuteResponse>;
  /** Returns the encrypted programs. */
  encryptedPrograms(): Promise<EncryptedCodeMetadata[]>;
  /** Deletes an encrypted program. */
  deleteEncrypted(name: string): Promise<void>;
}

/** A session on the server, which keeps variables and files between runs. `await using` closes it. */
export declare class Session {
  private constructor();
  readonly id: string;
  /** The state of the session after the last call of change(), or when you opened or fetched the session. */
  readonly info: SessionInfo;
  /** Ends the session and deletes its files. If the session has already ended, this is not an error. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
  /** Changes the name, the labels or the idle time-out, and prolongs the session. Without changes, it only prolongs the session. */
  change(change?: SessionChange): Promise<SessionInfo>;
  /** Runs code in the session. */
  run(code: string, options?: RunOptions): Promise<ExecuteResponse>;
  /** Runs code in the session and returns its events. */
  stream(code: string, options?: RunOptions): AsyncGenerator<Event, void, undefined>;
  /** Ends the current run, as Ctrl-C does in a terminal. The session keeps its variables. */
  interrupt(): Promise<void>;
  files(): Promise<SessionFile[]>;
  readFile(path: string): Promise<Uint8Array>;
  /** Writes a file, and replaces a file at the same path. */
  writeFile(path: string, content: Data): Promise<void>;
  deleteFile(path: string): Promise<void>;
}

/** An error of the server (RFC 9457). Its code is stable. */
export declare class ApiError extends Error {
  private constructor();
  readonly code: ErrorCode;
  readonly status: number;
  readonly detail: string;
  readonly requestId: string;
  readonly errors: ErrorField[];
  readonly retryAfterMs?: number;
}

/** The connection was lost before the run ended. */
export declare class ConnectionLostError extends Error {}

/** The answer is not from a Pyth-On server. */
export declare class UnknownServerError extends Error {}

/** The cost of the key derivation with Argon2id. */
export interface KeyCost {
  readonly time: number;
  readonly memoryKiB: number;
  readonly parallelism: number;
}

/** The cost that RFC 9106 recommends. */
export declare const defaultKeyCost: KeyCost;

/**
 * Encrypts a program. If a name is given, the server runs the program only under this name. The options
 * salt and nonce are for tests; by default they are random.
 */
export declare function encrypt(
  code: Data,
  password: Data,
  options?: { language?: Language; name?: string; cost?: KeyCost; salt?: Uint8Array; nonce?: Uint8Array },
): Promise<ZKPayload>;

/** Encrypts a password for one sandbox. The parameter ephemeral is for tests; by default it is random. */
export declare function seal(password: Data, publicKey: Uint8Array, sandboxId: string, ephemeral?: Uint8Array): Promise<Uint8Array>;

/** Returns the bytes of an output file. */
export declare function contentOf(file: OutputFile): Uint8Array;
