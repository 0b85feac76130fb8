export interface Example {
  name: string;
  language: string;
  code: string;
  network?: string;
}

export const examples: Example[] = [
  {
    name: "Hello", language: "python",
    code: `import platform

print("Hello from Python", platform.python_version())
sum(range(101))
`,
  },
  {
    name: "Plot", language: "python",
    code: `import math
from pyth_on.display import SVG

def plot(f, left, right, width=560, height=240):
    xs = [left + (right - left) * i / width for i in range(width + 1)]
    ys = [f(x) for x in xs]
    low, high = min(ys), max(ys)
    points = " ".join(f"{i},{height - 8 - (y - low) / (high - low) * (height - 16):.1f}" for i, y in enumerate(ys))
    return SVG(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}">'
        f'<rect width="{width}" height="{height}" fill="#f6f7f6"/>'
        f'<polyline points="{points}" fill="none" stroke="#2f6f4f" stroke-width="2.5"/></svg>'
    )

plot(lambda x: math.sin(x) * math.exp(-x / 8), 0, 25)
`,
  },
  {
    name: "Table", language: "javascript",
    code: `const rows = Array.from({ length: 12 }, (_, i) => ({ n: i + 1, square: (i + 1) ** 2, cube: (i + 1) ** 3 }));
rows;
`,
  },
  {
    name: "Progress", language: "python",
    code: `import sys, time

for i in range(1, 41):
    bar = "█" * i + "░" * (40 - i)
    print(f"\\r\\x1b[32m{bar}\\x1b[0m {i * 100 // 40:3d} %", end="", flush=True)
    time.sleep(0.05)
print("\\n\\x1b[1mDone\\x1b[0m", file=sys.stderr)
`,
  },
  {
    name: "TypeScript", language: "typescript",
    code: `interface Planet {
  name: string;
  moons: number;
}

const planets: Planet[] = [
  { name: "Mars", moons: 2 },
  { name: "Earth", moons: 1 },
];
for (const { name, moons } of planets) console.log(\`\${name}: \${moons}\`);
`,
  },
];
