import { useState } from "preact/hooks";
import { count } from "../ui/format";

export interface Table {
  columns: string[];
  rows: unknown[][];
}

// tableOf returns a list of objects with simple values as a table.
export function tableOf(value: unknown): Table | undefined {
  if (!Array.isArray(value) || !value.length) return undefined;
  const columns = new Set<string>();
  for (const row of value) {
    if (typeof row !== "object" || !row || Array.isArray(row)) return undefined;
    for (const [name, cell] of Object.entries(row)) {
      if (typeof cell === "object" && cell !== null) return undefined;
      columns.add(name);
    }
  }
  if (!columns.size || columns.size > 200) return undefined;
  const names = [...columns];
  return { columns: names, rows: value.map((row) => names.map((n) => row[n])) };
}

// parseCSV reads comma-separated values (RFC 4180).
export function parseCSV(text: string): Table | undefined {
  const rows: string[][] = [];
  let row: string[] = [], cell = "", quoted = false;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (quoted) {
      if (c !== '"') cell += c;
      else if (text[i + 1] === '"') cell += text[++i];
      else quoted = false;
    } else if (c === '"' && cell === "") quoted = true;
    else if (c === ",") row.push(cell), (cell = "");
    else if (c === "\n" || c === "\r") {
      if (c === "\r" && text[i + 1] === "\n") i++;
      row.push(cell);
      rows.push(row);
      row = [];
      cell = "";
    } else cell += c;
  }
  if (cell !== "" || row.length) row.push(cell), rows.push(row);
  const [columns, ...rest] = rows;
  return columns && columns.length > 1 ? { columns, rows: rest } : undefined;
}

const page = 100;

// Grid shows a table page by page, so that long tables stay fast.
export function Grid({ table, label }: { table: Table; label: string }) {
  const [start, setStart] = useState(0);
  const [sort, setSort] = useState<{ column: number; down: boolean }>();
  let rows = table.rows;
  if (sort) {
    const { column, down } = sort;
    rows = [...rows].sort((a, b) => compare(a[column], b[column]) * (down ? -1 : 1));
  }
  const end = Math.min(start + page, rows.length);
  return (
    <div class="grid">
      <div class="scroll" tabIndex={0} role="region" aria-label={label}>
        <table>
          <thead>
            <tr>
              {table.columns.map((c, i) => (
                <th key={i} scope="col" class={isNumber(table.rows[0]?.[i]) ? "number" : ""} aria-sort={sort?.column === i ? (sort.down ? "descending" : "ascending") : undefined}>
                  <button type="button" class="plain" onClick={() => setSort({ column: i, down: sort?.column === i && !sort.down })}>
                    {c}{sort?.column === i ? (sort.down ? " ↓" : " ↑") : ""}
                  </button>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.slice(start, end).map((r, i) => (
              <tr key={start + i}>{r.map((v, j) => <td key={j} class={isNumber(v) ? "number" : ""} dir="auto">{v === undefined || v === null ? "" : String(v)}</td>)}</tr>
            ))}
          </tbody>
        </table>
      </div>
      {rows.length > page && (
        <p class="pages">
          <button type="button" class="small" disabled={start === 0} onClick={() => setStart(Math.max(0, start - page))}>Previous</button>
          <span>Rows {(start + 1).toLocaleString()} to {end.toLocaleString()} of {count(rows.length, "row")}</span>
          <button type="button" class="small" disabled={end >= rows.length} onClick={() => setStart(start + page)}>Next</button>
        </p>
      )}
    </div>
  );
}

function isNumber(v: unknown): boolean {
  return typeof v === "number" || (typeof v === "string" && v.trim() !== "" && !Number.isNaN(Number(v)));
}

function compare(a: unknown, b: unknown): number {
  if (isNumber(a) && isNumber(b)) return Number(a) - Number(b);
  return String(a ?? "").localeCompare(String(b ?? ""));
}
