package main

import (
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/pyth-on/pyth-on/internal/logging"
)

// jsonFormat is the value of --log-format that selects one JSON object per log line.
const jsonFormat = "json"

type logFlags struct {
	LogLevel  slog.Level `default:"info" reload:"" help:"Minimum level of log messages: debug, info, warn or error."`
	LogFormat string     `default:"text" enum:"text,json" help:"Format of log lines: ${enum}."`
}

// logger returns a logger and its level variable. The caller can set this variable to
// change the log level.
func (f logFlags) logger(w io.Writer) (*slog.Logger, *slog.LevelVar) {
	level := new(slog.LevelVar)
	level.Set(f.LogLevel)
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: logging.ReplaceAttr}
	if f.LogFormat == jsonFormat {
		return slog.New(logging.NewHandler(slog.NewJSONHandler(w, options))), level
	}
	return slog.New(logging.NewHandler(slog.NewTextHandler(w, options))), level
}

// progress returns a function that reports the progress of a long step. If the log
// format is JSON, the function writes log records. Otherwise the function prints text
// for a terminal.
func (f logFlags) progress(logger *slog.Logger) func(step string, done, total int) {
	if f.LogFormat == jsonFormat {
		return (&progressLog{logger: logger}).step
	}
	return newProgress(os.Stderr).step
}

type progressLog struct {
	logger *slog.Logger
	last   string
	at     time.Time
}

func (p *progressLog) step(name string, done, total int) {
	if name == p.last && time.Since(p.at) < progressEvery {
		return
	}
	p.last, p.at = name, time.Now()
	attrs := []any{"step", name}
	if total > 0 {
		attrs = append(attrs, "percent", done*100/total)
	}
	p.logger.Info("preparing", attrs...)
}

// wantsJSONLog reports whether a server or worker must write its log as JSON. The
// result determines the format of errors that occur while the flags are not parsed yet.
// The parameter "file" is true if the settings file selects a JSON log.
func wantsJSONLog(args, environ []string, file bool) bool {
	if len(args) == 0 || args[0] != "serve" && args[0] != "worker" {
		return false
	}
	for i, arg := range args {
		value, found := strings.CutPrefix(arg, "--log-format")
		switch {
		case !found:
		case value == "" && i+1 < len(args):
			return args[i+1] == jsonFormat
		default:
			return value == "="+jsonFormat
		}
	}
	for _, variable := range environ {
		if value, found := strings.CutPrefix(variable, settingPrefix+"LOG_FORMAT="); found {
			return value == jsonFormat
		}
	}
	return file
}
