import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { call, get, send } from "../api/client";
import { follow, stream, type ServerEvent } from "../api/events";
import type { OutputFile, Result, Run, RunRequest } from "../api/types";
import { Screen } from "../output/ansi";

export type Phase = "idle" | "sending" | "queued" | "running" | "ended";

export interface Live {
  phase: Phase;
  id?: string;
  screen: Screen;
  version: number;
  results: Result[];
  files: OutputFile[];
  run?: Run;
  error?: Error;
  // waiting is true while the connection is lost.
  waiting: boolean;
}

// isActive returns true if the run has started and has not ended.
export function isActive({ phase }: Live): boolean {
  return phase === "sending" || phase === "queued" || phase === "running";
}

export const idle = (): Live => ({ phase: "idle", screen: new Screen(), version: 0, results: [], files: [], waiting: false });

// progress returns what an event of a run changes. It writes text to the screen of the
// state.
export function progress(state: Live, { type, data }: ServerEvent): Partial<Live> {
  switch (type) {
    case "start":
      return { phase: "running", id: data.id };
    case "stdout":
    case "stderr":
      state.screen.write(type, data.text);
      return { phase: "running" };
    case "result":
      return { results: [...state.results, data] };
    case "file":
      return { files: [...state.files, data] };
    case "end":
      // An answer without a stream has the whole output.
      if ((data.stdout || data.stderr) && !state.screen.plain()) {
        state.screen.write("stdout", data.stdout ?? "");
        state.screen.write("stderr", data.stderr ?? "");
      }
      return {
        phase: "ended", run: data, waiting: false,
        results: state.results.length ? state.results : data.results ?? [], files: state.files.length ? state.files : data.files ?? [],
      };
    case "error":
      return { phase: "ended", error: new Error(data.detail ?? data.title), waiting: false };
    default:
      return {};
  }
}

// useRun starts runs and follows their events. A run continues if the page is reloaded or
// loses its connection, because the server runs it independently of the page.
export function useRun() {
  const [live, setLive] = useState<Live>(idle);
  const current = useRef<{ state: Live; abort: AbortController; frame: number }>({ state: live, abort: new AbortController(), frame: 0 });

  // The state changes at most once per frame, because programs can write a lot of output.
  const show = useCallback((change: Partial<Live>) => {
    const c = current.current;
    c.state = { ...c.state, ...change, version: c.state.version + 1 };
    if (c.frame) return;
    c.frame = requestAnimationFrame(() => {
      c.frame = 0;
      setLive(c.state);
    });
    // Hidden tabs have no frames.
    if (document.hidden) {
      cancelAnimationFrame(c.frame);
      c.frame = 0;
      setLive(c.state);
    }
  }, []);

  const begin = useCallback((phase: Phase, id?: string) => {
    const c = current.current;
    c.abort.abort();
    c.abort = new AbortController();
    c.state = { ...idle(), phase, id };
    show({});
    return c.abort.signal;
  }, []);

  const take = useCallback((event: ServerEvent) => show(progress(current.current.state, event)), []);

  const consume = useCallback(async (events: AsyncIterable<ServerEvent>, signal: AbortSignal) => {
    try {
      for await (const event of events) if (!signal.aborted) take(event);
      if (!signal.aborted && current.current.state.phase !== "ended") show({ phase: "ended", error: new Error("The server ended the connection before the run ended.") });
    } catch (error) {
      if (!signal.aborted) show({ phase: "ended", error: error as Error, waiting: false });
    }
  }, []);

  const attach = useCallback((id: string) => {
    const signal = begin("queued", id);
    return consume(follow(id, signal, (waiting) => waiting !== current.current.state.waiting && show({ waiting })), signal);
  }, []);

  // start runs a program, and returns the ID of the run. The server stores the run before
  // it answers, unless the request forbids it.
  const start = useCallback(async (request: RunRequest, headers: Record<string, string> = {}): Promise<string | undefined> => {
    const signal = begin("sending");
    try {
      if (request.store === false || request.sessionId) {
        await consume(stream("POST", "/api/v1/execute", { body: request, headers, signal }), signal);
        return current.current.state.id;
      }
      const key = { "Idempotency-Key": randomKey() };
      const response = await send("POST", "/api/v1/execute", { body: request, headers: { Prefer: "respond-async", ...key, ...headers }, signal });
      const run: Run = await response.json();
      if (response.status !== 202) {
        take({ id: "", type: "end", data: run });
        return run.id;
      }
      void attach(run.id);
      return run.id;
    } catch (error) {
      if (!signal.aborted) show({ phase: "ended", error: error as Error });
      return undefined;
    }
  }, []);

  // open shows a run whose events come from another request.
  const open = useCallback((events: (signal: AbortSignal) => AsyncIterable<ServerEvent>) => {
    const signal = begin("sending");
    return consume(events(signal), signal);
  }, []);

  // Before the server has answered, the run has no ID. In this case, stop aborts the
  // request.
  const stop = useCallback(async () => {
    const { id } = current.current.state;
    if (!id) return void begin("idle");
    show({ error: undefined });
    await call("POST", `/api/v1/executions/${id}/cancel`).catch((error: Error) => current.current.state.id === id && isActive(current.current.state) && show({ error }));
  }, []);

  useEffect(() => () => current.current.abort.abort(), []);
  return { live, start, open, attach, stop };
}

// loadRun returns the record of a run with its code.
export function loadRun(id: string, signal?: AbortSignal): Promise<Run> {
  return get<Run>(`/api/v1/executions/${encodeURIComponent(id)}`, signal);
}

function randomKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");
}
