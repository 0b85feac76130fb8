import { useCallback, useState } from "preact/hooks";
import { get, query } from "../api/client";
import { useLoad } from "./load";

// useList loads a list page by page. field is the name of the list in the answer.
export function useList<T>(path: string, field: string, parameters: Record<string, string | number | undefined> = {}) {
  const key = query(path, parameters);
  const [more, setMore] = useState<{ key: string; items: T[]; next?: string; error?: Error; busy: boolean }>({ key, items: [], busy: false });
  const first = useLoad(async (signal) => {
    const answer = await get<Record<string, unknown>>(key, signal);
    setMore({ key, items: [], next: answer.nextCursor as string | undefined, busy: false });
    return answer[field] as T[];
  }, [key]);
  const rest = more.key === key ? more : { items: [], busy: false, next: undefined, error: undefined };
  const loadMore = useCallback(async () => {
    // The parameters can change or the list can reload while an answer is outstanding. Such
    // an answer does not belong to the new list.
    type More = typeof more;
    const change = (update: (m: More) => Partial<More>) => setMore((m) => (m.key === key && m.next === more.next ? { ...m, ...update(m) } : m));
    change(() => ({ busy: true, error: undefined }));
    try {
      const answer = await get<Record<string, unknown>>(query(path, { ...parameters, cursor: more.next }));
      change((m) => ({ items: [...m.items, ...(answer[field] as T[])], next: answer.nextCursor as string | undefined, busy: false }));
    } catch (error) {
      change(() => ({ busy: false, error: error as Error }));
    }
  }, [key, more.next]);
  return {
    items: first.data && [...first.data, ...rest.items], error: first.error ?? rest.error, loading: first.loading,
    reload: first.reload, hasMore: !!rest.next, busy: rest.busy, loadMore,
  };
}
