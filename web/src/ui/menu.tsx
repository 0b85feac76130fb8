import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

interface Props {
  label: ComponentChildren;
  items: { name: string; run: () => void }[];
}

// Menu is a button with a list of actions.
export function Menu({ label, items }: Props) {
  const [open, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!open) return;
    (box.current!.querySelector("[role=menuitem]") as HTMLElement | null)?.focus();
    const outside = (e: Event) => box.current!.contains(e.target as Node) || setOpen(false);
    addEventListener("pointerdown", outside);
    return () => removeEventListener("pointerdown", outside);
  }, [open]);
  const move = (e: KeyboardEvent) => {
    const all = [...box.current!.querySelectorAll<HTMLElement>("[role=menuitem]")];
    const at = all.indexOf(document.activeElement as HTMLElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[e.key];
    if (e.key === "Escape") {
      setOpen(false);
      box.current!.querySelector("button")!.focus();
    } else if (to !== undefined) all[(to + all.length) % all.length].focus();
    else return;
    e.preventDefault();
  };
  return (
    <div class="menu" ref={box} onKeyDown={open ? move : undefined}>
      <button type="button" aria-haspopup="menu" aria-expanded={open} onClick={() => setOpen(!open)}>{label} <span aria-hidden="true">▾</span></button>
      {open && (
        <div role="menu">
          {items.map((i) => (
            <button key={i.name} type="button" role="menuitem" tabIndex={-1} onClick={() => (setOpen(false), i.run())}>{i.name}</button>
          ))}
        </div>
      )}
    </div>
  );
}
