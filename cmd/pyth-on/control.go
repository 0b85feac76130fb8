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
	"github.com/pyth-on/pyth-on/internal/app"
)

// controlName is the name of the socket in the data directory. Commands send requests
// to the running server through this socket, because only one process may write the
// audit log. The directory has mode 0700, so other users cannot open the socket.
const controlName = "control.sock"

const (
	controlTimeout = 30 * time.Second
	maxControlBody = 16 << 10
)

type userRequest struct {
	Email    string `json:"email"`
	Password string `json:"password"`
}

// createdUser describes the new account in the response to a userRequest.
type createdUser struct {
	ID        string    `json:"id"`
	Email     string    `json:"email"`
	CreatedAt time.Time `json:"createdAt"`
	APIKey    string    `json:"apiKey"`
}

type controlError struct {
	Error string `json:"error"`
}

func createUser(ctx context.Context, accounts pyth.AccountService, r userRequest) (*createdUser, error) {
	ctx = pyth.WithOrigin(ctx, &pyth.Origin{Credential: pyth.CredentialNone, UserAgent: "pyth-on users create"})
	grant, err := accounts.Register(ctx, r.Email, r.Password, "")
	if err != nil {
		return nil, app.Explain(err)
	}
	return &createdUser{ID: string(grant.User.ID), Email: grant.User.Email, CreatedAt: grant.User.CreatedAt, APIKey: grant.APIKey}, nil
}

// serveControl accepts commands on the socket in the data directory until the
// function "stop" is called. The caller must hold the lock of the directory.
func serveControl(dataDir string, accounts pyth.AccountService, logger *slog.Logger) (stop func() error, err error) {
	// A server that was killed leaves its socket behind.
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
	listener.SetUnlinkOnClose(false) // The function stop removes the socket.
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
		logger.Info("account created by operator", "user_id", user.ID)
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
	_ = json.NewEncoder(w).Encode(body) // The client may have disconnected.
}

// errNoControl reports that no server accepts commands on the socket of the data
// directory.
var errNoControl = errors.New("no server accepts commands in the data directory")

// askServer sends the request for an account to the server that uses the data
// directory. It returns errNoControl if no server is running.
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
		return nil, fmt.Errorf("send command to the server: %w", err)
	}
	defer response.Body.Close()
	answer := json.NewDecoder(io.LimitReader(response.Body, maxControlBody))
	if response.StatusCode != http.StatusCreated {
		var failed controlError
		if err := answer.Decode(&failed); err != nil {
			return nil, fmt.Errorf("the server answered %s", response.Status)
		}
		return nil, errors.New(failed.Error)
	}
	user := new(createdUser)
	return user, answer.Decode(user)
}

// controlPath provides a short path to the socket, through a descriptor of the data
// directory. A socket address has at most 107 bytes (unix(7)), and the usual path
// can be longer.
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

// Close closes the descriptor of the directory. Afterwards the path is invalid.
func (p *controlPath) Close() error { return p.directory.Close() }
