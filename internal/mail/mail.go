// Package mail sends the service's mails: plain text, in the person's language, through one
// SMTP server.
package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
	"golang.org/x/net/idna"
)

// sendTime limits one mail, from the connection to the server's answer.
const sendTime = 15 * time.Second

// Sender is safe for concurrent use.
type Sender struct {
	host    string
	options []gomail.Option
	from    *mail.Address
	site    string // with which links begin, without a slash at the end
}

// New reads the address of a server: smtp://USER:PASSWORD@HOST:587 for STARTTLS, without which
// nothing is sent; smtps:// for TLS from the first byte (port 465); smtp://HOST?tls=off for
// a server on the same machine. ?ca=FILE names the certificates of a private authority. from
// is the sender, and site the address of the service with which links begin. Nothing is
// connected to. Errors contain no password.
func New(server, from, site string) (*Sender, error) {
	u, err := url.Parse(server)
	if err != nil || u.Scheme != "smtp" && u.Scheme != "smtps" || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.Fragment != "" {
		return nil, errors.New("the address of the mail server must be like smtp://USER:PASSWORD@HOST:587 or smtps://USER:PASSWORD@HOST:465")
	}
	s := &Sender{host: u.Hostname(), site: strings.TrimRight(site, "/")}
	if s.from, err = mail.ParseAddress(from); err != nil {
		return nil, errors.New("the sender of mails must be like Kassa <no-reply@kassa.example>")
	}
	if s.options, err = optionsOf(u); err != nil {
		return nil, err
	}
	_, err = s.client()
	return s, err
}

func optionsOf(u *url.URL) ([]gomail.Option, error) {
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, errors.New("the address of the mail server has a malformed query")
	}
	encryption, ca := query.Get("tls"), query.Get("ca")
	query.Del("tls")
	query.Del("ca")
	if len(query) > 0 || encryption != "" && (encryption != "off" || u.Scheme == "smtps" || u.User != nil) {
		return nil, errors.New("after the mail server's name only ?tls=off (with smtp:// and without a password) and ?ca=FILE are known")
	}
	list := []gomail.Option{gomail.WithTimeout(sendTime)}
	switch {
	case u.Scheme == "smtps":
		list = append(list, gomail.WithSSLPort(false))
	case encryption == "off":
		list = append(list, gomail.WithTLSPortPolicy(gomail.NoTLS))
	default:
		list = append(list, gomail.WithTLSPortPolicy(gomail.TLSMandatory))
	}
	if u.Port() != "" {
		port, err := strconv.Atoi(u.Port())
		if err != nil {
			return nil, errors.New("the mail server's port is no number")
		}
		list = append(list, gomail.WithPort(port))
	}
	if ca != "" {
		config, err := trusting(ca, u.Hostname())
		if err != nil {
			return nil, err
		}
		list = append(list, gomail.WithTLSConfig(config))
	}
	if u.User != nil {
		password, _ := u.User.Password()
		list = append(list, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover), gomail.WithUsername(u.User.Username()), gomail.WithPassword(password))
	}
	return list, nil
}

func trusting(file, host string) (*tls.Config, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the certificates of the mail server's authority: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s has no certificates", file)
	}
	return &tls.Config{RootCAs: pool, ServerName: host, MinVersion: tls.VersionTLS12}, nil
}

func (s *Sender) client() (*gomail.Client, error) { return gomail.NewClient(s.host, s.options...) }

// ErrRefused means that the server will not take this mail, however often it is tried.
var ErrRefused = errors.New("mail: the server refuses it for good")

// SendReset sends a link with which its reader sets another password. The language is ru or
// en. Where the error does not wrap ErrRefused the mail may be tried again; it may also have
// arrived, because the server's last answer was lost. No error contains the address or the
// link: they are logged.
func (s *Sender) SendReset(ctx context.Context, to, language, token string) error {
	text, ok := resetTexts[language]
	if !ok {
		text = resetTexts["en"]
	}
	m := gomail.NewMsg(gomail.WithCharset(gomail.CharsetUTF8))
	m.FromMailAddress(s.from)
	if err := m.AddTo(wireAddress(to)); err != nil {
		return fmt.Errorf("%w: the address cannot be written in a mail", ErrRefused)
	}
	m.Subject(text.subject)
	m.SetMessageID()
	m.SetDate()
	m.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no machine answers it
	m.SetGenHeader(gomail.HeaderContentLang, text.language)
	m.SetBodyString(gomail.TypeTextPlain, fmt.Sprintf(text.body, s.site+"/web/reset?token="+token))
	return s.send(ctx, m)
}

func (s *Sender) send(ctx context.Context, m *gomail.Msg) error {
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	client, err := s.client()
	if err != nil {
		return err
	}
	connection, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return fmt.Errorf("reach the mail server: %w", plain(err))
	}
	defer connection.Close()
	if err := client.SendWithSMTPClient(connection, m); err != nil {
		return withoutAddress(err)
	}
	_ = client.CloseWithSMTPClient(connection) // the server has the mail
	return nil
}

// withoutAddress is what an error of the library says but for the address and the server's
// words, which may repeat it.
func withoutAddress(err error) error {
	sent, ok := errors.AsType[*gomail.SendError](err)
	switch {
	case !ok:
		return errors.New("the mail was not sent")
	case sent.ErrorCode() >= 500:
		return fmt.Errorf("%w: %s, status %d %s", ErrRefused, sent.Reason, sent.ErrorCode(), sent.EnhancedStatusCode())
	}
	return fmt.Errorf("%s, status %d %s", sent.Reason, sent.ErrorCode(), sent.EnhancedStatusCode())
}

// plain keeps of an error before the first command what names the network, and nothing of
// a password that a server may repeat.
func plain(err error) error {
	if network, ok := errors.AsType[net.Error](err); ok {
		return network
	}
	if certificate, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return certificate
	}
	return errors.New("it does not encrypt, or refuses the user or the password")
}

// wireAddress has the host in the form of the DNS: a server need not know another.
func wireAddress(email string) string {
	at := strings.LastIndexByte(email, '@')
	if at < 0 {
		return email
	}
	host, err := idna.Lookup.ToASCII(email[at+1:])
	if err != nil {
		return email
	}
	return email[:at+1] + host
}
