package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

// untilSignal returns a context that ends with SIGINT, SIGTERM or SIGHUP.
func untilSignal() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
}

// untilStopSignal returns a context that ends with SIGINT or SIGTERM.
func untilStopSignal() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
}

// handleSignals calls the function "reload" when SIGHUP arrives. It logs and ignores
// SIGUSR1 and SIGUSR2, which make other servers rotate logs. The result "stop" is a
// function that restores the default actions.
//
// The server also ignores SIGPIPE, but without a log message. By default, SIGPIPE
// would end the server when the reader of its log closes the pipe.
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
			// Do not log SIGPIPE, because writing the log line could cause the next
			// SIGPIPE.
		}
	}()
	return func() {
		signal.Stop(received)
		close(received)
	}
}
