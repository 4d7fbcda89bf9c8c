package main

import (
	"errors"
	"net/url"
	"strings"

	"kassa/internal/mail"
)

// mailSettings are for the mails of the service.
type mailSettings struct {
	SMTPURL     string `name:"smtp-url" placeholder:"URL" help:"Mail server for links to set another password: smtp://USER:PASSWORD@HOST:587 (STARTTLS, without which nothing is sent) or smtps://USER:PASSWORD@HOST:465; ?ca=FILE names the certificates of a private authority, and smtp://HOST:25?tls=off is for a server on the same machine. Needs --mail-from and --public-url. Default: no mail is sent."`
	SMTPURLFile string `name:"smtp-url-file" type:"existingfile" placeholder:"FILE" help:"File that holds --smtp-url."`
	MailFrom    string `name:"mail-from" placeholder:"ADDRESS" help:"Sender of mails, such as Kassa <no-reply@kassa.example>."`
	PublicURL   string `name:"public-url" placeholder:"URL" help:"Address of the service as browsers have it, with which links in mails begin, such as https://kassa.example. Its name is that of passkeys. Default, for passkeys: the first --host, else localhost."`
}

// sender gives what sends mails; nil where no server is named.
func (m mailSettings) sender() (*mail.Sender, error) {
	server, err := oneOf(m.SMTPURL, m.SMTPURLFile)
	if err != nil || server == "" {
		return nil, err
	}
	if m.MailFrom == "" || m.PublicURL == "" {
		return nil, wrongArgument("--smtp-url needs --mail-from and --public-url")
	}
	if err := checkPublicURL(m.PublicURL); err != nil {
		return nil, wrongArgument("%w", err)
	}
	sender, err := mail.New(server, m.MailFrom, m.PublicURL)
	if err != nil {
		return nil, wrongArgument("--smtp-url, --mail-from: %w", err)
	}
	return sender, nil
}

// checkPublicURL refuses what links cannot begin with.
func checkPublicURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return errors.New("--public-url must be like https://kassa.example")
	}
	return nil
}
