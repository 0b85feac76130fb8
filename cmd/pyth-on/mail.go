package main

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/pyth-on/pyth-on/internal/account"
	"github.com/pyth-on/pyth-on/internal/api"
	"github.com/pyth-on/pyth-on/internal/app"
	"github.com/pyth-on/pyth-on/internal/mail"
)

// mailFlags select the mail server for mail to users.
type mailFlags struct {
	SMTPAddr          string `name:"smtp-addr" placeholder:"HOST:PORT" help:"Address of the mail server for mail to users (default: the server sends no mail)."`
	SMTPFrom          string `name:"smtp-from" placeholder:"ADDRESS" help:"Sender of mail to users, for example noreply@example.org."`
	SMTPUser          string `name:"smtp-user" help:"User name for the mail server."`
	SMTPPasswordFile  string `name:"smtp-password-file" type:"existingfile" help:"File with the password for the mail server."`
	SMTPTLS           string `name:"smtp-tls" default:"starttls" enum:"starttls,tls,none" help:"How the connection to the mail server is encrypted. With 'starttls', the connection begins without encryption and changes to TLS. With 'tls', it uses TLS from the start. With 'none', it is not encrypted; use 'none' only for a mail server on the same machine."`
	EmailConfirmation string `name:"email-confirmation" default:"off" enum:"off,optional,required" help:"Whether users confirm their e-mail address with a link in a mail. With 'optional', the server sends a link to each new address. With 'required', the server also refuses logins and programs of accounts with an unconfirmed address. Users with an invite, users that an administrator creates, and existing accounts need no confirmation."`
	ConfirmURL        string `name:"confirm-url" placeholder:"URL" help:"Beginning of the link that confirms an e-mail address. The server appends the token (default: the account page of --public-url)."`
	ResetURL          string `name:"reset-url" placeholder:"URL" help:"Beginning of the link in mail about a forgotten password. The server appends the token. Without this setting, the mail contains only the token."`
}

func (f *mailFlags) config(publicURL string) (app.MailConfig, error) {
	if f.SMTPAddr == "" {
		if f.SMTPFrom != "" || f.SMTPUser != "" || f.SMTPPasswordFile != "" || f.ResetURL != "" || f.ConfirmURL != "" || f.confirms() {
			return app.MailConfig{}, errors.New("the other mail settings need --smtp-addr")
		}
		return app.MailConfig{}, nil
	}
	if f.SMTPFrom == "" {
		return app.MailConfig{}, errors.New("--smtp-addr needs --smtp-from")
	}
	if (f.SMTPUser == "") != (f.SMTPPasswordFile == "") {
		return app.MailConfig{}, errors.New("--smtp-user and --smtp-password-file need each other")
	}
	for flag, link := range map[string]string{"--reset-url": f.ResetURL, "--confirm-url": f.ConfirmURL} {
		if err := checkLink(flag, link); err != nil {
			return app.MailConfig{}, err
		}
	}
	confirmURL, err := f.confirmLink(publicURL)
	if err != nil {
		return app.MailConfig{}, err
	}
	password, err := onlyLine(f.SMTPPasswordFile, "password")
	if err != nil {
		return app.MailConfig{}, err
	}
	sender, err := mail.New(mail.Config{Addr: f.SMTPAddr, From: f.SMTPFrom, User: f.SMTPUser, Password: password, TLS: mail.TLS(f.SMTPTLS)})
	return app.MailConfig{Sender: sender, ConfirmURL: confirmURL, ResetURL: f.ResetURL}, err
}

// confirms reports whether the server asks users to confirm their addresses.
func (f *mailFlags) confirms() bool {
	return f.EmailConfirmation != string(account.ConfirmationOff)
}

// confirmLink returns the start of the link that confirms an address; "" if the server
// asks nobody to confirm an address. The host of the link never comes from a request,
// because an attacker can choose the host in a request.
func (f *mailFlags) confirmLink(publicURL string) (string, error) {
	switch {
	case !f.confirms():
		if f.ConfirmURL != "" {
			return "", errors.New("--confirm-url needs --email-confirmation")
		}
		return "", nil
	case f.ConfirmURL != "":
		return f.ConfirmURL, nil
	case publicURL != "":
		return strings.TrimSuffix(publicURL, "/") + api.AccountPath + "#confirm=", nil
	}
	return "", errors.New("--email-confirmation needs --public-url or --confirm-url")
}

// checkLink returns an error if the link is neither "" nor a URL.
func checkLink(flag, link string) error {
	if link == "" {
		return nil
	}
	u, err := url.Parse(link)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return fmt.Errorf("%s must be a URL that begins with https:// or http://", flag)
	}
	return nil
}
