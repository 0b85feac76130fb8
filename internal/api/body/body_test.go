package body_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/api/body"
)

// TestReadDiscardsRefusedBodies sends a whole body before it reads the response. The
// client must get the response although the server refuses the body. Without the discard,
// the server would close the connection, and the client could not send the body.
func TestReadDiscardsRefusedBodies(t *testing.T) {
	const size = 32 << 20
	for name, c := range map[string]struct {
		memory, limit int64
		mediaType     string
		chunked       bool
		want          pyth.Code
	}{
		"no memory for the body":     {memory: 4 << 20, limit: size, mediaType: "application/json", want: pyth.CodeQuotaExceeded},
		"too large":                  {memory: 64 << 20, limit: size / 2, mediaType: "application/json", want: pyth.CodeTooLarge},
		"too large without a length": {memory: 256 << 20, limit: size / 2, mediaType: "application/json", chunked: true, want: pyth.CodeTooLarge},
		"wrong media type":           {memory: 64 << 20, limit: size, mediaType: "text/html", want: pyth.CodeUnsupportedMedia},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			budget := body.NewBudget(c.memory, 1)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				reader := &body.Reader{Required: true, MaxBytes: c.limit}
				var value any
				w.Header().Set("Connection", "close")
				if refused, ok := errors.AsType[*pyth.Error](reader.Read(w, r, budget.Reserve("caller"), &value)); ok {
					_, _ = io.WriteString(w, string(refused.Code))
				}
			}))
			defer server.Close()
			connection, err := net.Dial("tcp", server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer connection.Close()
			const part = 1 << 20
			length, before, after, end := fmt.Sprint("Content-Length: ", size), "", "", ""
			if c.chunked {
				length, before, after, end = "Transfer-Encoding: chunked", fmt.Sprintf("%x\r\n", part), "\r\n", "0\r\n\r\n"
			}
			fmt.Fprintf(connection, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\n%s\r\n\r\n", c.mediaType, length)
			for range size / part {
				if _, err := fmt.Fprint(connection, before, string(make([]byte, part)), after); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := fmt.Fprint(connection, end); err != nil {
				t.Fatal(err)
			}
			response, err := http.ReadResponse(bufio.NewReader(connection), nil)
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(response.Body)
			if err != nil || string(text) != string(c.want) {
				t.Errorf("%v: %s", err, text)
			}
		})
	}
}
