package main

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// difyServer is a running dify-sandbox server. It accepts API keys in the same header
// as a Pyth-On server.
type difyServer struct{ *account }

// runAnswer runs the usual program, print(42), on the dify-sandbox server and checks
// its output.
func (d *difyServer) runAnswer(ctx context.Context) (time.Duration, error) {
	var run struct {
		Data struct{ Stdout, Error string }
	}
	request := map[string]any{"language": "python3", "code": program, "preload": "", "enable_network": false}
	took, err := d.call(ctx, http.MethodPost, "/v1/sandbox/run", request, http.StatusOK, &run)
	if err == nil && (run.Data.Stdout != answer || run.Data.Error != "") {
		err = fmt.Errorf("dify-sandbox printed %q, error %q", run.Data.Stdout, run.Data.Error)
	}
	return took, err
}
