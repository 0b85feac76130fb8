package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/audit/log"
	"github.com/pyth-on/pyth-on/internal/host/disk"
	"github.com/pyth-on/pyth-on/internal/secret/vault"
)

type auditCommand struct {
	Verify auditVerifyCommand `cmd:"" help:"Check that no entry was changed, removed or moved, and that no entry was added without a signature. The exit code is 1 if the check fails."`
	Export auditExportCommand `cmd:"" help:"Write the entries to standard output as JSON, one per line, oldest first."`
	Key    auditKeyCommand    `cmd:"" help:"Print the public key that verifies the signatures of checkpoints."`
	List   auditListCommand   `cmd:"" help:"List the entries of your account on a server, newest first."`
}

// verifierKey returns the public key with which clients verify checkpoints of the audit
// log. The server's signing key is encrypted, so verifierKey decrypts it with the root
// key.
func (k *rootKeyFlags) verifierKey(ctx context.Context, dataDir string, store pyth.KeyStore) (string, error) {
	keeper, err := k.keeper(ctx, dataDir, store)
	if err != nil {
		return "", err
	}
	seed, err := log.Seed(ctx, vault.New(keeper, store))
	if err != nil {
		return "", err
	}
	defer clear(seed)
	return log.VerifierKey(seed)
}

type auditVerifyCommand struct {
	serverFlags
	rootKeyFlags
	Key        string `help:"The public key from 'pyth-on audit key'. With this flag, the command does not need the root key."`
	Checkpoint string `type:"existingfile" help:"File with an earlier checkpoint. The command also checks that the log still contains all entries of the earlier checkpoint."`
	Save       string `type:"path" help:"File for the new checkpoint. The command writes the file if the check succeeds. Keep the file on a different machine."`
}

func (c *auditVerifyCommand) Run() (err error) {
	ctx, stop := untilSignal()
	defer stop()
	store, err := c.openToRead(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	v := log.Verification{Key: c.Key, Store: store, Progress: delayProgress(newProgress(os.Stderr))}
	if v.Key == "" {
		if v.Key, err = c.verifierKey(ctx, c.DataDir, store); err != nil {
			return fmt.Errorf("%w; give the verifier key with --key, or the root key with --root-key-file", err)
		}
	}
	if c.Checkpoint != "" {
		if v.Kept, err = os.ReadFile(c.Checkpoint); err != nil {
			return err
		}
	}
	report, err := log.Verify(ctx, v)
	if err != nil {
		return err
	}
	for _, f := range report.Findings {
		fmt.Fprintln(os.Stdout, f)
	}
	if report.More > 0 {
		fmt.Fprintf(os.Stdout, "and %d more\n", report.More)
	}
	if !report.Whole() {
		fmt.Fprintf(os.Stdout, "NOT intact: %d entries\n", report.Size)
		return exitCode(1)
	}
	fmt.Fprintf(os.Stdout, "intact: %d entries, %d of them pruned, root %v\n", report.Size, report.Pruned, report.Root)
	if c.Save != "" {
		return disk.Replace(c.Save, 0o600, func(w io.Writer) error {
			_, err := w.Write(report.Checkpoint)
			return err
		})
	}
	return nil
}

// progressDelay is the time after which a running command begins to report its
// progress.
const progressDelay = 2 * time.Second

// delayProgress returns a function that reports progress to p. The function reports
// nothing until the time progressDelay has passed, so short commands print no progress.
func delayProgress(p *progress) func(done, total int64) {
	started := time.Now()
	return func(done, total int64) {
		if time.Since(started) > progressDelay {
			p.step("Checking entries", int(done), int(total))
		}
	}
}

type auditExportCommand struct {
	serverFlags
	Since   time.Time `help:"Export only entries at or after this time, for example 2026-04-04T00:00:00Z."`
	Until   time.Time `help:"Export only entries before this time."`
	User    string    `help:"Export only entries of the user with this ID."`
	Action  string    `help:"Export only entries with this action, for example user.login."`
	Outcome string    `default:"any" enum:"any,success,denied,failure" help:"Export only entries with this outcome: ${enum}."`
}

func (c *auditExportCommand) Run() (err error) {
	ctx, stop := untilSignal()
	defer stop()
	store, err := c.openToRead(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	out := bufio.NewWriter(os.Stdout)
	if err := log.Export(ctx, store, c.selects, out); err != nil {
		return err
	}
	return out.Flush()
}

func (c *auditExportCommand) selects(r *pyth.AuditRecord) bool {
	return (c.User == "" || string(r.User) == c.User) &&
		(c.Action == "" || string(r.Action) == c.Action) &&
		(c.Outcome == "any" || string(r.Outcome) == c.Outcome) &&
		!r.Timestamp.Before(c.Since) &&
		(c.Until.IsZero() || r.Timestamp.Before(c.Until))
}

type auditKeyCommand struct {
	serverFlags
	rootKeyFlags
}

func (c *auditKeyCommand) Run() (err error) {
	store, err := c.openToRead(context.Background())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	key, err := c.verifierKey(context.Background(), c.DataDir, store)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(os.Stdout, key)
	return err
}
