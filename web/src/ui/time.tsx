import { ago, dateTime } from "./format";

export function Time({ at }: { at: string }) {
  return <time dateTime={at} title={dateTime(at)}>{ago(at)}</time>;
}
