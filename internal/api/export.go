package api

import (
	"archive/zip"
	"context"
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	pyth "github.com/pyth-on/pyth-on"
)

const (
	exportPage    = 100
	exportTimeout = 15 * time.Minute
)

type exportOutput struct{ Body func(huma.Context) }

func (h *Handler) registerExport() {
	register(h, operation{
		scope: pyth.ScopeAccount,
		Operation: huma.Operation{
			OperationID: "readAccountExport", Method: http.MethodGet, Path: profilePath + "/export",
			Summary: "Export the data of the account", Tags: []string{tagAuth},
			Description: "Returns a ZIP file with the data of the account, as JSON. It contains the names of secrets, but no values of secrets and no API keys.",
			Responses: map[string]*huma.Response{"200": {Description: "The data", Content: map[string]*huma.MediaType{"application/zip": {
				Schema:  &huma.Schema{Type: huma.TypeString, Format: "binary", Description: "A ZIP file."},
				Example: "PK",
			}}}},
		},
		timeout: exportTimeout, action: pyth.ActionUserExported,
	}, ifEnabled(h.cfg.Profiles != nil, "exports", h.exportAccount))
}

// exportAccount streams a ZIP file. If a part of the export fails, it closes the
// connection. Otherwise the client could not see that the file is incomplete.
func (h *Handler) exportAccount(ctx context.Context, _ *noInput) (*exportOutput, error) {
	p := caller(ctx)
	if err := h.cfg.Profiles.NoteExport(ctx, p); err != nil {
		return nil, err
	}
	req := requestOf(ctx)
	header := req.w.Header()
	header.Set("Content-Type", "application/zip")
	header.Set("Content-Disposition", `attachment; filename="pyth-on-export.zip"`)
	req.w.WriteHeader(http.StatusOK)
	x := &export{handler: h, p: p, zip: zip.NewWriter(newDownload(req.w, h.cfg.ResponseTimeout))}
	if err := x.write(ctx); err != nil {
		h.log.WarnContext(ctx, "export not completed", "error", err)
		panic(http.ErrAbortHandler)
	}
	return &exportOutput{Body: func(huma.Context) {}}, nil
}

// export writes the data of an account to a ZIP file.
type export struct {
	handler *Handler
	p       *pyth.Principal
	zip     *zip.Writer
}

func (x *export) write(ctx context.Context) error {
	for _, part := range []struct {
		name  string
		write func(context.Context, func(any) error) error
	}{
		{"account.json", func(_ context.Context, add func(any) error) error { return add(userInfo(&x.p.User)) }},
		{"keys.jsonl", x.keys},
		{"logins.jsonl", x.logins},
		{"identities.jsonl", x.identities},
		{"secrets.jsonl", x.secrets},
		{"packages.jsonl", x.packages},
		{"encrypted-programs.jsonl", x.encryptedPrograms},
		{"webhooks.jsonl", x.webhooks},
		{"executions.jsonl", x.executions},
		{"audit.jsonl", x.audit},
	} {
		w, err := x.zip.CreateHeader(&zip.FileHeader{Name: part.name, Method: zip.Deflate, Modified: x.handler.now().UTC()})
		if err != nil {
			return err
		}
		if err := part.write(ctx, func(v any) error { return writeLine(w, v) }); err != nil {
			return err
		}
	}
	return x.zip.Close()
}

func writeLine(w io.Writer, v any) error {
	data, err := encode(v)
	if err != nil {
		return err
	}
	_, err = w.Write(append(data, '\n'))
	return err
}

func (x *export) keys(ctx context.Context, add func(any) error) error {
	cursor := ""
	for {
		keys, next, err := x.handler.cfg.Accounts.Keys(ctx, x.p, cursor, exportPage)
		if err != nil {
			return err
		}
		for _, k := range keys {
			if err := add(keyInfo(k)); err != nil {
				return err
			}
		}
		if cursor = next; cursor == "" {
			return nil
		}
	}
}

