package app

import "github.com/pyth-on/pyth-on/internal/account"

// remover returns the service that deletes accounts. It first ends the runs and the
// sessions of the user.
func (s *Server) remover() *account.Remover {
	return &account.Remover{
		Store: s.config.Accounts.store, Audit: s.config.Accounts.log, Activities: []account.Activity{s.records, s.sessions},
	}
}
