package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

// untilSignal returns a context that ends when SIGINT, SIGTERM or SIGHUP arrives.
func untilSignal() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
}

// untilStopSignal returns a context that ends when SIGINT or SIGTERM arrives.
func untilStopSignal() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
}

// handleSignals calls the function "reload" when SIGHUP arrives. It logs SIGUSR1 and
// SIGUSR2, but does nothing else, because operators use these signals to rotate the
// logs of other servers. The result "stop" is a function that restores the default
// actions of the signals.
//
// The server also ignores SIGPIPE, but writes no log message. The kernel sends SIGPIPE
// if the process that reads the log has closed the pipe. By default, this signal would
// end the server.
func handleSignals(logger *slog.Logger, reload func()) (stop func()) {
	received := make(chan os.Signal, 8)
	signal.Notify(received, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGPIPE)
	go func() {
		for s := range received {
			switch s {
			case syscall.SIGHUP:
				reload()
			case syscall.SIGUSR1:
				logger.Warn("signal ignored: the server does not use this signal", "signal", "SIGUSR1")
			case syscall.SIGUSR2:
				logger.Warn("signal ignored: the server does not use this signal", "signal", "SIGUSR2")
			}
			// Do not log SIGPIPE, because each write to the closed log causes another
			// SIGPIPE.
		}
	}()
	return func() {
		signal.Stop(received)
		close(received)
	}
}
