package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func example() report {
	bare := &series{name: "bare", unit: seconds, rounds: [][]float64{{0.010}, {0.010}}}
	warm := &series{name: "warm", unit: seconds, rounds: [][]float64{{0.002, 0.002}, {0.004}}}
	memory := &series{name: "memory", unit: memorySize, rounds: [][]float64{{30e6}}}
	absent := &series{name: "absent"}
	return report{
		Machine: machine{
			Date: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC), Version: "pyth-on v1", Go: "go1.26", GVisor: "v0",
			Processor: "a processor", Cores: 2, Memory: "24 GiB", Kernel: "Linux 6", Load: "0.10",
		},
		Duration: 61 * time.Second,
		Python:   "the host's Python 3",
		Rows: withMeasurements([]row{
			{"bare", bare, median, nil, goal{}},
			{"warm", warm, median, bare, atMost(0.25)},
			{"warm, p99", warm, p99, bare, atMost(0.25)},
			{"warm alone", warm, median, absent, atMost(0.25)},
			{"memory", memory, median, nil, figureAtMost(25e6)},
			{"absent", absent, median, bare, atMost(1)},
		}),
		Missing: []absence{{"absent", "there is none"}},
	}
}

func TestTableAlignsColumns(t *testing.T) {
	want := `| what       | figure                      | compared with | ratio                   | goal      |        |
|------------|-----------------------------|---------------|-------------------------|-----------|--------|
| bare       | 10.0 ms (10.0 ms – 10.0 ms) |               |                         |           |        |
| warm       | 2.00 ms (2.00 ms – 4.00 ms) | bare: 10.0 ms | 0.200 × (0.200 – 0.400) | ≤ 0.25 ×  | met    |
| warm, p99  | 4.00 ms (most 4.00 ms)      | bare: 10.0 ms | 0.400 × (0.200 – 0.400) | ≤ 0.25 ×  | missed |
| warm alone | 2.00 ms (2.00 ms – 4.00 ms) |               |                         | ≤ 0.25 ×  |        |
| memory     | 30.0 MB                     |               |                         | ≤ 25.0 MB | missed |
`
	if diff := cmp.Diff(want, example().Table()); diff != "" {
		t.Error(diff)
	}
}

func TestTableColoursVerdicts(t *testing.T) {
	var plain, coloured bytes.Buffer
	r := example()
	if err := r.table(&plain, false); err != nil {
		t.Fatal(err)
	}
	if err := r.table(&coloured, true); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(plain.String(), "\033") || !strings.Contains(coloured.String(), "\033[32mmet\033[0m") {
		t.Errorf("plain:\n%s\ncoloured:\n%s", &plain, &coloured)
	}
	if !strings.Contains(plain.String(), "not measured: absent: there is none\n") {
		t.Errorf("missing measurements are not reported:\n%s", &plain)
	}
}

func TestMarkdownDescribesMachineAndMethod(t *testing.T) {
	var b bytes.Buffer
	r := example()
	if err := r.markdown(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"2026-11-24 12:00 UTC; the run took 1m1s", "pyth-on v1, go1.26, gVisor v0", "a processor, 2 cores", "24 GiB", "Linux 6",
		"the host's Python 3", r.Table(), "does not work on this machine: absent.", "coordinated omission",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, &b)
		}
	}
	if strings.Contains(b.String(), "there is none") {
		t.Error("the reason must not be in the report, since it may contain paths")
	}
}

func TestGoalLimitsRatioOrFigure(t *testing.T) {
	two, four := &series{rounds: [][]float64{{2}}}, &series{rounds: [][]float64{{4}}}
	for _, c := range []struct {
		row  row
		want string
	}{
		{row{series: two, reference: four, goal: atMost(0.5)}, "met"},
		{row{series: two, reference: four, goal: atMost(0.4)}, "missed"},
		{row{series: four, reference: two, goal: atLeast(2)}, "met"},
		{row{series: four, reference: two, goal: atLeast(2.1)}, "missed"},
		{row{series: two, goal: figureAtMost(2)}, "met"},
		{row{series: two, goal: figureAtMost(1)}, "missed"},
		{row{series: two, goal: atMost(1)}, ""},
		{row{series: two, reference: four}, ""},
	} {
		c.row.q = median
		if got := c.row.verdict(); got != c.want {
			t.Errorf("%+v is %q, want %q", c.row.goal, got, c.want)
		}
	}
}

func TestRowsNeedMeasurements(t *testing.T) {
	r := newResults(python{label: "bare"}, python{label: "embedded"})
	if rows := r.rows(2); len(rows) != 0 {
		t.Errorf("got %d rows without measurements", len(rows))
	}
	r.bare.add([]float64{0.01})
	r.eightClients.add([]float64{256})
	rows := r.rows(2)
	if len(rows) != 3 {
		t.Fatalf("got %+v", rows)
	}
	if got := rows[2].cells(); got[2] != "dify-sandbox, estimated: 64.0/s" || got[5] != "met" {
		t.Errorf("got %q", got)
	}
	r.dify.add([]float64{128})
	if got := r.rows(2)[2].cells(); got[2] != "dify-sandbox: 128/s" || got[5] != "missed" {
		t.Errorf("got %q", got)
	}
}
