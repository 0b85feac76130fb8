import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { stream, type ServerEvent } from "../api/events";
import type { Run } from "../api/types";
import { idle, progress, type Live } from "../run/use-run";

export interface Attempt {
  number: number;
  text: string;
  code?: string;
  live: Live;
}

export interface Answer {
  id: string;
  language: string;
  model: string;
  attempts: { code: string; explanation: string; execution?: Run }[];
  missingPackages: string[];
  stopped?: { code: string; detail: string };
  usage: { inputTokens: number; cachedInputTokens: number; outputTokens: number };
}

export interface Generation {
  busy: boolean;
  attempts: Attempt[];
  answer?: Answer;
  error?: Error;
}

// useGeneration asks the model for a program and follows its attempts. The server stops
// this work if the page is closed.
export function useGeneration() {
  const [state, setState] = useState<Generation>({ busy: false, attempts: [] });
  const abort = useRef(new AbortController());
  useEffect(() => () => abort.current.abort(), []);

  const ask = useCallback(async (request: object) => {
    abort.current.abort();
    const { signal } = (abort.current = new AbortController());
    let generation: Generation = { busy: true, attempts: [] };
    let frame = 0;
    // A program can write a lot of output, so the page changes at most once per frame.
    const show = (next: Generation) => {
      generation = next;
      frame ||= requestAnimationFrame(() => ((frame = 0), signal.aborted || setState(generation)));
    };
    setState(generation);
    try {
      for await (const event of stream("POST", "/api/v1/generate", { body: request, signal })) show(take(generation, event));
    } catch (error) {
      if (!signal.aborted) show({ ...generation, error: error as Error });
    }
    cancelAnimationFrame(frame);
    if (!signal.aborted) setState({ ...generation, busy: false });
  }, []);

  const stop = useCallback(() => {
    abort.current.abort();
    setState((s) => ({ ...s, busy: false, attempts: s.attempts.map((a) => ({ ...a, live: ended(a.live) })), error: new Error("You stopped the model and the run.") }));
  }, []);
  return { generation: state, ask, stop };
}

// ended marks the run of an attempt as ended, if there is one. The answer of the server
// contains the result later.
function ended(live: Live): Live {
  return live.phase === "running" ? { ...live, phase: "ended" } : live;
}

function take(g: Generation, event: ServerEvent): Generation {
  const { type, data } = event;
  const change = (update: (a: Attempt) => Partial<Attempt>): Generation => ({ ...g, attempts: g.attempts.map((a, i) => (i === g.attempts.length - 1 ? { ...a, ...update(a) } : a)) });
  switch (type) {
    case "attempt": {
      // An attempt without a program is not part of the answer.
      const earlier = g.attempts.filter((a) => a.code !== undefined).map((a) => ({ ...a, live: ended(a.live) }));
      return { ...g, attempts: [...earlier, { number: earlier.length + 1, text: "", live: idle() }] };
    }
    case "text":
      return change((a) => ({ text: a.text + data.text }));
    case "code":
      return change(() => ({ code: data.code }));
    case "start": // A program runs again after the installation of packages.
      return change(() => ({ live: { ...idle(), phase: "running", id: data.id } }));
    case "error":
      return { ...g, error: new Error(data.detail ?? data.title) };
    case "end":
      return complete(g, data as Answer);
    default:
      return change((a) => ({ live: { ...a.live, ...progress(a.live, event), version: a.live.version + 1 } }));
  }
}

// complete adds the results of the runs to the attempts.
function complete(g: Generation, answer: Answer): Generation {
  const attempts = answer.attempts.map(({ code, explanation, execution }, i): Attempt => {
    const live = g.attempts[i]?.live ?? idle();
    const result = execution ? progress(live, { id: "", type: "end", data: execution }) : {};
    return { number: i + 1, code, text: explanation, live: { ...live, ...result, version: live.version + 1 } };
  });
  return { ...g, answer, attempts };
}
