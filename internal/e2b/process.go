package e2b

import (
	"github.com/pyth-on/pyth-on/internal/e2b/envd/process"
)

// processService implements the service process.Process.
type processService struct {
	process.UnimplementedProcessHandler

	server *Server
}

var _ process.ProcessHandler = (*processService)(nil)
