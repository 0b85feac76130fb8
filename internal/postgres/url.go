package postgres

import (
	"context"
	"errors"
	"net"
	"net/url"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The text of errURL contains no part of the URL. Any part of an invalid URL could
// belong to the password.
var errURL = errors.New("the URL of the database is not valid; the form is postgres://USER:PASSWORD@HOST:PORT/DATABASE, " +
	"and special characters such as @ : / ? # % in the password are percent-encoded")

// CheckURL returns an error unless the URL is a valid URL of a PostgreSQL database.
func CheckURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" || u.Opaque != "" || u.Fragment != "" {
		return errURL
	}
	if u.User.Username() == "" && u.Query().Get("user") == "" {
		return errors.New("the URL of the database names no user; the form is postgres://USER:PASSWORD@HOST:PORT/DATABASE")
	}
	if u.Path == "" || u.Path == "/" {
		return errors.New("the URL of the database names no database; the form is postgres://USER:PASSWORD@HOST:PORT/DATABASE")
	}
	return nil
}

// HasPassword reports whether the URL contains a password.
func HasPassword(text string) bool {
	u, err := url.Parse(text)
	if err != nil {
		return true // The URL may contain a password.
	}
	_, given := u.User.Password()
	query := u.Query()
	return given || query.Has("password") || query.Has("sslpassword")
}

// Describe returns the host and the name of the database, for log messages. It returns
// neither the password nor other settings.
func Describe(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "postgres"
	}
	host := u.Host
	if host == "" {
		host = u.Query().Get("host")
	}
	return (&url.URL{Scheme: "postgres", Host: host, Path: u.Path}).String()
}

// These settings of TCP detect a broken network connection. If the database does not
// acknowledge data within userTimeout, the connection ends with an error.
const (
	keepAlive   = 5 * time.Second
	userTimeout = 10 * time.Second
)

func dialer(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: keepAlive, Interval: keepAlive, Count: 3},
		Control: func(network, _ string, c syscall.RawConn) (err error) {
			if network == "unix" {
				return nil
			}
			if failed := c.Control(func(fd uintptr) {
				err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(userTimeout.Milliseconds()))
			}); failed != nil {
				return failed
			}
			return err
		},
	}
	return d.DialContext(ctx, network, address)
}
