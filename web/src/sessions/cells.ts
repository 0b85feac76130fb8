// The cells of a session are in the storage of the tab. The server has only their runs.
export interface Cell {
  key: number;
  code: string;
  // run is the ID of the last run of the cell.
  run?: string;
}

const keyOf = (session: string) => `pyth-on.cells.${session}`;

export function loadCells(session: string): Cell[] {
  try {
    const cells = JSON.parse(sessionStorage.getItem(keyOf(session))!) as Cell[];
    if (cells.length) return cells;
  } catch {
    // The session has no cells yet.
  }
  return [{ key: 1, code: "" }];
}

export function saveCells(session: string, cells: Cell[]): void {
  sessionStorage.setItem(keyOf(session), JSON.stringify(cells));
}

export function clearCells(session: string): void {
  sessionStorage.removeItem(keyOf(session));
}
