// The cells of a session are in the storage of the tab. The server has only their runs.
export interface Cell {
  key: number;
  code: string;
  // run is the ID of the last run of the cell.
  run?: string;
}

// Stored also has what a new session needs to continue with the cells.
export interface Stored {
  language: string;
  idleTimeoutMs: number;
  cells: Cell[];
}

const keyOf = (session: string) => `pyth-on.cells.${session}`;

// loadCells returns undefined if this tab has no cells of the session.
export function loadCells(session: string): Stored | undefined {
  try {
    const stored = JSON.parse(sessionStorage.getItem(keyOf(session))!) as Stored;
    return stored.cells.length ? stored : undefined;
  } catch {
    return undefined;
  }
}

export function saveCells(session: string, stored: Stored): void {
  sessionStorage.setItem(keyOf(session), JSON.stringify(stored));
}

export function clearCells(session: string): void {
  sessionStorage.removeItem(keyOf(session));
}
