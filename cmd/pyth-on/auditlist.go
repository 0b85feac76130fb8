package main

import (
	"time"

	"github.com/pyth-on/pyth-on/client"
)

type auditListCommand struct {
	Limit   int       `env:"-" short:"n" default:"20" help:"Maximum number of entries. The value 0 means all entries."`
	Action  string    `env:"-" help:"List only entries with this action, for example user.login."`
	Outcome string    `env:"-" default:"any" enum:"any,success,denied,failure" help:"List only entries with this outcome: ${enum}."`
	Label   string    `env:"-" help:"List only entries of runs with this label."`
	Since   time.Time `env:"-" help:"List only entries at or after this time, for example 2026-04-04T00:00:00Z."`
	Until   time.Time `env:"-" help:"List only entries before this time."`

	jsonFlag
	connectFlags
}

func (c *auditListCommand) Run() error {
	ctx, stop := untilSignal()
	defer stop()
	server, err := c.connect("audit list")
	if err != nil {
		return err
	}
	filter := client.AuditFilter{Action: client.AuditAction(c.Action), Label: c.Label, Since: c.Since, Until: c.Until}
	if c.Outcome != "any" {
		filter.Outcome = client.Outcome(c.Outcome)
	}
	all, err := atMost(server.Audit(ctx, filter), c.Limit)
	if err != nil {
		return advise(err)
	}
	if c.JSON {
		return printJSON(map[string]any{"entries": all})
	}
	rows := make([][]string, len(all))
	for i, e := range all {
		rows[i] = []string{localTime(e.Timestamp), string(e.Action), string(e.Outcome), e.Resource, string(e.Actor.Credential), e.IP, e.UserAgent}
	}
	return printRows("TIME\tACTION\tOUTCOME\tRESOURCE\tCREDENTIAL\tIP\tCLIENT", rows)
}
