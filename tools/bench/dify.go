package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// difyServer is a running dify-sandbox server.
type difyServer struct {
	url, key string
	http     *http.Client
}

// runAnswer runs the usual program and checks its output.
func (d *difyServer) runAnswer(ctx context.Context) (time.Duration, error) {
	body, err := json.Marshal(map[string]any{"language": "python3", "code": program, "preload": "", "enable_network": false})
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url+"/v1/sandbox/run", bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header = http.Header{"Content-Type": {"application/json"}, "X-Api-Key": {d.key}}
	start := time.Now()
	res, err := d.http.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	took := time.Since(start)
	if err != nil {
		return 0, err
	}
	var run struct {
		Data struct{ Stdout, Error string }
	}
	if err := json.Unmarshal(b, &run); err != nil || run.Data.Stdout != answer || run.Data.Error != "" {
		return 0, fmt.Errorf("dify-sandbox answered %s: %s", res.Status, b)
	}
	return took, nil
}
