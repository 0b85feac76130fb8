package main

import (
	"fmt"
	"strings"
	"testing"
)

func TestServerLogFindsAddressInPieces(t *testing.T) {
	l := &serverLog{url: make(chan string, 1)}
	for _, piece := range []string{"==> Unpacking\n{\"msg\":\"serv", "ing\",\"url\":\"http://127.0.0.1:1\"}\n", "{\"msg\":\"serving\",\"url\":\"again\"}\n"} {
		if n, err := l.Write([]byte(piece)); n != len(piece) || err != nil {
			t.Fatal(n, err)
		}
	}
	if got := <-l.url; got != "http://127.0.0.1:1" {
		t.Errorf("got %q", got)
	}
}

func TestServerLogKeepsLastLines(t *testing.T) {
	l := &serverLog{url: make(chan string, 1)}
	for i := range 100 {
		fmt.Fprintf(l, "line %d\n", i)
	}
	if got := l.String(); strings.Count(got, "\n") != keptLines-1 || !strings.HasPrefix(got, "line 90\n") || !strings.HasSuffix(got, "line 99") {
		t.Errorf("kept %q", got)
	}
}
