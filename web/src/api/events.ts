import { ApiError, send, type Options } from "./client";

export interface ServerEvent {
  id: string;
  type: string;
  data: any;
}

// events yields the server-sent events of a response.
export async function* events(response: Response): AsyncGenerator<ServerEvent> {
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      rest += value;
      for (let end = rest.indexOf("\n\n"); end >= 0; end = rest.indexOf("\n\n")) {
        const event = parse(rest.slice(0, end));
        rest = rest.slice(end + 2);
        if (event) yield event;
      }
    }
  } finally {
    void reader.cancel().catch(() => {});
  }
}

function parse(block: string): ServerEvent | undefined {
  let id = "", type = "message", data = "";
  for (const line of block.split("\n")) {
    if (line.startsWith("id: ")) id = line.slice(4);
    else if (line.startsWith("event: ")) type = line.slice(7);
    else if (line.startsWith("data: ")) data += line.slice(6);
  }
  return data ? { id, type, data: JSON.parse(data) } : undefined;
}

// stream sends a request and yields the events of its response.
export async function* stream(method: string, path: string, options: Options = {}): AsyncGenerator<ServerEvent> {
  const headers = { ...options.headers, Accept: "text/event-stream" };
  const response = await send(method, path, { ...options, headers });
  if (!response.headers.get("Content-Type")?.startsWith("text/event-stream")) {
    if (response.status !== 204) yield { id: "", type: "end", data: await response.json() };
    return;
  }
  try {
    yield* events(response);
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new ApiError({ status: 0, code: "offline", detail: "The connection to the server was lost." });
  }
}

// follow yields the events of a run until it ends. After a lost connection it connects
// again and continues after the last event.
export async function* follow(id: string, signal: AbortSignal, onWait: (waiting: boolean) => void): AsyncGenerator<ServerEvent> {
  let last = "";
  for (let delay = 500; ; delay = Math.min(delay * 2, 8000)) {
    try {
      const headers: Record<string, string> = last ? { "Last-Event-ID": last } : {};
      for await (const event of stream("GET", `/api/v1/executions/${id}/events`, { headers, signal })) {
        onWait(false);
        delay = 500;
        last = event.id || last;
        yield event;
        if (event.type === "end" || event.type === "error") return;
      }
    } catch (error) {
      if (signal.aborted) throw error;
      const temporary = error instanceof ApiError && (error.status === 0 || error.status >= 500);
      if (!temporary) throw error;
    }
    onWait(true);
    await pause(delay, signal);
  }
}

// pause waits, but at most until the browser is online again.
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = () => {
      clearTimeout(timer);
      removeEventListener("online", done);
      signal.removeEventListener("abort", abort);
      resolve();
    };
    const abort = () => {
      done();
      reject(signal.reason);
    };
    const timer = setTimeout(done, ms);
    addEventListener("online", done);
    signal.addEventListener("abort", abort);
  });
}
