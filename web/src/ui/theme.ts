const key = "pyth-on.theme";
export type Theme = "system" | "light" | "dark";

export function theme(): Theme {
  return (localStorage.getItem(key) as Theme) || "system";
}

export function setTheme(value: Theme): void {
  if (value === "system") localStorage.removeItem(key);
  else localStorage.setItem(key, value);
  applyTheme();
}

export function applyTheme(): void {
  const value = theme();
  if (value === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = value;
  dispatchEvent(new Event("pyth-on-theme"));
}

export function isDark(): boolean {
  const value = theme();
  return value === "system" ? matchMedia("(prefers-color-scheme: dark)").matches : value === "dark";
}
