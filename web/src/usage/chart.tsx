import { useId } from "preact/hooks";

export interface Bar {
  // label names the bar, for example a day.
  label: string;
  value: number;
}

interface Props {
  title: string;
  bars: Bar[];
  format: (value: number) => string;
}

const width = 600, height = 120, gap = 0.2;

// BarChart shows values in order. The table of the page has the same values, so the picture
// has only a summary for screen readers.
export function BarChart({ title, bars, format }: Props) {
  const id = useId();
  const max = Math.max(...bars.map((b) => b.value), 0);
  const total = bars.reduce((n, b) => n + b.value, 0);
  const most = bars.find((b) => b.value === max);
  const step = width / bars.length;
  const summary = max ? `${format(total)} in all, at most ${format(max)} on ${most!.label}` : "nothing in this period";
  return (
    <figure class="chart" aria-labelledby={id}>
      <figcaption id={id}><strong>{title}</strong> <span class="dim">{summary}</span></figcaption>
      <svg viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" role="img" aria-label={`${title}: ${summary}`}>
        {[0.5, 1].map((part) => <line key={part} class="grid" x1="0" x2={width} y1={height * (1 - part) + 0.5} y2={height * (1 - part) + 0.5} />)}
        <line class="axis" x1="0" x2={width} y1={height - 0.5} y2={height - 0.5} />
        {bars.map((b, i) => {
          // Make the bar of a small value high enough to be visible.
          const h = max && b.value ? Math.max((b.value / max) * (height - 2), 2) : 0;
          return (
            <g key={b.label}>
              <title>{`${b.label}: ${format(b.value)}`}</title>
              <rect class="area" x={i * step} y="0" width={step} height={height} />
              <rect class="bar-of-chart" x={(i + gap / 2) * step} y={height - h} width={step * (1 - gap)} height={h} />
            </g>
          );
        })}
      </svg>
      <p class="ends"><span>{bars[0]?.label}</span><span>{bars.at(-1)?.label}</span></p>
    </figure>
  );
}
