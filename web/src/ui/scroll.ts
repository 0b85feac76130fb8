import { useLayoutEffect } from "preact/hooks";

const positions = new Map<string, number>();
// loadMs is the maximum time, in milliseconds, to wait until a page is long enough to
// scroll to the old place.
const loadMs = 5000;

// useScroll begins a new page at its top, and returns to the old place when the user goes
// back. Browsers cannot do this, because lists load after the address has changed.
export function useScroll(page: string): void {
  useLayoutEffect(() => {
    const isReturn = history.state?.visited === true;
    if (!isReturn) history.replaceState({ visited: true }, "");
    const wanted = isReturn ? positions.get(page) ?? 0 : 0;
    scrollTo(0, wanted);
    if (scrollY >= wanted) return;
    const grown = new ResizeObserver(() => {
      scrollTo(0, wanted);
      if (scrollY >= wanted) stop();
    });
    const stop = () => {
      grown.disconnect();
      clearTimeout(timer);
      for (const type of ["wheel", "pointerdown", "keydown"]) removeEventListener(type, stop);
    };
    const timer = setTimeout(stop, loadMs);
    for (const type of ["wheel", "pointerdown", "keydown"]) addEventListener(type, stop);
    grown.observe(document.body);
    return stop;
  }, [page]);
  // Use a layout effect, because it ends before the next page scrolls to its top.
  // Otherwise this scroll would be stored as the position on the old page.
  useLayoutEffect(() => {
    const moved = () => void positions.set(page, Math.floor(scrollY));
    addEventListener("scroll", moved, { passive: true });
    return () => removeEventListener("scroll", moved);
  }, [page]);
}
