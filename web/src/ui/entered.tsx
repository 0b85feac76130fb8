import { useEffect, useState } from "preact/hooks";

interface Props {
  id: string;
  "aria-describedby"?: string;
  placeholder?: string;
  spellcheck?: boolean;
  autocomplete?: "off";
  value: string;
  onEnter: (value: string) => void;
}

// EnteredText is an input whose text takes effect when the user presses Enter or leaves it. The
// page can render again in the meantime, for example because a list has loaded. The text
// that the user is typing stays.
export function EnteredText({ value, onEnter, ...rest }: Props) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  return <input {...rest} value={text} onInput={(e) => setText(e.currentTarget.value)} onChange={(e) => onEnter(e.currentTarget.value.trim())} />;
}
