package main

import (
	"cmp"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/pyth-on/pyth-on/client"
)

type usageCommand struct {
	By    string    `env:"-" default:"day" enum:"day,language,key" help:"Group the usage by: ${enum}."`
	Since time.Time `env:"-" help:"Show the usage since this time, for example 2026-04-04T00:00:00Z (default: 30 days ago)."`
	Until time.Time `env:"-" help:"Show the usage before this time."`

	jsonFlag
	connectFlags
}

func (c *usageCommand) Run() error {
	ctx, stop := untilSignal()
	defer stop()
	server, err := c.connect("usage")
	if err != nil {
		return err
	}
	report, err := server.Usage(ctx, client.UsageGroup(c.By), c.Since, c.Until)
	if err != nil {
		return advise(err)
	}
	if c.JSON {
		return printJSON(report)
	}
	rows := make([][]string, 0, len(report.Items)+1)
	for _, i := range report.Items {
		rows = append(rows, usageRow(cmp.Or(i.Day, string(i.Language), i.KeyID, "token"), client.UsageTotals{
			CPUMs: i.CPUMs, Executions: i.Executions, GenerateTokens: i.GenerateTokens, NetworkBytes: i.NetworkBytes, StorageBytes: i.StorageBytes,
		}))
	}
	rows = append(rows, usageRow("total", report.Total))
	if err := printRows("GROUP\tRUNS\tCPU\tNETWORK\tSTORAGE\tTOKENS", rows); err != nil {
		return err
	}
	fmt.Fprintln(os.Stdout)
	rows = rows[:0]
	for _, q := range report.Quotas {
		rows = append(rows, []string{string(q.Name), strconv.FormatInt(q.Used, 10), strconv.FormatInt(q.Limit, 10), localTime(q.ResetsAt)})
	}
	return printRows("QUOTA\tUSED\tLIMIT\tRESETS", rows)
}

func usageRow(group string, u client.UsageTotals) []string {
	return []string{
		group, strconv.FormatInt(u.Executions, 10), (time.Duration(u.CPUMs) * time.Millisecond).String(),
		humanize.IBytes(uint64(u.NetworkBytes)), humanize.IBytes(uint64(u.StorageBytes)), strconv.FormatInt(u.GenerateTokens, 10),
	}
}
