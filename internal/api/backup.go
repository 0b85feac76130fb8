package api

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	pyth "github.com/pyth-on/pyth-on"
)

// backupTimeout is the time-out for a backup and its transfer.
const backupTimeout = time.Hour

type backupOutput struct{ Body func(huma.Context) }

func (h *Handler) registerBackup() {
	registerAdminOnly(h, operation{
		Operation: huma.Operation{
			OperationID: "readBackup", Method: http.MethodGet, Path: "/api/v1/admin/backup", Summary: "Make a backup and read it",
			Description: "Makes a backup of all data of the server, verifies it, and returns it as a tar file. The backup does not contain the root key. The server makes one backup at a time. The operator can forbid this operation with --backup-download=off.",
			Errors:      []int{http.StatusConflict},
			Responses: map[string]*huma.Response{"200": {Description: "The backup", Content: map[string]*huma.MediaType{"application/x-tar": {
				Schema:  &huma.Schema{Type: huma.TypeString, Format: "binary", Description: "A tar file for the command pyth-on restore."},
				Example: "manifest.json",
			}}}},
		},
		timeout: backupTimeout, action: pyth.ActionBackupMade,
	}, ifEnabled(h.cfg.Backups != nil, "downloads of backups", h.readBackup))
}

// readBackup streams a backup. If the transfer fails, it closes the connection, so that
// the client does not treat an incomplete file as complete.
func (h *Handler) readBackup(ctx context.Context, _ *noInput) (*backupOutput, error) {
	file, err := h.cfg.Backups.MakeBackup(ctx, caller(ctx).User.ID)
	if err != nil {
		return nil, err
	}
	// Ignore the error, because all data has been read or the transfer has failed.
	defer func() { _ = file.Close() }()
	w := requestOf(ctx).w
	w.Header().Set("Content-Type", "application/x-tar")
	w.Header().Set("Content-Disposition", `attachment; filename="`+file.Name+`"`)
	w.Header().Set("Content-Length", strconv.FormatInt(file.SizeBytes, 10))
	w.WriteHeader(http.StatusOK)
	if _, err := io.Copy(newDownload(w, h.cfg.ResponseTimeout), file); err != nil {
		h.log.WarnContext(ctx, "backup not transferred", "error", err)
		panic(http.ErrAbortHandler)
	}
	return &backupOutput{Body: func(huma.Context) {}}, nil
}
