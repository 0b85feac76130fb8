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

	Path      string `json:"path,omitzero" doc:"The path, relative to the initial working directory of the session. Absent in the events start, overflow and end." example:"data/out.csv"`
	From      string `json:"from,omitzero" doc:"The old path. Present only in the event rename." example:"data/tmp.csv"`
	Directory bool   `json:"directory,omitzero" doc:"True if the path is a directory."`
}

type watchInput struct {
	SessionRef
	Path      string `query:"path" maxLength:"1024" doc:"The path of the directory, relative to the initial working directory of the session. The default is this working directory." example:"data"`
	Recursive bool   `query:"recursive" doc:"Whether to watch the directories below the directory too."`
}

// maxWatch is the maximum duration of a watch.
const maxWatch = 24 * time.Hour

func (h *Handler) registerWatch() {
	schema := h.eventSchema("start, then create, write, remove and rename (FileChange). The event overflow means that events are missing, because there were too many changes. If the directory was removed, the last event is end. If the watch fails, the last event is error (Error).")
	h.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[FileChange](), true, "")
	register(h, operation{
		scope: pyth.ScopeSessions,
		Operation: huma.Operation{
			OperationID: "watchSessionFiles", Method: http.MethodGet, Path: sessionFilesPath + ":watch",
			Summary: "Watch files of a session", Tags: []string{tagSessions},
			Description: "Sends the changes in a directory as server-sent events until the client disconnects. If a file replaces another file, the event is create. An open stream without events does not prolong the session. A session can have at most 8 of these streams.",
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
