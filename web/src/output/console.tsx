import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { count } from "../ui/format";
import { Copy, save } from "../ui/parts";
import type { Line, Screen, Style } from "./ansi";

const lineHeight = 20;
// Below this number, all lines are in the document, so that the browser can search them.
const fewLines = 1000;
// A longer line is cut on the screen, because browsers are slow with very long lines.
const maxColumns = 10_000;

interface Props {
  screen: Screen;
  // version changes when the screen has changed.
  version: number;
  label?: string;
}

// Console shows a screen. It follows the end of the output until the user scrolls up.
export function Console({ screen, version, label = "Output" }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const follows = useRef(true);
  const lastTop = useRef(0);
  const [view, setView] = useState({ top: 0, height: 400 });
  useLayoutEffect(() => {
    const element = box.current!;
    if (follows.current) element.scrollTop = element.scrollHeight;
  }, [version]);
  useEffect(() => {
    const element = box.current!;
    const resized = new ResizeObserver(() => setView((v) => ({ ...v, height: element.clientHeight })));
    resized.observe(element);
    return () => resized.disconnect();
  }, []);
  const lines = screen.lines;
  const last = lines.length > 1 && !lines[lines.length - 1].length ? lines.length - 1 : lines.length;
  const all = last <= fewLines;
  const from = all ? 0 : Math.max(0, Math.floor(view.top / lineHeight) - 20);
  const to = all ? last : Math.min(last, from + Math.ceil(view.height / lineHeight) + 40);
  const empty = last === 1 && !lines[0].length;
  return (
    <div class="console">
      <div
        ref={box}
        class="lines"
        role="log"
        aria-label={label}
        aria-live="off"
        tabIndex={0}
        onScroll={(e) => {
          const b = e.currentTarget;
          // New output can arrive before this event, so the distance to the end is not
          // enough to know that the user has scrolled up.
          if (b.scrollHeight - b.scrollTop - b.clientHeight < lineHeight * 2) follows.current = true;
          else if (b.scrollTop < lastTop.current) follows.current = false;
          lastTop.current = b.scrollTop;
          if (!all) setView({ top: b.scrollTop, height: b.clientHeight });
        }}
      >
        {screen.dropped > 0 && <p class="dim">The first {count(screen.dropped, "line")} are not on the screen.</p>}
        <pre style={all ? undefined : { paddingTop: `${from * lineHeight}px`, height: `${last * lineHeight}px` }}>
          {lines.slice(from, to).map((line, i) => <Row key={from + i} line={line} />)}
        </pre>
      </div>
      {!empty && (
        <div class="corner">
          <Copy text={() => screen.plain()} />
          {last > 50 && <button type="button" class="small" onClick={() => save("output.txt", new Blob([screen.plain()]))}>Download</button>}
        </div>
      )}
    </div>
  );
}

function Row({ line }: { line: Line }) {
  let left = maxColumns;
  const parts = [];
  for (const span of line) {
    if (left <= 0) break;
    const text = span.text.length > left ? span.text.slice(0, left) : span.text;
    left -= span.text.length;
    const look = appearance(span.style);
    parts.push(look ? <span class={look.class} style={look.style}>{text}</span> : text);
  }
  return (
    <div class="row" dir="auto">
      {parts}
      {left < 0 && <span class="dim"> … {count(-left, "more character")}, use Copy</span>}
      {"\n"}
    </div>
  );
}

function appearance(s: Style): { class: string; style?: Record<string, string> } | undefined {
  const classes = [];
  const style: Record<string, string> = {};
  const fg = s.inverse ? s.bg ?? "background" : s.fg;
  const bg = s.inverse ? s.fg ?? "text" : s.bg;
  if (fg) fg.startsWith("rgb") ? (style.color = fg) : classes.push("fg-" + fg);
  if (bg) bg.startsWith("rgb") ? (style.backgroundColor = bg) : classes.push("bg-" + bg);
  for (const name of ["bold", "dim", "italic", "underline", "strike", "error"] as const) if (s[name]) classes.push(name);
  if (!classes.length && !Object.keys(style).length) return undefined;
  return { class: classes.join(" "), style };
}
