// returnFocus moves the focus back to the element that had it before a dialog. A modal
// dialog makes the page inert until the dialog is removed from the document. So
// returnFocus waits for the removal.
export function returnFocus(element: Element | null): void {
  queueMicrotask(() => element instanceof HTMLElement && element.isConnected && element.focus());
}

// keepFocus keeps the focus near its place. If the element with the focus disappears, for
// example because a list has loaded again, an element around it gets the focus. If an
// action has disabled its button, the button gets the focus again when it is enabled.
// Otherwise people who use the keyboard would start again at the top of the page.
export function keepFocus(): void {
  let last: HTMLElement | undefined;
  // around contains the ancestors of the element "last". The parent is first.
  let around: HTMLElement[] = [];
  let wasDisabled = false;

  addEventListener("focusin", ({ target }) => {
    if (!(target instanceof HTMLElement)) return;
    last = target;
    wasDisabled = false;
    around = [];
    for (let e = target.parentElement; e; e = e.parentElement) around.push(e);
  });
  // A click beside the element takes the focus away on purpose.
  addEventListener("pointerdown", ({ target }) => {
    if (last?.isConnected && !last.contains(target as Node)) last = undefined;
  }, true);

  const check = () => {
    if (!last) return;
    if (last.isConnected) {
      if (last.matches(":disabled")) wasDisabled = true;
      else if (wasDisabled && document.activeElement === document.body) last.focus();
      return;
    }
    if (document.activeElement === document.body) around.find((e) => e.isConnected && e.hasAttribute("tabindex"))?.focus({ preventScroll: true });
  };
  new MutationObserver(check).observe(document.body, { subtree: true, childList: true, attributeFilter: ["disabled"] });
}
