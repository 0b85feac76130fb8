package e2b_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/pyth-on/pyth-on/internal/e2b/envd/filesystem"
)

func TestFilesAreUploadedInAllForms(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	b := h.create(adaKey)
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	for name, content := range map[string]string{"dir/a.txt": "in a", "/home/user/b.txt": "in b"} {
		part, err := w.CreateFormFile("file", name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := part.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.WriteField("other", "ignored"); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	b.envd("POST", "/files", form.String(), "Content-Type", w.FormDataContentType()).want(t, 200, `{"name":"a.txt","type":"file","path":"/home/user/dir/a.txt"}`)
	b.envd("GET", "/files?path=dir/a.txt&username=user", "").want(t, 200, "in a")
	b.envd("GET", "/files?path=b.txt", "").want(t, 200, "in b")
	b.envd("POST", "/files?path=c.txt", form.String(), "Content-Type", w.FormDataContentType()).want(t, 200, "c.txt")

	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write([]byte("unpacked")); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	b.envd("POST", "/files?path=z", packed.String(), "Content-Type", "application/octet-stream", "Content-Encoding", "gzip").want(t, 200, "")
	got := b.envd("GET", "/files?path=z", "").want(t, 200, "unpacked")
	if got.header.Get("Content-Length") != "8" || got.header.Get("Content-Disposition") != "attachment; filename=z" {
		t.Errorf("header %v", got.header)
	}
}

func TestFilesRefuseWrongRequests(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	b := h.create(adaKey)
	bytesType := []string{"Content-Type", "application/octet-stream"}
	b.envd("GET", "/files?path=missing", "").want(t, 404, `"message":"path '/home/user/missing' does not exist"`)
	b.envd("GET", "/files", "").want(t, 400, "path is required")
	b.envd("GET", "/files?path=/home/user", "").want(t, 400, "is a directory")
	b.envd("GET", "/files?path=a&username=root", "").want(t, 401, "error looking up user 'root'")
	b.envd("POST", "/files?path=a", "x", append(bytesType, "X-Metadata-Owner", "me")...).want(t, 400, "Metadata of files is not supported")
	b.envd("POST", "/files?path=a", "x", append(bytesType, "Content-Encoding", "br")...).want(t, 415, "gzip or identity")
	b.envd("POST", "/files?path=a", "x", append(bytesType, "Content-Encoding", "gzip")...).want(t, 400, "not compressed")
	b.envd("POST", "/files?path=a", "x", "Content-Type", "text/plain").want(t, 400, "multipart/form-data")
	b.envd("POST", "/files?path=a", "x", "Content-Type", "multipart/form-data; boundary=x").want(t, 400, "form is not valid")
	b.envd("POST", "/files?path=a", strings.Repeat("x", 2<<20), bytesType...).want(t, 507, `"code":507`)
	b.envd("POST", "/files/compose", "{}").want(t, 501, "")
	b.envd("GET", "/metrics", "").want(t, 501, "")
	b.envd("DELETE", "/files?path=a", "").want(t, 404, "no operation")
}

// authorized adds the headers of a sandbox to requests of a client.
type authorized struct {
	b     *box
	extra http.Header
}

func (a authorized) Do(r *http.Request) (*http.Response, error) {
	for name, values := range a.extra {
		r.Header[name] = values
	}
	r.Header.Set("E2b-Sandbox-Id", a.b.SandboxID)
	r.Header.Set("E2b-Sandbox-Port", "49983")
	r.Header.Set("X-Access-Token", a.b.EnvdAccessToken)
	return a.b.h.server.Client().Do(r)
}

func (b *box) filesystem(extra http.Header) filesystem.FilesystemClient {
	return filesystem.NewFilesystemClient(authorized{b, extra}, b.h.server.URL, connect.WithProtoJSON())
}

func (b *box) write(path, content string) {
	b.h.t.Helper()
	b.envd("POST", "/files?path="+path, content, "Content-Type", "application/octet-stream").want(b.h.t, 200, "")
}

func TestFilesystemShowsFilesAndDirectories(t *testing.T) {
	t.Parallel()
	h, _ := newProcessHarness(t)
	b := h.create(adaKey)
	for _, name := range []string{"a.txt", "d/b.txt", "d/e/c.txt"} {
		b.write(name, "123")
	}
	c := b.filesystem(nil)
	list := func(path string, depth uint32) string {
		t.Helper()
		out, err := c.ListDir(t.Context(), &filesystem.ListDirRequest{Path: path, Depth: depth})
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, e := range out.Entries {
			names = append(names, strings.TrimPrefix(e.Path, "/home/user/"))
		}
		return strings.Join(names, " ")
	}
	for _, x := range []struct {
		path  string
		depth uint32
		want  string
	}{
		{"/home/user", 1, "a.txt d"},
		{"/home/user", 0, "a.txt d"},
		{".", 2, "a.txt d d/b.txt d/e"},
		{"d", 1, "d/b.txt d/e"},
		{"d/e", 9, "d/e/c.txt"},
	} {
		if got := list(x.path, x.depth); got != x.want {
			t.Errorf("%s with depth %d: %s, want %s", x.path, x.depth, got, x.want)
		}
	}
	entry, err := c.Stat(t.Context(), &filesystem.StatRequest{Path: "d/b.txt"})
	if e := entry.GetEntry(); err != nil || e.Name != "b.txt" || e.Type != filesystem.FileType_FILE_TYPE_FILE || e.Size != 3 || e.Permissions != "-rw-------" || e.Mode != 0o600 {
		t.Errorf("entry %v, error %v", entry, err)
	}
	if dir, err := c.Stat(t.Context(), &filesystem.StatRequest{Path: "/home/user"}); err != nil || dir.Entry.Type != filesystem.FileType_FILE_TYPE_DIRECTORY || dir.Entry.Name != "user" {
		t.Errorf("entry %v, error %v", dir, err)
	}
	fails := func(err error, want connect.Code) {
		t.Helper()
		if connect.CodeOf(err) != want {
			t.Errorf("error %v, want %v", err, want)
		}
	}
	_, err = c.Stat(t.Context(), &filesystem.StatRequest{Path: "none"})
	fails(err, connect.CodeNotFound)
	_, err = c.ListDir(t.Context(), &filesystem.ListDirRequest{Path: "none"})
	fails(err, connect.CodeNotFound)
	_, err = c.ListDir(t.Context(), &filesystem.ListDirRequest{Path: "a.txt"})
	fails(err, connect.CodeInvalidArgument)
	_, err = c.MakeDir(t.Context(), &filesystem.MakeDirRequest{Path: "d"})
	fails(err, connect.CodeAlreadyExists)
	_, err = c.MakeDir(t.Context(), &filesystem.MakeDirRequest{Path: "a.txt"})
	fails(err, connect.CodeInvalidArgument)
	_, err = c.Move(t.Context(), &filesystem.MoveRequest{Source: "none", Destination: "other"})
	fails(err, connect.CodeNotFound)
	made, err := c.MakeDir(t.Context(), &filesystem.MakeDirRequest{Path: "new/deep"})
	if err != nil || made.Entry.Path != "/home/user/new/deep" || made.Entry.Type != filesystem.FileType_FILE_TYPE_DIRECTORY {
		t.Errorf("made %v, error %v", made, err)
	}
	moved, err := c.Move(t.Context(), &filesystem.MoveRequest{Source: "d/b.txt", Destination: "/home/user/new/deep/x/b.txt"})
	if err != nil || moved.Entry.Path != "/home/user/new/deep/x/b.txt" {
		t.Errorf("moved %v, error %v", moved, err)
	}
	if _, err = c.Remove(t.Context(), &filesystem.RemoveRequest{Path: "new"}); err != nil {
		t.Error(err)
	}
	if _, err = c.Remove(t.Context(), &filesystem.RemoveRequest{Path: "none"}); err != nil {
		t.Errorf("removal of an absent file: %v", err)
	}
	root := b.filesystem(http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte("root:"))}})
	_, err = root.Stat(t.Context(), &filesystem.StatRequest{Path: "a.txt"})
	fails(err, connect.CodeInvalidArgument)
	user := b.filesystem(http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte("user:"))}})
	if _, err = user.Remove(t.Context(), &filesystem.RemoveRequest{Path: "d"}); err != nil {
		t.Error(err)
	}
	if got := list("/home/user", 9); got != "a.txt" {
		t.Errorf("after removal: %s", got)
	}
}

