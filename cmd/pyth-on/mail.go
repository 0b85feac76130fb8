package main

import (
	"errors"
	"net/url"

	"github.com/pyth-on/pyth-on/internal/app"
	"github.com/pyth-on/pyth-on/internal/mail"
)

// mailFlags select the mail server that sends reset tokens for passwords.
type mailFlags struct {
	SMTPAddr         string `name:"smtp-addr" placeholder:"HOST:PORT" help:"Address of the mail server for mail to users (default: the server sends no mail)."`
	SMTPFrom         string `name:"smtp-from" placeholder:"ADDRESS" help:"Sender of mail to users, for example noreply@example.org."`
	SMTPUser         string `name:"smtp-user" help:"User name for the mail server."`
	SMTPPasswordFile string `name:"smtp-password-file" type:"existingfile" help:"File with the password for the mail server."`
	SMTPTLS          string `name:"smtp-tls" default:"starttls" enum:"starttls,tls,none" help:"How the connection to the mail server is encrypted. With 'starttls', the connection begins without encryption and changes to TLS. With 'tls', it uses TLS from the start. With 'none', it is not encrypted; use 'none' only for a mail server on the same machine."`
	ResetURL         string `name:"reset-url" placeholder:"URL" help:"Beginning of the link in mail about a forgotten password. The server appends the token. Without this setting, the mail contains only the token."`
}

func (f *mailFlags) config() (app.MailConfig, error) {
	if f.SMTPAddr == "" {
		if f.SMTPFrom != "" || f.SMTPUser != "" || f.SMTPPasswordFile != "" || f.ResetURL != "" {
			return app.MailConfig{}, errors.New("settings of mail need --smtp-addr")
		}
		return app.MailConfig{}, nil
	}
	if f.SMTPFrom == "" {
		return app.MailConfig{}, errors.New("--smtp-addr needs --smtp-from")
	}
	if (f.SMTPUser == "") != (f.SMTPPasswordFile == "") {
		return app.MailConfig{}, errors.New("--smtp-user and --smtp-password-file need each other")
	}
	if f.ResetURL != "" {
		u, err := url.Parse(f.ResetURL)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
			return app.MailConfig{}, errors.New("--reset-url must be a URL that begins with https:// or http://")
		}
	}
	password, err := onlyLine(f.SMTPPasswordFile, "password")
	if err != nil {
		return app.MailConfig{}, err
	}
	sender, err := mail.New(mail.Config{Addr: f.SMTPAddr, From: f.SMTPFrom, User: f.SMTPUser, Password: password, TLS: mail.TLS(f.SMTPTLS)})
	return app.MailConfig{Sender: sender, ResetURL: f.ResetURL}, err
}
