package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// controlName is the socket in the data directory by which commands reach the
// server that runs there: the audit log has one writer. The directory's mode,
// 0700, keeps others from it.
const controlName = "control.sock"

const (
	controlTimeout = 30 * time.Second
	maxControlBody = 16 << 10
)

// userRequest asks for an account.
type userRequest struct {
	Email    string `json:"email"`
	Password string `json:"password"`
}

// createdUser is an account that was made.
type createdUser struct {
	ID        string    `json:"id"`
	Email     string    `json:"email"`
	CreatedAt time.Time `json:"createdAt"`
	APIKey    string    `json:"apiKey"`
}

// controlError is the answer to a command that failed.
type controlError struct {
	Error string `json:"error"`
}

// createUser makes an account as an operator.
func createUser(ctx context.Context, accounts pyth.AccountService, r userRequest) (*createdUser, error) {
	ctx = pyth.WithOrigin(ctx, &pyth.Origin{Credential: pyth.CredentialNone, UserAgent: "pyth-on users create"})
	grant, err := accounts.Register(ctx, r.Email, r.Password, "")
	if err != nil {
		return nil, explain(err)
	}
	return &createdUser{ID: string(grant.User.ID), Email: grant.User.Email, CreatedAt: grant.User.CreatedAt, APIKey: grant.APIKey}, nil
}

// serveControl serves commands in the data directory, which this process has
// locked, until stop is called.
func serveControl(dataDir string, accounts pyth.AccountService, logger *slog.Logger) (stop func() error, err error) {
	// A server that was killed leaves its socket.
	path := filepath.Join(dataDir, controlName)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	short, err := shortPath(dataDir)
	if err != nil {
		return nil, err
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: short.name, Net: "unix"})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listen on %s: %w", path, err), short.Close())
	}
	listener.SetUnlinkOnClose(false) // By another name.
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, listener.Close(), short.Close())
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /users", func(w http.ResponseWriter, r *http.Request) {
		var request userRequest
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxControlBody)).Decode(&request); err != nil {
			answerControl(w, http.StatusBadRequest, controlError{err.Error()})
			return
		}
		user, err := createUser(r.Context(), accounts, request)
		if err != nil {
			answerControl(w, http.StatusConflict, controlError{err.Error()})
			return
		}
		logger.Info("an operator made an account", "user_id", user.ID)
		answerControl(w, http.StatusCreated, user)
	})
	server := &http.Server{
		Handler: mux, ReadTimeout: controlTimeout, WriteTimeout: controlTimeout,
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
	go func() { _ = server.Serve(listener) }()
	return func() error {
		ctx, cancel := context.WithTimeout(context.Background(), controlTimeout)
		defer cancel()
		return errors.Join(server.Shutdown(ctx), os.Remove(path), short.Close())
	}, nil
}

func answerControl(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // The command may have gone.
}

// errNoControl reports that no server takes commands in the directory.
var errNoControl = errors.New("no server takes commands there")

// askServer has the server of the data directory make an account. The error is
// errNoControl if there is none.
func askServer(ctx context.Context, dataDir string, r userRequest) (*createdUser, error) {
	body, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	short, err := shortPath(dataDir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = short.Close() }()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://pyth-on/users", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	client := &http.Client{Timeout: controlTimeout, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", short.name)
		},
		DisableKeepAlives: true,
	}}
	response, err := client.Do(request)
	if errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, errNoControl
	}
	if err != nil {
		return nil, fmt.Errorf("asking the server: %w", err)
	}
	defer response.Body.Close()
	answer := json.NewDecoder(io.LimitReader(response.Body, maxControlBody))
	if response.StatusCode != http.StatusCreated {
		var failed controlError
		if err := answer.Decode(&failed); err != nil {
			return nil, fmt.Errorf("the server answers %s", response.Status)
		}
		return nil, errors.New(failed.Error)
	}
	user := new(createdUser)
	return user, answer.Decode(user)
}

// controlPath names the socket by a descriptor of its directory: addresses of
// sockets have 107 bytes at most (unix(7)), paths of directories more.
type controlPath struct {
	directory *os.File
	name      string
}

func shortPath(dataDir string) (*controlPath, error) {
	directory, err := os.Open(dataDir)
	if err != nil {
		return nil, err
	}
	return &controlPath{directory, filepath.Join("/proc/self/fd", strconv.Itoa(int(directory.Fd())), controlName)}, nil
}

// Close ends the use of the name.
func (p *controlPath) Close() error { return p.directory.Close() }
