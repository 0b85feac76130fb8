export interface DiffLine {
  kind: "same" | "old" | "new";
  text: string;
}

const most = 3000;

// diff compares two texts by their lines. It returns undefined if they are too long.
export function diff(before: string, after: string): DiffLine[] | undefined {
  const a = before.split("\n"), b = after.split("\n");
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end++;
  const x = a.slice(start, a.length - end), y = b.slice(start, b.length - end);
  if (x.length > most || y.length > most || x.length * y.length > 4_000_000) return undefined;
  // common[i][j] is the length of the longest common part of x from i and y from j.
  const width = y.length + 1;
  const common = new Uint16Array((x.length + 1) * width);
  for (let i = x.length - 1; i >= 0; i--)
    for (let j = y.length - 1; j >= 0; j--)
      common[i * width + j] = x[i] === y[j] ? common[(i + 1) * width + j + 1] + 1 : Math.max(common[(i + 1) * width + j], common[i * width + j + 1]);
  const out: DiffLine[] = a.slice(0, start).map((text) => ({ kind: "same", text }));
  let i = 0, j = 0;
  while (i < x.length || j < y.length) {
    if (i < x.length && j < y.length && x[i] === y[j]) out.push({ kind: "same", text: x[i++] }), j++;
    else if (j >= y.length || (i < x.length && common[(i + 1) * width + j] >= common[i * width + j + 1])) out.push({ kind: "old", text: x[i++] });
    else out.push({ kind: "new", text: y[j++] });
  }
  for (const text of end ? a.slice(a.length - end) : []) out.push({ kind: "same", text });
  return out;
}
