package postgres_test

import (
	"strings"
	"testing"

	"github.com/pyth-on/pyth-on/internal/postgres"
)

func TestCheckURL(t *testing.T) {
	for _, good := range []string{
		"postgres://ada@localhost/pyth", "postgresql://ada:p%40ss@db.example:5432/pyth?sslmode=verify-full",
		"postgres://ada@/pyth?host=/run/postgresql", "postgres:///pyth?user=ada&host=/run/postgresql",
	} {
		if err := postgres.CheckURL(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", "pyth", "sqlite:pyth.db", "host=localhost user=ada password=canary", "postgres://localhost/pyth", "postgres://ada@localhost",
		"postgres://ada@localhost/", "postgres://ada:canary@local host/pyth", "postgres://ada:canary/x@localhost/pyth", "postgres://ada:canary%zz@localhost/pyth",
		"postgres:ada:canary@localhost/pyth", "postgres://ada:x#canary@localhost/pyth",
	} {
		if err := postgres.CheckURL(bad); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestOpenHidesThePassword(t *testing.T) {
	for _, url := range []string{
		"postgres://ada:canary@127.0.0.1:1/pyth?connect_timeout=1", "postgres://ada@127.0.0.1:1/pyth?password=canary",
		"postgres://ada:canary@127.0.0.1/pyth?sslmode=canary", "postgres://ada:canary@127.0.0.1/pyth?sslrootcert=/canary&sslmode=verify-full",
		"postgres://ada:canary@127.0.0.1:1,127.0.0.1:2/pyth?pool_max_conns=canary",
		strings.Replace(cluster.URL("absent"), "pyth:", "ada:canary", 1),
	} {
		_, err := postgres.Open(t.Context(), url)
		if err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", url, err)
		}
		if described := postgres.Describe(url); strings.Contains(described, "canary") {
			t.Errorf("%s: described as %s", url, described)
		}
	}
}

func TestOpenExplains(t *testing.T) {
	for name, c := range map[string]struct{ url, advice string }{
		"no server":      {"postgres://ada:x@127.0.0.1:1/pyth", "check that PostgreSQL runs"},
		"no database":    {cluster.URL("absent"), "create the database"},
		"wrong password": {strings.Replace(cluster.URL("postgres"), "canary", "wrong", 1), "check the user and the password"},
	} {
		if _, err := postgres.Open(t.Context(), c.url); err == nil || !strings.Contains(err.Error(), c.advice) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHasPassword(t *testing.T) {
	for url, want := range map[string]bool{
		"postgres://ada:x@localhost/pyth": true, "postgres://ada@localhost/pyth?password=x": true, "postgres://ada@localhost/pyth?sslpassword=x": true,
		"postgres://ada@localhost/pyth": false, "postgres://ada:x@a b/": true,
	} {
		if got := postgres.HasPassword(url); got != want {
			t.Errorf("%s: got %v", url, got)
		}
	}
}