func TestWatchersReportChanges(t *testing.T) {
	t.Parallel()
	h, f := newProcessHarness(t)
	b := h.create(adaKey)
	b.write("d/old", "1")
	c := b.filesystem(nil)
	polled, err := c.CreateWatcher(t.Context(), &filesystem.CreateWatcherRequest{Path: "d", Recursive: true, IncludeEntry: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	stream, err := c.WatchDir(ctx, &filesystem.WatchDirRequest{Path: "d"})
	if err != nil {
		t.Fatal(err)
	}
	if !stream.Receive() || stream.Msg().GetStart() == nil {
		t.Fatalf("no start: %v", stream.Err())
	}
	b.write("d/new", "12")
	for stream.Receive() {
		if stream.Msg().GetFilesystem() != nil {
			break
		}
	}
	if e := stream.Msg().GetFilesystem(); e.GetName() != "new" || e.GetType() != filesystem.EventType_EVENT_TYPE_CREATE || e.Entry != nil {
		t.Errorf("event %v", stream.Msg())
	}
	stop()
	b.write("d/e/deep", "1")
	if _, err := c.Remove(t.Context(), &filesystem.RemoveRequest{Path: "d/old"}); err != nil {
		t.Fatal(err)
	}
	seen := map[string]filesystem.EventType{}
	for len(seen) < 4 {
		out, err := c.GetWatcherEvents(t.Context(), &filesystem.GetWatcherEventsRequest{WatcherId: polled.WatcherId})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range out.Events {
			if seen[e.Name] == 0 {
				seen[e.Name] = e.Type
			}
			if (e.Entry == nil) != (e.Type == filesystem.EventType_EVENT_TYPE_REMOVE) {
				t.Errorf("event %v", e)
			}
		}
	}
	create := filesystem.EventType_EVENT_TYPE_CREATE
	if seen["new"] != create || seen["e"] != create || seen["e/deep"] != create || seen["old"] != filesystem.EventType_EVENT_TYPE_REMOVE {
		t.Errorf("events %v", seen)
	}
	if _, err := c.RemoveWatcher(t.Context(), &filesystem.RemoveWatcherRequest{WatcherId: polled.WatcherId}); err != nil {
		t.Fatal(err)
	}
	_, err = c.GetWatcherEvents(t.Context(), &filesystem.GetWatcherEventsRequest{WatcherId: polled.WatcherId})
	if connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("a removed watcher: %v", err)
	}
	if _, err = c.CreateWatcher(t.Context(), &filesystem.CreateWatcherRequest{Path: "none"}); connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("a watcher of an absent directory: %v", err)
	}
	for range 16 {
		if _, err = c.CreateWatcher(t.Context(), &filesystem.CreateWatcherRequest{Path: "d"}); err != nil {
			break
		}
	}
	if _, err = c.CreateWatcher(t.Context(), &filesystem.CreateWatcherRequest{Path: "d"}); connect.CodeOf(err) != connect.CodeResourceExhausted {
		t.Errorf("too many watchers: %v", err)
	}
	// The processes of the watchers must end with the sandbox.
	h.send("DELETE", "/sandboxes/"+b.SandboxID, "", "X-API-KEY", adaKey).want(t, 204, "")
	for f.running() > 0 {
		time.Sleep(10 * time.Millisecond)
	}
}
