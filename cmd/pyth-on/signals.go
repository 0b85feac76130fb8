package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

// untilSignal returns a context that ends when the process is told to end.
func untilSignal() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
}

// untilStopSignal is untilSignal for a server, which SIGHUP does not end.
func untilStopSignal() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
}

// ignoreSignals keeps signals from ending the server that other servers reload
// or rotate logs on, and logs each one. stop restores their default.
//
// SIGPIPE is among them: by default a Go program dies of it as soon as nobody
// reads its log any more.
func ignoreSignals(logger *slog.Logger) (stop func()) {
	received := make(chan os.Signal, 8)
	signal.Notify(received, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGPIPE)
	go func() {
		for s := range received {
			switch s {
			case syscall.SIGHUP:
				logger.Warn("signal ignored: reload is not supported yet", "signal", "SIGHUP", "hint", "restart the server to change its settings")
			case syscall.SIGUSR1:
				logger.Warn("signal ignored: it has no meaning here", "signal", "SIGUSR1")
			case syscall.SIGUSR2:
				logger.Warn("signal ignored: it has no meaning here", "signal", "SIGUSR2")
			}
			// A log line about SIGPIPE could cause the next SIGPIPE.
		}
	}()
	return func() {
		signal.Stop(received)
		close(received)
	}
}
