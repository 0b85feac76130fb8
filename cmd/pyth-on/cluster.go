package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/pyth-on/pyth-on/internal/app"
	"github.com/pyth-on/pyth-on/internal/cluster/bus"
	"github.com/pyth-on/pyth-on/internal/cluster/wire"
)

// clusterFlags determine how a server or a worker connects to NATS and joins the
// cluster.
type clusterFlags struct {
	JoinTokenFile    string `type:"existingfile" help:"File with the joining token in one line. The token has at least 16 characters, and is the same for all servers and workers. Instead of a file, you can set PYTH_ON_JOIN_TOKEN to the token."`
	NATSCA           string `name:"nats-ca" type:"existingfile" help:"File with the certificates of the certificate authorities that sign the NATS server's certificate (default: the certificate authorities of the system)."`
	NATSCertificate  string `name:"nats-certificate" type:"existingfile" help:"File with the client certificate for NATS."`
	NATSKey          string `name:"nats-key" type:"existingfile" help:"File with the private key of the client certificate."`
	NATSCredentials  string `name:"nats-creds" type:"existingfile" help:"File with NATS credentials (JWT and seed)."`
	NATSUser         string `name:"nats-user" help:"User name for NATS. The password is in --nats-password-file."`
	NATSPasswordFile string `name:"nats-password-file" type:"existingfile" help:"File with the password for NATS in one line."`
}

// config converts the flags to the configuration of a cluster. The parameter "flag" is
// the name of the flag with the URLs, for error messages.
func (f *clusterFlags) config(flag, urls string) (app.ClusterConfig, error) {
	if err := bus.CheckURLs(urls); err != nil {
		return app.ClusterConfig{}, fmt.Errorf("%s: %w", flag, err)
	}
	if (f.NATSCertificate == "") != (f.NATSKey == "") {
		return app.ClusterConfig{}, errors.New("--nats-certificate and --nats-key belong together; give both or none")
	}
	token, err := f.token(flag)
	if err != nil {
		return app.ClusterConfig{}, err
	}
	password, err := onlyLine(f.NATSPasswordFile, "password")
	if err != nil {
		return app.ClusterConfig{}, err
	}
	return app.ClusterConfig{Token: token, NATS: bus.Config{
		URLs: urls, CA: f.NATSCA, Certificate: f.NATSCertificate, Key: f.NATSKey, Credentials: f.NATSCredentials,
		User: f.NATSUser, Password: password,
	}}, nil
}

func (f *clusterFlags) token(flag string) ([]byte, error) {
	hidden, given, err := hiddenSetting(joinTokenVariable)
	if err != nil {
		return nil, err
	}
	token := strings.TrimSpace(string(hidden))
	switch {
	case given && f.JoinTokenFile != "":
		return nil, fmt.Errorf("both %s and --join-token-file are given; choose one", joinTokenVariable)
	case !given && f.JoinTokenFile == "":
		return nil, fmt.Errorf("%s needs a joining token; create one with `openssl rand -base64 32`, and give it to all servers and workers with --join-token-file or %s", flag, joinTokenVariable)
	case !given:
		if token, err = onlyLine(f.JoinTokenFile, "joining token"); err != nil {
			return nil, err
		}
	}
	if len(token) < wire.MinToken {
		return nil, fmt.Errorf("the joining token has fewer than %d characters; create one with `openssl rand -base64 32`", wire.MinToken)
	}
	return []byte(token), nil
}
