import { useCallback, useEffect, useRef, useState } from "preact/hooks";

export interface Loaded<T> {
  data?: T;
  error?: Error;
  loading: boolean;
  reload: () => void;
}

// useLoad calls load when a dependency changes, and keeps the old data until then.
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
  return { ...state, reload: useCallback(() => setVersion((v) => v + 1), []) };
}

// useAction runs an action of the user, and says whether it runs and how it failed.
export function useAction(): { busy: boolean; error?: Error; run: (action: () => Promise<void>) => Promise<boolean>; clear: () => void } {
  const [state, setState] = useState<{ busy: boolean; error?: Error }>({ busy: false });
  const mounted = useRef(true);
  useEffect(() => () => void (mounted.current = false), []);
  const run = useCallback(async (action: () => Promise<void>) => {
    setState({ busy: true });
    try {
      await action();
      if (mounted.current) setState({ busy: false });
      return true;
    } catch (error) {
      if (mounted.current) setState({ busy: false, error: error as Error });
      return false;
    }
  }, []);
  return { ...state, run, clear: useCallback(() => setState({ busy: false }), []) };
}
