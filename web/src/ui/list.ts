import { useRef, useState } from "preact/hooks";
import { get, query } from "../api/client";
import { useLoad } from "./load";

interface Page<T> {
  // key is the path of the list, with its parameters.
  key: string;
  items: T[];
  next?: string;
}

interface More<T> {
  // of is the beginning of the list that these items continue.
  of?: Page<T>;
  items: T[];
  next?: string;
  error?: Error;
  busy: boolean;
}

// useList loads a list page by page. A list that loads again keeps as many pages as it had.
// field is the name of the list in the answer.
export function useList<T>(path: string, field: string, parameters: Record<string, string | number | undefined> = {}) {
  const key = query(path, parameters);
  const pages = useRef({ key, count: 1 });
  if (pages.current.key !== key) pages.current = { key, count: 1 };
  const load = async (cursor?: string, signal?: AbortSignal): Promise<Page<T>> => {
    const answer = await get<Record<string, unknown>>(query(path, { ...parameters, cursor }), signal);
    return { key, items: answer[field] as T[], next: answer.nextCursor as string | undefined };
  };
  const first = useLoad(async (signal) => {
    let all = await load(undefined, signal);
    for (let n = 1; n < pages.current.count && all.next; n++) {
      const page = await load(all.next, signal);
      all = { ...page, items: [...all.items, ...page.items] };
    }
    return all;
  }, [key]);
  const start = first.data;
  const [more, setMore] = useState<More<T>>({ items: [], busy: false });
  const rest: More<T> = more.of === start ? more : { of: start, items: [], next: start?.next, busy: false };
  // While the list loads with other parameters, the page shows the old list and cannot
  // load more pages of it.
  const next = start?.key === key ? rest.next : undefined;
  const loadMore = async () => {
    // The list can load again while an answer is outstanding. Such an answer does not
    // belong to the new list.
    const change = (c: Partial<More<T>>) => setMore((m) => (m.of === rest.of && m.next === rest.next ? { ...m, ...c } : m));
    const loaded = pages.current;
    setMore({ ...rest, busy: true, error: undefined });
    try {
      const page = await load(next);
      loaded.count++;
      change({ items: [...rest.items, ...page.items], next: page.next, busy: false });
    } catch (error) {
      change({ busy: false, error: error as Error });
    }
  };
  return {
    items: start && [...start.items, ...rest.items], error: first.error ?? rest.error, loading: first.loading,
    reload: first.reload, hasMore: !!next, busy: rest.busy, loadMore,
  };
}
