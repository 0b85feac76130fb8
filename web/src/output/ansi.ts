// A Screen turns the output of a program into lines, as a terminal does: colours,
// carriage returns, backspaces, and the sequences that progress bars use.

export interface Style {
  fg?: string;
  bg?: string;
  bold?: boolean;
  dim?: boolean;
  italic?: boolean;
  underline?: boolean;
  strike?: boolean;
  inverse?: boolean;
  error?: boolean;
}

export interface Span {
  text: string;
  style: Style;
}

export type Line = Span[];

// maxLines is the number of lines that the page shows. A copy or a download contains all
// lines.
const maxLines = 200_000;

const names = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];

export class Screen {
  lines: Line[] = [[]];
  dropped = 0;
  private row = 0;
  private column = 0;
  private style: Record<"stdout" | "stderr", Style> = { stdout: {}, stderr: { error: true } };
  private rest = { stdout: "", stderr: "" };

  write(stream: "stdout" | "stderr", input: string): void {
    let text = this.rest[stream] + input;
    this.rest[stream] = "";
    let i = 0;
    while (i < text.length) {
      const c = text.charCodeAt(i);
      if (c >= 32 && c !== 127) {
        let end = i + 1;
        while (end < text.length && text.charCodeAt(end) >= 32) end++;
        this.put(text.slice(i, end), this.style[stream]);
        i = end;
        continue;
      }
      if (c === 10) this.newLine();
      else if (c === 13) this.column = 0;
      else if (c === 8) this.column = Math.max(0, this.column - 1);
      else if (c === 9) this.put(" ".repeat(8 - (this.column % 8)), this.style[stream]);
      else if (c === 27) {
        const used = this.escape(stream, text, i);
        if (!used) {
          // The sequence is not complete.
          this.rest[stream] = text.slice(i, i + 4096);
          return;
        }
        i += used;
        continue;
      }
      i++;
    }
  }

  // plain returns the text of all lines.
  plain(): string {
    return this.lines.map((l) => l.map((s) => s.text).join("")).join("\n");
  }

  private newLine(): void {
    this.row++;
    this.column = 0;
    if (this.row === this.lines.length) this.lines.push([]);
    if (this.lines.length > maxLines) {
      const extra = this.lines.length - maxLines;
      this.lines.splice(0, extra);
      this.dropped += extra;
      this.row -= extra;
    }
  }

  private put(text: string, style: Style): void {
    const line = this.lines[this.row];
    const width = length(line);
    if (this.column > width) line.push({ text: " ".repeat(this.column - width), style: {} });
    if (this.column >= width) {
      const last = line[line.length - 1];
      if (last && last.style === style) last.text += text;
      else line.push({ text, style });
    } else {
      this.lines[this.row] = [...slice(line, 0, this.column), { text, style }, ...slice(line, this.column + text.length, width)];
    }
    this.column += text.length;
  }

  // escape handles an escape sequence and returns its length. It returns 0 if the
  // sequence is not complete.
  private escape(stream: "stdout" | "stderr", text: string, at: number): number {
    const kind = text[at + 1];
    if (kind === undefined) return 0;
    if (kind === "]") {
      // Such a sequence sets a link or a title.
      const end = /\x07|\x1b\\/.exec(text.slice(at, at + 4096));
      return end ? end.index + end[0].length : text.length - at > 4000 ? 2 : 0;
    }
    if (kind !== "[") return 2;
    const match = /^\x1b\[([0-9;:?]*)[ -/]*([@-~])/.exec(text.slice(at, at + 64));
    if (!match) return text.length - at > 60 ? 2 : 0;
    const numbers = match[1].split(/[;:]/).map(Number);
    const n = numbers[0] || 1;
    switch (match[2]) {
      case "m":
        this.style[stream] = change(this.style[stream], numbers, stream);
        break;
      case "K":
        this.erase(numbers[0] || 0);
        break;
      case "A":
        this.row = Math.max(0, this.row - n);
        break;
      case "B":
        this.row = Math.min(this.lines.length - 1, this.row + n);
        break;
      case "C":
        this.column = Math.min(this.column + n, 2000);
        break;
      case "D":
        this.column = Math.max(0, this.column - n);
        break;
      case "G":
        this.column = Math.min(n - 1, 2000);
        break;
    }
    return match[0].length;
  }

  private erase(mode: number): void {
    const line = this.lines[this.row];
    if (mode === 0) this.lines[this.row] = slice(line, 0, this.column);
    else if (mode === 1) this.lines[this.row] = [{ text: " ".repeat(this.column), style: {} }, ...slice(line, this.column, length(line))];
    else this.lines[this.row] = [];
  }
}

function length(line: Line): number {
  let n = 0;
  for (const s of line) n += s.text.length;
  return n;
}

function slice(line: Line, from: number, to: number): Line {
  const out: Line = [];
  let at = 0;
  for (const s of line) {
    const text = s.text.slice(Math.max(0, from - at), Math.max(0, to - at));
    if (text) out.push({ text, style: s.style });
    at += s.text.length;
  }
  return out;
}

function change(old: Style, numbers: number[], stream: string): Style {
  let s = { ...old };
  for (let i = 0; i < numbers.length; i++) {
    const n = numbers[i];
    if (n === 0) s = stream === "stderr" ? { error: true } : {};
    else if (n === 1) s.bold = true;
    else if (n === 2) s.dim = true;
    else if (n === 3) s.italic = true;
    else if (n === 4) s.underline = true;
    else if (n === 7) s.inverse = true;
    else if (n === 9) s.strike = true;
    else if (n === 22) s.bold = s.dim = false;
    else if (n === 23) s.italic = false;
    else if (n === 24) s.underline = false;
    else if (n === 27) s.inverse = false;
    else if (n === 29) s.strike = false;
    else if (n >= 30 && n <= 37) s.fg = names[n - 30];
    else if (n >= 90 && n <= 97) s.fg = "bright-" + names[n - 90];
    else if (n >= 40 && n <= 47) s.bg = names[n - 40];
    else if (n >= 100 && n <= 107) s.bg = "bright-" + names[n - 100];
    else if (n === 39) s.fg = undefined;
    else if (n === 49) s.bg = undefined;
    else if (n === 38 || n === 48) {
      let color: string | undefined;
      if (numbers[i + 1] === 5) {
        color = indexed(numbers[i + 2] ?? 0);
        i += 2;
      } else if (numbers[i + 1] === 2) {
        color = `rgb(${numbers.slice(i + 2, i + 5).map((x) => Math.min(255, x || 0)).join(" ")})`;
        i += 4;
      }
      if (n === 38) s.fg = color;
      else s.bg = color;
    }
  }
  return s;
}

function indexed(n: number): string {
  if (n < 8) return names[n];
  if (n < 16) return "bright-" + names[n - 8];
  if (n >= 232) return `rgb(${Array(3).fill(8 + (n - 232) * 10).join(" ")})`;
  const level = (v: number) => (v ? 55 + v * 40 : 0);
  const k = n - 16;
  return `rgb(${level(Math.floor(k / 36))} ${level(Math.floor(k / 6) % 6)} ${level(k % 6)})`;
}
