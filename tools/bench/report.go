package main

import (
	_ "embed"
	"fmt"
	"io"
	"strings"
	"text/template"
	"time"
	"unicode/utf8"
)

// report contains the data for the report about a benchmark run.
type report struct {
	Machine machine
	// Quick is true if the benchmark made only a few short measurements (flag -quick).
	Quick    bool
	Duration time.Duration
	// Python is the name and the version of the reference interpreter.
	Python  string
	Rows    []row
	Missing []absence
}

//go:embed benchmarks.md.tmpl
var page string

// markdown writes the page docs/benchmarks.md, which contains the table of figures and
// explanations.
func (r report) markdown(w io.Writer) error {
	t, err := template.New("page").Parse(page)
	if err != nil {
		return err
	}
	return t.Execute(w, r)
}

func (r report) table(w io.Writer, colours bool) error {
	text := r.Table()
	if colours {
		// First align the columns and then add the colours, because colours change the
		// lengths of texts.
		text = strings.NewReplacer(" met ", " \033[32mmet\033[0m ", " missed ", " \033[31mmissed\033[0m ").Replace(text)
	}
	for _, m := range r.Missing {
		text += "not measured: " + m.Name + ": " + m.Reason + "\n"
	}
	if r.Quick {
		text += "The figures are rough, since --quick measures little.\n"
	}
	_, err := io.WriteString(w, text)
	return err
}

// Table returns the figures as a Markdown table. The columns are aligned, so the table
// is also readable as plain text.
func (r report) Table() string {
	cells := make([][]string, 0, 1+len(r.Rows))
	cells = append(cells, []string{"what", "figure", "compared with", "ratio", "goal", ""})
	for _, one := range r.Rows {
		cells = append(cells, one.cells())
	}
	return align(cells)
}

// cells returns the text for each column of the row.
func (r row) cells() []string {
	figure := r.series.unit.format(r.series.quantile(r.q)) + r.spread()
	var reference, ratio, goal string
	if r.hasReference() {
		reference = r.reference.name + ": " + r.reference.unit.format(r.reference.quantile(median))
		found := ratioOf(r.series, r.q, r.reference)
		ratio = formatDigits(found.overall) + " ×"
		if pairwise(r.series, r.reference) {
			ratio += fmt.Sprintf(" (%s – %s)", formatDigits(found.low), formatDigits(found.high))
		}
	}
	switch {
	case r.goal.sign == "":
	case r.goal.ofFigure:
		goal = r.goal.sign + " " + r.series.unit.format(r.goal.limit)
	default:
		goal = fmt.Sprintf("%s %g ×", r.goal.sign, r.goal.limit)
	}
	return []string{r.name, figure, reference, ratio, goal, r.verdict()}
}

// spread describes how much the values of the row differ. It returns the 10th and the
// 90th percentile. If the figure is a 99th percentile, it returns the largest value
// instead.
func (r row) spread() string {
	all := r.series.values()
	format := r.series.unit.format
	switch {
	case len(all) == 1:
		return ""
	case r.q > median:
		return fmt.Sprintf(" (most %s)", format(all[len(all)-1]))
	default:
		return fmt.Sprintf(" (%s – %s)", format(quantile(all, 0.1)), format(quantile(all, 0.9)))
	}
}

// align returns a Markdown table with aligned columns. cells[0] is the header of the
// table.
func align(cells [][]string) string {
	widths := make([]int, len(cells[0]))
	for _, line := range cells {
		for i, cell := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for n, line := range cells {
		for i, cell := range line {
			b.WriteString("| " + cell + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)) + " ")
		}
		b.WriteString("|\n")
		if n == 0 {
			for _, width := range widths {
				b.WriteString("|" + strings.Repeat("-", width+2))
			}
			b.WriteString("|\n")
		}
	}
	return b.String()
}
