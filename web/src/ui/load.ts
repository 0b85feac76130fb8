import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { ApiError, onSignedIn } from "../api/client";

export interface Loaded<T> {
  data?: T;
  error?: Error;
  loading: boolean;
  reload: () => void;
}

// useLoad calls load when a dependency changes, and keeps the old data until the new data
// is there. If the login has ended, useLoad calls load again when the user has signed in.
export function useLoad<T>(load: (signal: AbortSignal) => Promise<T>, dependencies: unknown[]): Loaded<T> {
  const [state, setState] = useState<{ data?: T; error?: Error; loading: boolean }>({ loading: true });
  const [version, setVersion] = useState(0);
  useEffect(() => {
    const abort = new AbortController();
    setState((s) => ({ ...s, loading: true }));
    load(abort.signal).then(
      (data) => abort.signal.aborted || setState({ data, loading: false }),
      (error) => abort.signal.aborted || setState((s) => ({ data: s.data, error, loading: false })),
    );
    return () => abort.abort();
  }, [...dependencies, version]);
  const reload = useCallback(() => setVersion((v) => v + 1), []);
  const isRefused = state.error instanceof ApiError && state.error.code === "unauthenticated";
  useEffect(() => (isRefused ? onSignedIn(reload) : undefined), [isRefused]);
  return { ...state, reload };
}

// An Action gets the function isAwaited. It returns true while the part of the page that
// started the action still waits for the action.
type Action = (isAwaited: () => boolean) => Promise<void>;

interface ActionState {
  busy: boolean;
  error?: Error;
  // run returns true if the action succeeds and the part of the page that started the
  // action still waits for it.
  run: (action: Action) => Promise<boolean>;
  // clear removes the error, and stops waiting.
  clear: () => void;
}

// useAction runs an action of the user, and says whether it runs and how it failed. The
// end of an action changes nothing if another action has begun in the meantime, or if the
// user has closed the dialog of the action.
export function useAction(): ActionState {
  const [state, setState] = useState<{ busy: boolean; error?: Error }>({ busy: false });
  const latest = useRef(0);
  useEffect(() => () => void latest.current++, []);
  const run = useCallback(async (action: Action) => {
    const mine = ++latest.current;
    const isAwaited = () => latest.current === mine;
    setState({ busy: true });
    try {
      await action(isAwaited);
      if (!isAwaited()) return false;
      setState({ busy: false });
      return true;
    } catch (error) {
      if (isAwaited()) setState({ busy: false, error: error as Error });
      return false;
    }
  }, []);
  const clear = useCallback(() => {
    latest.current++;
    setState({ busy: false });
  }, []);
  return { ...state, run, clear };
}
