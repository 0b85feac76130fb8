package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// ticks is a Python program that prints the current time several times, one time per
// line. The unit is nanoseconds.
const ticks = `
import sys, time
for _ in range(int(sys.argv[1])):
    print(time.time_ns(), flush=True)
    time.sleep(0.02)
`

const tickCount = 40

// streamTicks runs the program ticks with a stream of events. For each line, it returns
// the time in seconds from the program's print call until the client has read the line.
// The sandbox and the client use the same clock.
func (a *account) streamTicks(ctx context.Context) ([]float64, error) {
	body, err := json.Marshal(map[string]any{"code": ticks, "args": []string{strconv.Itoa(tickCount)}})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.url+"/api/v1/execute", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header = http.Header{"Content-Type": {"application/json"}, "Accept": {"text/event-stream"}, "X-Api-Key": {a.key}}
	res, err := a.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	var took []float64
	name := ""
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		now := time.Now()
		field, value, _ := strings.Cut(lines.Text(), ": ")
		switch {
		case field == "event":
			name = value
		case field == "data" && name == "stdout":
			var data struct{ Text string }
			if err := json.Unmarshal([]byte(value), &data); err != nil {
				return nil, err
			}
			written, err := strconv.ParseInt(strings.TrimSpace(data.Text), 10, 64)
			if err != nil {
				return nil, fmt.Errorf("received two lines at once: %q", data.Text)
			}
			took = append(took, now.Sub(time.Unix(0, written)).Seconds())
		}
	}
	if len(took) != tickCount {
		return nil, errors.New("the stream was cut short")
	}
	return took, nil
}
