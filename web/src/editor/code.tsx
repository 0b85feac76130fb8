import { useEffect, useRef, useState } from "preact/hooks";
import type { Editor } from "./codemirror";

interface Props {
  text: string;
  language: string;
  label: string;
  onChange: (text: string) => void;
  onRun: (mode: "run" | "advance") => void;
  lineNumbers?: boolean;
  // focus moves the focus to the editor each time it changes to another number above 0.
  focus?: number;
}

// Code is an editor. It is a text area until the editor has loaded. The editor is in a
// shadow tree, where it can set its style sheet under the policy of the page.
export function Code(props: Props) {
  const host = useRef<HTMLDivElement>(null);
  const plain = useRef<HTMLTextAreaElement>(null);
  const editor = useRef<Editor | undefined>(undefined);
  // reported contains texts that the editor has passed to onChange, but that have not
  // arrived in props.text yet.
  const reported = useRef<string[]>([]);
  const latest = useRef(props);
  latest.current = props;
  const [loaded, setLoaded] = useState(false);
  useEffect(() => {
    let gone = false;
    import("./codemirror").then(
      ({ create }) => {
        // Preact clears the reference before it calls the clean-up function below.
        if (gone || !host.current) return;
        const p = latest.current;
        const area = plain.current;
        const typing = area && document.activeElement === area ? { anchor: area.selectionStart, head: area.selectionEnd } : undefined;
        const root = host.current.shadowRoot ?? host.current.attachShadow({ mode: "open" });
        editor.current = create({
          parent: root, text: area?.value ?? p.text, language: p.language, label: p.label, lineNumbers: p.lineNumbers ?? true,
          onChange: (text) => {
            reported.current.push(text);
            latest.current.onChange(text);
          },
          onRun: (mode) => latest.current.onRun(mode),
        });
        // The editor replaces the text area. A user who is typing in the text area
        // continues in the editor.
        host.current.hidden = false;
        if (typing) editor.current.focus(typing);
        else if (p.focus && document.activeElement === document.body) editor.current.focus();
        setLoaded(true);
      },
      () => {}, // The editor did not load, so the text area stays.
    );
    return () => {
      gone = true;
      editor.current?.destroy();
    };
  }, []);
  useEffect(() => {
    // If the user types fast, props.text can be an older text of the editor. Do not
    // replace the newer text by it.
    const at = reported.current.indexOf(props.text);
    reported.current = at < 0 ? [] : reported.current.slice(at + 1);
    if (at < 0) editor.current?.setText(props.text);
  }, [props.text]);
  useEffect(() => editor.current?.setLanguage(props.language), [props.language]);
  useEffect(() => {
    if (props.focus) editor.current?.focus();
  }, [props.focus]);
  return (
    <div class="code">
      <div ref={host} class="editor" hidden={!loaded} />
      {!loaded && (
        <textarea
          ref={plain}
          aria-label={props.label}
          value={props.text}
          spellcheck={false}
          onInput={(e) => props.onChange(e.currentTarget.value)}
          onKeyDown={(e) => {
            if (e.key !== "Enter" || !(e.ctrlKey || e.metaKey || e.shiftKey)) return;
            e.preventDefault();
            props.onRun(e.shiftKey ? "advance" : "run");
          }}
        />
      )}
    </div>
  );
}
