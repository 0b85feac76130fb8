import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { isDark } from "../ui/theme";

// Frame shows the HTML of a program in a document without an origin. The HTML can run
// scripts, but it cannot read the page, use the login or load anything.
export function Frame({ html, title }: { html: string; title: string }) {
  const ref = useRef<HTMLIFrameElement>(null);
  const [height, setHeight] = useState(80);
  // A layout effect runs before the frame can send its first message.
  useLayoutEffect(() => {
    const received = (event: MessageEvent) => {
      const frame = ref.current;
      // The program controls the messages, so limit the height that a message contains.
      if (!frame || event.source !== frame.contentWindow || typeof event.data !== "object" || !event.data) return;
      if (event.data.ready === true) frame.contentWindow!.postMessage({ html, dark: isDark() }, "*");
      else if (Number.isFinite(event.data.height)) setHeight(Math.min(Math.max(event.data.height, 40), 600));
    };
    addEventListener("message", received);
    return () => removeEventListener("message", received);
  }, [html]);
  return <iframe ref={ref} class="frame" title={title} src="/page/frame.html" sandbox="allow-scripts" style={{ height: `${height}px` }} key={html} />;
}