func (x *export) logins(ctx context.Context, add func(any) error) error {
	after := ""
	for {
		logins, err := x.handler.cfg.Profiles.Logins(ctx, x.p, after, exportPage)
		if err != nil {
			return err
		}
		for _, l := range logins {
			if err := add(loginInfo(l, x.p.FamilyID)); err != nil {
				return err
			}
		}
		if len(logins) < exportPage {
			return nil
		}
		after = logins[exportPage-1].ID
	}
}

func (x *export) identities(ctx context.Context, add func(any) error) error {
	if x.handler.cfg.Identities == nil {
		return nil
	}
	all, err := x.handler.cfg.Identities.Identities(ctx, x.p)
	if err != nil {
		return err
	}
	for _, i := range all {
		if err := add(identityInfo(i)); err != nil {
			return err
		}
	}
	return nil
}

func (x *export) secrets(ctx context.Context, add func(any) error) error {
	if x.handler.cfg.Secrets == nil {
		return nil
	}
	all, err := x.handler.cfg.Secrets.Secrets(ctx, x.p.User.ID)
	return addAll(add, all, err, func(s *pyth.Secret) any { return secretMetadata(s) })
}

func (x *export) packages(ctx context.Context, add func(any) error) error {
	if x.handler.cfg.Packages == nil {
		return nil
	}
	all, err := x.handler.cfg.Packages.Packages(ctx, x.p.User.ID, "")
	return addAll(add, all, err, func(p *pyth.Package) any { return packageInfo(p) })
}

func (x *export) webhooks(ctx context.Context, add func(any) error) error {
	if x.handler.cfg.Webhooks == nil {
		return nil
	}
	all, err := x.handler.cfg.Webhooks.Webhooks(ctx, x.p.User.ID)
	return addAll(add, all, err, func(w *pyth.Webhook) any { return webhook(w) })
}

// exportedProgram is an encrypted program with its metadata.
type exportedProgram struct {
	EncryptedCodeMetadata
	Payload ZKPayload `json:"payload"`
}

func (x *export) encryptedPrograms(ctx context.Context, add func(any) error) error {
	zk := x.handler.cfg.ZK
	if zk == nil {
		return nil
	}
	all, err := zk.Codes(ctx, x.p.User.ID)
	if err != nil {
		return err
	}
	for _, s := range all {
		c, err := zk.Code(ctx, x.p.User.ID, s.Name)
		if pyth.ErrorCode(err) == pyth.CodeNotFound {
			continue // The program was deleted during the export.
		}
		if err != nil {
			return err
		}
		if err := add(exportedProgram{encryptedCodeMetadata(s), zkPayload(c)}); err != nil {
			return err
		}
	}
	return nil
}

func (x *export) executions(ctx context.Context, add func(any) error) error {
	records := x.handler.cfg.Records
	if records == nil {
		return nil
	}
	before := pyth.ExecutionID("")
	for {
		page, err := records.Executions(ctx, x.p.User.ID, pyth.ExecutionFilter{}, before, exportPage)
		if err != nil {
			return err
		}
		for _, r := range page {
			whole, err := records.Execution(ctx, x.p.User.ID, r.ID, 0)
			if pyth.ErrorCode(err) == pyth.CodeNotFound {
				continue // The run was deleted during the export.
			}
			if err != nil {
				return err
			}
			if err := add(execution(whole)); err != nil {
				return err
			}
		}
		if len(page) < exportPage {
			return nil
		}
		before = page[exportPage-1].ID
	}
}

func (x *export) audit(ctx context.Context, add func(any) error) error {
	if x.handler.cfg.Audit == nil {
		return nil
	}
	cursor := ""
	for {
		entries, next, err := x.handler.cfg.Audit.Entries(ctx, x.p.User.ID, pyth.AuditFilter{}, cursor, exportPage)
		if err := addAll(add, entries, err, func(e *pyth.AuditEntry) any { return auditEntry(e) }); err != nil {
			return err
		}
		if cursor = next; cursor == "" {
			return nil
		}
	}
}

// addAll calls the function "add" for each item. If the parameter "err" is not nil, it
// only returns err.
func addAll[T any](add func(any) error, all []T, err error, convert func(T) any) error {
	if err != nil {
		return err
	}
	for _, v := range all {
		if err := add(convert(v)); err != nil {
			return err
		}
	}
	return nil
}
