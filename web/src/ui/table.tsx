import type { ComponentChildren } from "preact";

export interface Column<T> {
  name: string;
  // If isHidden is true, the name is only for screen readers.
  isHidden?: boolean;
  kind?: "number" | "row-actions";
  cell: (item: T) => ComponentChildren;
}

interface Props<T> {
  label: string;
  columns: Column<T>[];
  items: T[];
  keyOf: (item: T) => string;
}

// Table shows a list. In a narrow window each row becomes a card with the names of the
// columns. The roles are explicit, because browsers drop them for rows that are not laid
// out as a table.
export function Table<T>({ label, columns, items, keyOf }: Props<T>) {
  return (
    <div class="scroll cards" tabIndex={0} role="region" aria-label={label}>
      <table role="table">
        <thead role="rowgroup">
          <tr role="row">
            {columns.map((c) => <th key={c.name} role="columnheader" scope="col" class={c.kind}>{c.isHidden ? <span class="hidden">{c.name}</span> : c.name}</th>)}
          </tr>
        </thead>
        <tbody role="rowgroup">
          {items.map((item) => (
            <tr key={keyOf(item)} role="row">
              {columns.map((c) => <td key={c.name} role="cell" class={c.kind} data-label={c.kind === "row-actions" ? undefined : c.name}>{c.cell(item)}</td>)}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
