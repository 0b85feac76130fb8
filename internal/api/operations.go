package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	pyth "github.com/pyth-on/pyth-on"
)

// ActiveExecution describes a run that has not ended. The run can belong to any user.
type ActiveExecution struct {
	_ struct{} `doc:"A run of any user."`

	ID        string         `json:"id" doc:"The ID of the run." example:"019d5783"`
	UserID    string         `json:"userId" doc:"The ID of the user." example:"usr_01k7"`
	Email     string         `json:"email" doc:"The e-mail address of the user." example:"ada@example.org"`
	State     ExecutionState `json:"state" doc:"Whether the run is queued or running." example:"running"`
	Language  Language       `json:"language" doc:"The programming language." example:"python"`
	SessionID string         `json:"sessionId,omitzero" doc:"The ID of the session. Absent for a run without a session." example:"019d5783"`
	KeyID     string         `json:"keyId,omitzero" doc:"The ID of the API key that started the run. Absent for a run that was started with a token." example:"key_01k7"`
	Labels    []string       `json:"labels" doc:"The labels of the run."`
	CreatedAt Timestamp      `json:"createdAt" doc:"When the run was created."`
	StartedAt Timestamp      `json:"startedAt,omitzero" doc:"When the program started. Absent if the program has not started."`
}

// ActiveExecutionList is a page of runs that have not ended.
type ActiveExecutionList struct {
	_ struct{} `doc:"A page of runs of all users."`

	Executions []ActiveExecution `json:"executions" doc:"The runs, oldest first."`
	ListPage
}

// Overview describes the state of the server.
type Overview struct {
	_ struct{} `doc:"The state of the server that answers the request."`

	Version            string            `json:"version" doc:"The version of the server." example:"1.4.0"`
	UptimeMs           int64             `json:"uptimeMs" doc:"The time since the start of the server." example:"86400000"`
	Users              UserCounts        `json:"users" doc:"Numbers of accounts."`
	Pool               PoolOverview      `json:"pool" doc:"Sandboxes and programs on this machine."`
	QueuedExecutions   int64             `json:"queuedExecutions" doc:"The number of asynchronous runs that wait in the database." example:"0"`
	ProcessMemoryBytes int64             `json:"processMemoryBytes" doc:"The memory that the server process uses. The memory of programs is not included." example:"104857600"`
	Disk               DiskOverview      `json:"disk" doc:"The file system of the data directory."`
	Database           DatabaseOverview  `json:"database" doc:"The database."`
	Runtimes           map[string]string `json:"runtimes" doc:"The versions of the available runtimes."`
	LastBackupAt       Timestamp         `json:"lastBackupAt,omitzero" doc:"When the last backup was made. Absent if no backup is known."`
	Workers            *int              `json:"workers,omitempty" nullable:"false" doc:"The number of connected workers. Absent if programs run on the machine of the server." example:"3"`
}

// UserCounts contains the numbers of accounts in different states.
type UserCounts struct {
	_ struct{} `doc:"Numbers of accounts."`

	Total        int64 `json:"total" doc:"The number of all accounts." example:"12"`
	Disabled     int64 `json:"disabled" doc:"The number of disabled accounts." example:"1"`
	ActiveAdmins int64 `json:"activeAdmins" doc:"The number of enabled administrators." example:"2"`
}

// PoolOverview contains the numbers of sandboxes and programs.
type PoolOverview struct {
	_ struct{} `doc:"Numbers of sandboxes and programs on the machine of the server."`

	Running             int   `json:"running" doc:"The number of running programs." example:"3"`
	Waiting             int   `json:"waiting" doc:"The number of programs that wait for a sandbox." example:"0"`
	Warm                int   `json:"warm" doc:"The number of sandboxes that have not run a program." example:"4"`
	Idle                int   `json:"idle" doc:"The number of sandboxes that belong to a user and wait for the next program of this user." example:"2"`
	Booting             int   `json:"booting" doc:"The number of sandboxes that are booting." example:"0"`
	Users               int   `json:"users" doc:"The number of users who have a sandbox, or a program in the queue." example:"5"`
	Sessions            int   `json:"sessions" doc:"The number of idle sessions." example:"1"`
	Reservations        int   `json:"reservations" doc:"The number of sandboxes that wait for a sealed password." example:"0"`
	ReservedMemoryBytes int64 `json:"reservedMemoryBytes" doc:"The sum of the memory limits of running programs." example:"805306368"`
}

// DiskOverview describes a file system.
type DiskOverview struct {
	_ struct{} `doc:"The space of a file system."`

	FreeBytes  int64 `json:"freeBytes" doc:"The free space." example:"53687091200"`
	TotalBytes int64 `json:"totalBytes" doc:"The size of the file system." example:"107374182400"`
}

// DatabaseOverview describes the database.
type DatabaseOverview struct {
	_ struct{} `doc:"The database of the server."`

	Kind      string `json:"kind" doc:"The kind of the database: sqlite or postgresql." example:"sqlite"`
	SizeBytes int64  `json:"sizeBytes" doc:"The size of the database." example:"1048576"`
}

type (
	activeInput    struct{ Page }
	activeOutput   struct{ Body ActiveExecutionList }
	activeOne      struct{ Body ActiveExecution }
	overviewInput  struct{}
	overviewOutput struct{ Body Overview }
)

const activePath = "/api/v1/admin/executions"

