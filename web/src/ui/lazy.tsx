import type { ComponentType } from "preact";
import { useState } from "preact/hooks";
import { useLoad } from "./load";
import { Loading } from "./parts";

// lazy returns a component that loads when it is first shown, so that the first load of
// the page stays small.
export function lazy<P extends object>(load: () => Promise<ComponentType<P>>): ComponentType<P> {
  let loaded: ComponentType<P> | undefined;
  return function Lazy(props: P) {
    const [Part, setPart] = useState(() => loaded);
    const { error } = useLoad(async () => {
      loaded ??= await load();
      setPart(() => loaded);
    }, []);
    if (Part) return <Part {...props} />;
    if (!error) return <Loading />;
    return (
      <div class="notice bad" role="alert">
        <p>This part of the page does not load. The server may have a new version, or it does not answer.</p>
        <button type="button" onClick={() => location.reload()}>Reload the page</button>
      </div>
    );
  };
}
