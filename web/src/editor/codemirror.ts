// The editor. The page loads this file only when it needs an editor.
import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { bracketMatching, HighlightStyle, indentOnInput, syntaxHighlighting } from "@codemirror/language";
import { highlightSelectionMatches, searchKeymap } from "@codemirror/search";
import { Compartment, EditorState, Prec, type Extension } from "@codemirror/state";
import { drawSelection, EditorView, highlightActiveLine, highlightSpecialChars, keymap, lineNumbers } from "@codemirror/view";
import { tags as t } from "@lezer/highlight";
import { isDark } from "../ui/theme";

export interface EditorOptions {
  parent: ShadowRoot;
  text: string;
  language: string;
  label: string;
  lineNumbers: boolean;
  onChange: (text: string) => void;
  onRun: (mode: "run" | "advance") => void;
}

export interface Editor {
  // setText replaces the text, and does not call onChange.
  setText: (text: string) => void;
  setLanguage: (language: string) => void;
  // focus moves the focus to the editor, and selects a part of its text.
  focus: (selection?: { anchor: number; head: number }) => void;
  destroy: () => void;
}

// The browser chooses between the light and the dark colour, so that these colours change
// at the same time as the page.
const colors = HighlightStyle.define([
  { tag: [t.keyword, t.operatorKeyword, t.modifier], color: "light-dark(#8a1f8f, #c792ea)" },
  { tag: [t.string, t.special(t.string), t.regexp], color: "light-dark(#9a3412, #a5d6a7)" },
  { tag: [t.number, t.bool, t.null], color: "light-dark(#11633f, #f5b07d)" },
  { tag: [t.comment], color: "light-dark(#5d6b64, #8b98a8)", fontStyle: "italic" },
  { tag: [t.function(t.variableName), t.function(t.propertyName)], color: "light-dark(#1c4fa0, #82b1ff)" },
  { tag: [t.className, t.typeName], color: "light-dark(#7a4f00, #ffcb8b)" },
  { tag: [t.propertyName, t.definition(t.variableName)], color: "light-dark(#0b5a6b, #b2dfff)" },
]);

function look(isDark: boolean) {
  const color = "var(--text)";
  return [
    EditorView.theme(
      {
        "&": { color, backgroundColor: "var(--field)", fontSize: "14px", height: "100%" },
        "&.cm-focused": { outline: "2px solid var(--accent)", outlineOffset: "-1px" },
        ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "20px", overflow: "auto" },
        ".cm-content": { padding: "10px 0", caretColor: color },
        ".cm-gutters": { backgroundColor: "var(--field)", color: "var(--dim)", border: "none" },
        ".cm-activeLine": { backgroundColor: "var(--hover)" },
        ".cm-cursor": { borderLeftColor: color },
        ".cm-tooltip": { backgroundColor: "var(--panel)", color, border: "1px solid var(--line)" },
        ".cm-panels": { backgroundColor: "var(--panel)", color },
      },
      { dark: isDark },
    ),
    syntaxHighlighting(colors),
  ];
}

// languageOf loads a language when it is first used, because slow devices need time for
// each.
async function languageOf(name: string): Promise<Extension> {
  if (name === "bash") return []; // Plain text: the bundle has no grammar for shells.
  if (name === "python") return (await import("./python")).language();
  return (await import("./javascript")).language(name === "typescript");
}

// Browsers keep the colour of a selection that the user types over, with a style attribute
// that the policy of the page forbids. So the editor replaces selections itself.
const replaceSelection = EditorView.domEventHandlers({
  beforeinput(event, view) {
    const { main, ranges } = view.state.selection;
    if (event.inputType !== "insertText" || !event.data || event.isComposing || ranges.length > 1 || main.empty) return false;
    const text = event.data;
    const insert = () => view.state.update(view.state.replaceSelection(text), { userEvent: "input.type", scrollIntoView: true });
    if (!view.state.facet(EditorView.inputHandler).some((handle) => handle(view, main.from, main.to, text, insert))) view.dispatch(insert());
    event.preventDefault();
    return true;
  },
});

export function create(o: EditorOptions): Editor {
  const language = new Compartment();
  const appearance = new Compartment();
  let isSetting = false;
  const view = new EditorView({
    parent: o.parent,
    root: o.parent,
    state: EditorState.create({
      doc: o.text,
      extensions: [
        Prec.highest(
          keymap.of([
            { key: "Mod-Enter", run: () => (o.onRun("run"), true) },
            { key: "Shift-Enter", run: () => (o.onRun("advance"), true) },
          ]),
        ),
        o.lineNumbers ? lineNumbers() : [],
        history(), highlightSpecialChars(), drawSelection(), indentOnInput(), bracketMatching(), closeBrackets(), autocompletion(),
        highlightActiveLine(), highlightSelectionMatches(), EditorView.lineWrapping,
        EditorView.perLineTextDirection.of(true),
        keymap.of([...closeBracketsKeymap, ...completionKeymap, ...searchKeymap, ...historyKeymap, ...defaultKeymap, indentWithTab]),
        replaceSelection,
        language.of([]),
        appearance.of(look(isDark())),
        EditorView.contentAttributes.of({ "aria-label": o.label, "aria-description": "Press Escape and then Tab to leave the editor.", spellcheck: "false" }),
        EditorView.updateListener.of((u) => u.docChanged && !isSetting && o.onChange(u.state.doc.toString())),
      ],
    }),
  });
  // The editor works without a language, so a failed load changes only the colours.
  let wanted = "";
  const setLanguage = (name: string) => {
    wanted = name;
    languageOf(name).then((l) => wanted === name && view.dispatch({ effects: language.reconfigure(l) }), () => {});
  };
  setLanguage(o.language);
  const restyle = () => view.dispatch({ effects: appearance.reconfigure(look(isDark())) });
  const system = matchMedia("(prefers-color-scheme: dark)");
  system.addEventListener("change", restyle);
  addEventListener("pyth-on-theme", restyle);
  return {
    setText: (text) => {
      if (text === view.state.doc.toString()) return;
      isSetting = true;
      view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text } });
      isSetting = false;
    },
    setLanguage,
    focus: (selection) => {
      if (selection) view.dispatch({ selection });
      view.focus();
    },
    destroy: () => {
      wanted = "";
      system.removeEventListener("change", restyle);
      removeEventListener("pyth-on-theme", restyle);
      view.destroy();
    },
  };
}