func (h *Handler) registerOperations() {
	run := map[string]any{
		"id": "<execution id>", "userId": "<user id>", "email": "ada@example.org", "state": "running", "language": "python", "labels": []any{},
		"createdAt": "2026-04-04T08:23:21.123Z", "startedAt": "2026-04-04T08:23:21.124Z",
	}
	has := h.cfg.Operations != nil
	const feature = "administration"
	registerAdminOnly(h, operation{
		Operation: huma.Operation{
			OperationID: "listActiveExecutions", Method: http.MethodGet, Path: activePath, Summary: "List the active runs of all users",
			Description: "Lists the active runs of all users, oldest first. A run is active if it is queued or running. A run on another server appears in the list after one to two seconds.",
		},
		answer: map[string]any{"executions": []any{run}},
	}, ifEnabled(has, feature, h.listActive))
	registerAdminOnly(h, operation{
		Operation: huma.Operation{
			OperationID: "cancelExecutionOfUser", Method: http.MethodPost, Path: activePath + "/{id}/cancel", DefaultStatus: http.StatusAccepted, Summary: "Cancel a run of any user",
			Description: "Cancels the run like cancelExecution. The response does not wait for the end of the run.",
			Errors:      []int{http.StatusNotFound},
		},
		answer: run, action: pyth.ActionExecutionCanceled,
	}, ifEnabled(has, feature, h.cancelActive))
	registerAdminOnly(h, operation{
		Operation: huma.Operation{
			OperationID: "getOverview", Method: http.MethodGet, Path: "/api/v1/admin/overview", Summary: "Get the state of the server",
			Description: "Returns the state of the server: its users, sandboxes, queue, memory, disk, database, versions, last backup and workers.",
		},
		answer: map[string]any{
			"version": "1.4.0", "uptimeMs": 86400000, "users": map[string]any{"total": 12, "disabled": 1, "activeAdmins": 2},
			"pool": map[string]any{
				"running": 3, "waiting": 0, "warm": 4, "idle": 2, "booting": 0, "users": 5, "sessions": 1, "reservations": 0, "reservedMemoryBytes": 805306368,
			},
			"queuedExecutions": 0, "processMemoryBytes": 104857600, "disk": map[string]any{"freeBytes": 53687091200, "totalBytes": 107374182400},
			"database": map[string]any{"kind": "sqlite", "sizeBytes": 1048576}, "runtimes": map[string]any{"python": "3.14.6"},
		},
	}, ifEnabled(has, feature, h.getOverview))
}

func (h *Handler) listActive(ctx context.Context, in *activeInput) (*activeOutput, error) {
	actor := caller(ctx).User.ID
	after, err := position(cursorActive, actor, in.Cursor)
	if err != nil {
		return nil, err
	}
	runs, next, err := h.cfg.Operations.ActiveExecutions(ctx, pyth.ExecutionID(after), in.Limit)
	if err != nil {
		return nil, err
	}
	out := ActiveExecutionList{Executions: make([]ActiveExecution, len(runs)), ListPage: ListPage{NextCursor: newCursor(cursorActive, actor, string(next))}}
	for i, r := range runs {
		out.Executions[i] = activeExecution(r)
	}
	return &activeOutput{Body: out}, nil
}

func (h *Handler) cancelActive(ctx context.Context, in *executionRefInput) (*activeOne, error) {
	r, err := h.cfg.Operations.CancelExecution(ctx, caller(ctx).User.ID, pyth.ExecutionID(in.ID))
	if err != nil {
		return nil, err
	}
	return &activeOne{Body: activeExecution(r)}, nil
}

func (h *Handler) getOverview(ctx context.Context, _ *overviewInput) (*overviewOutput, error) {
	o, err := h.cfg.Operations.Overview(ctx)
	if err != nil {
		return nil, err
	}
	out := Overview{
		Version: h.cfg.Version, UptimeMs: h.now().Sub(h.cfg.StartedAt).Milliseconds(),
		Users: UserCounts{Total: o.Users.Users, Disabled: o.Users.Disabled, ActiveAdmins: o.Users.ActiveAdmins},
		Pool: PoolOverview{
			Running: o.Pool.Running, Waiting: o.Pool.Waiting, Warm: o.Pool.Warm, Idle: o.Pool.Idle, Booting: o.Pool.Booting, Users: o.Pool.Users,
			Sessions: o.Pool.Sessions, Reservations: o.Pool.Reservations, ReservedMemoryBytes: o.Pool.ReservedMemoryBytes,
		},
		QueuedExecutions: o.QueuedExecutions, ProcessMemoryBytes: o.ProcessMemoryBytes,
		Disk:     DiskOverview{FreeBytes: o.DiskFreeBytes, TotalBytes: o.DiskTotalBytes},
		Database: DatabaseOverview{Kind: o.Database, SizeBytes: o.DatabaseBytes},
		Runtimes: map[string]string{}, LastBackupAt: Timestamp(o.LastBackupAt),
	}
	for runtime, version := range o.Runtimes {
		out.Runtimes[string(runtime)] = version
	}
	if o.Workers >= 0 {
		out.Workers = &o.Workers
	}
	return &overviewOutput{Body: out}, nil
}

func activeExecution(r *pyth.ActiveExecution) ActiveExecution {
	labels := r.Labels
	if labels == nil {
		labels = []string{}
	}
	return ActiveExecution{
		ID: string(r.ID), UserID: string(r.User), Email: r.Email, State: ExecutionState(r.State), Language: Language(r.Language),
		SessionID: string(r.Session), KeyID: string(r.Key), Labels: labels, CreatedAt: Timestamp(r.CreatedAt), StartedAt: Timestamp(r.StartedAt),
	}
}
