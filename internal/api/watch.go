package api

import (
	"context"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	pyth "github.com/pyth-on/pyth-on"
)

// FileChange is the data of an event of watchSessionFiles.
type FileChange struct {
	_ struct{} `doc:"A change of a file or a directory of a session."`

	Path      string `json:"path,omitzero" doc:"The path, relative to the initial working directory of the session. Absent in the events start and overflow." example:"data/out.csv"`
	From      string `json:"from,omitzero" doc:"The old path, in the event rename." example:"data/tmp.csv"`
	Directory bool   `json:"directory,omitzero" doc:"True if the path is a directory."`
}

type watchInput struct {
	SessionRef
	Path      string `query:"path" maxLength:"1024" doc:"The path of the directory, relative to the initial working directory of the session. If absent, this working directory." example:"data"`
	Recursive bool   `query:"recursive" doc:"Whether to watch the directories below the directory too."`
}

// maxWatch is the maximum duration of a watch.
const maxWatch = 24 * time.Hour

func (h *Handler) registerWatch() {
	schema := h.eventSchema("start when changes are being watched; create, write, remove and rename (FileChange); overflow if changes were too fast and events are missing; end when the directory was removed, or error (Error).")
	h.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[FileChange](), true, "")
	register(h, operation{
		scope: pyth.ScopeSessions,
		Operation: huma.Operation{
			OperationID: "watchSessionFiles", Method: http.MethodGet, Path: sessionFilesPath + ":watch",
			Summary: "Watch files of a session", Tags: []string{tagSessions},
			Description: "Sends the changes in a directory as server-sent events until the client disconnects. A file that replaces another one is reported with create. An open stream without events does not extend the idle time-out of the session. A session can have 8 such streams.",
			Responses: map[string]*huma.Response{"200": {Description: "The changes", Content: map[string]*huma.MediaType{
				eventStream: {Schema: schema, Example: "event: start\ndata: {}\n\nevent: create\ndata: {\"path\":\"data/out.csv\"}\n\n"},
			}}},
			Errors: []int{http.StatusNotFound, http.StatusConflict},
		},
		timeout: maxWatch,
	}, ifFiles(h, h.watchFiles))
}

func (h *Handler) watchFiles(ctx context.Context, in *watchInput) (*getFileOutput, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(h.drained, cancel)()
	err := h.streamTo(ctx, func(s *stream) (any, error) {
		begin := func() error { return s.send("start", FileChange{}) }
		err := h.cfg.Files.WatchFiles(ctx, caller(ctx).User.ID, in.id(), in.Path, in.Recursive, begin, func(e *pyth.FileEvent) error {
			return s.send(string(e.Type), FileChange{Path: e.Path, From: e.From, Directory: e.Directory})
		})
		if ctx.Err() != nil {
			err = nil
		}
		return FileChange{}, err
	})
	if err != nil {
		return nil, err
	}
	return &getFileOutput{Body: func(huma.Context) {}}, nil
}
