import type { TargetedEvent } from "preact";
import { useEffect, useState } from "preact/hooks";

// useEntered returns properties for an input whose text takes effect when the user presses
// Enter or leaves the input. The page can render again in the meantime, for example because
// a list has loaded. The text that the user is typing stays.
export function useEntered(value: string, onEnter: (value: string) => void) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  return {
    value: text,
    onInput: (e: TargetedEvent<HTMLInputElement>) => setText(e.currentTarget.value),
    onChange: (e: TargetedEvent<HTMLInputElement>) => onEnter(e.currentTarget.value.trim()),
  };
}
