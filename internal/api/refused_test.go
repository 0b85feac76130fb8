package api_test

import (
	"bufio"
	"fmt"
	"net/http"
	"testing"

	"github.com/pyth-on/pyth-on/internal/api"
)

// TestHandlerDiscardsRefusedBodies sends a whole body before it reads the response. In
// most cases, the server refuses the request before it reads the body. The client must
// still get the response. If the server did not discard the body, it would close the
// connection, and the client could not send the body.
func TestHandlerDiscardsRefusedBodies(t *testing.T) {
	const size, part = 32 << 20, 1 << 20
	key := "X-Api-Key: " + goodKey + "\r\n"
	const typed = "Content-Type: application/json\r\n"
	for name, c := range map[string]struct {
		request, header string
		chunked         bool
		draining        bool
		want            int
	}{
		"too large":                    {request: "POST /api/login", header: typed, want: 413},
		"too large without a length":   {request: "POST /api/login", header: typed, chunked: true, want: 413},
		"wrong media type":             {request: "POST /api/login", header: "Content-Type: text/html\r\n", want: 415},
		"no credentials":               {request: "POST /api/v1/execute", header: typed, want: 401},
		"no credentials for an upload": {request: "PUT /api/v1/sessions/s/files/a", want: 401},
		"unknown path":                 {request: "POST /nothing", header: key, want: 404},
		"compressed upload":            {request: "PUT /api/v1/sessions/s/files/a", header: key + "Content-Encoding: gzip\r\n", want: 415},
		"wrong method":                 {request: "PUT /api/login", header: key, want: 405},
		"stopping server":              {request: "POST /api/v1/execute", header: key + typed, draining: true, want: 503},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := listen(t, api.ServerConfig{})
			if c.draining {
				l.handler.Drain()
			}
			connection := l.dial()
			length, before, after, end := fmt.Sprint("Content-Length: ", size), "", "", ""
			if c.chunked {
				length, before, after, end = "Transfer-Encoding: chunked", fmt.Sprintf("%x\r\n", part), "\r\n", "0\r\n\r\n"
			}
			l.write(connection, fmt.Sprintf("%s HTTP/1.1\r\nHost: localhost\r\n%s%s\r\n\r\n", c.request, c.header, length))
			body := string(make([]byte, part))
			for range size / part {
				l.write(connection, before+body+after)
			}
			l.write(connection, end)
			response, err := http.ReadResponse(bufio.NewReader(connection), nil)
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			if response.StatusCode != c.want {
				t.Errorf("got the status %d, want %d", response.StatusCode, c.want)
			}
		})
	}
}
