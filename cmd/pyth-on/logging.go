package main

import (
	"io"
	"log/slog"
)

// logFlags say what is logged and how.
type logFlags struct {
	LogLevel  slog.Level `default:"info" help:"Least important messages to log: debug, info, warn or error."`
	LogFormat string     `default:"text" enum:"text,json" help:"Format of log lines: ${enum}."`
}

func (f logFlags) logger(w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: f.LogLevel}
	if f.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
