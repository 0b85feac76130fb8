package main

import (
	"context"
	"os/signal"
	"syscall"
)

// untilSignal is done when the process is told to end.
func untilSignal() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
}
