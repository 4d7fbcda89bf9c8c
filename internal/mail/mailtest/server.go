// Package mailtest is a real SMTP server for tests. It keeps what it is sent.
package mailtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// Mail is a message as a reader has it.
type Mail struct {
	From, To string // of the envelope
	Header   mail.Header
	Subject  string
	Text     string
}

// Link is the one line of the text that is an address; "" for none.
func (m Mail) Link() string {
	for line := range strings.Lines(m.Text) {
		if strings.HasPrefix(line, "http") {
			return strings.TrimSpace(line)
		}
	}
	return ""
}

// Server listens on 127.0.0.1 until the test ends.
type Server struct {
	URL      string // without encryption and password
	Addr     string
	Arrived  chan Mail // of 100 at most
	t        testing.TB
	mu       sync.Mutex
	refusals []*smtp.SMTPError
}

// User and Password are what a server with TLS asks for.
const (
	User     = "kassa"
	Password = "the mail server's password"
)

// New starts a server without TLS.
func New(t testing.TB) *Server {
	t.Helper()
	s := &Server{t: t, Arrived: make(chan Mail, 100)}
	s.serve(smtp.NewServer(s))
	s.URL = "smtp://" + s.Addr + "?tls=off"
	return s
}

// NewTLS starts a server with STARTTLS that takes mail of User only. ca is a file with its
// certificate.
func NewTLS(t testing.TB) (s *Server, ca string) {
	t.Helper()
	certificate, file := selfSigned(t)
	s = &Server{t: t, Arrived: make(chan Mail, 100)}
	server := smtp.NewServer(s)
	server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}}
	s.serve(server)
	return s, file
}

func (s *Server) serve(server *smtp.Server) {
	s.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	s.Addr = l.Addr().String()
	server.Domain, server.AllowInsecureAuth, server.EnableSMTPUTF8 = "mail.example", false, true
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	s.t.Cleanup(func() {
		_ = server.Close() // what Serve returns then counts
		<-done
	})
}

// Refuse answers the next recipients with these statuses, 450 or 550, instead of taking the
// mail.
func (s *Server) Refuse(statuses ...int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range statuses {
		s.refusals = append(s.refusals, &smtp.SMTPError{Code: n, EnhancedCode: smtp.EnhancedCode{n / 100, 1, 1}})
	}
}

// refusal answers one recipient, whose address it repeats as many servers do.
func (s *Server) refusal(to string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.refusals) == 0 {
		return nil
	}
	first := s.refusals[0]
	s.refusals = s.refusals[1:]
	first.Message = "no mail for <" + to + ">"
	return first
}

// Next waits for a mail.
func (s *Server) Next() Mail {
	s.t.Helper()
	select {
	case m := <-s.Arrived:
		return m
	case <-time.After(20 * time.Second):
		s.t.Fatal("no mail arrived")
		return Mail{}
	}
}

// NewSession is called by the server.
func (s *Server) NewSession(c *smtp.Conn) (smtp.Session, error) {
	_, encrypted := c.TLSConnectionState()
	return &session{server: s, encrypted: encrypted}, nil
}

type session struct {
	server    *Server
	encrypted bool
	signedIn  bool
	mail      Mail
}

func (n *session) AuthMechanisms() []string { return []string{sasl.Plain} }

func (n *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != User || password != Password {
			return smtp.ErrAuthFailed
		}
		n.signedIn = true
		return nil
	}), nil
}

func (n *session) Mail(from string, _ *smtp.MailOptions) error {
	if n.encrypted && !n.signedIn {
		return smtp.ErrAuthRequired
	}
	n.mail.From = from
	return nil
}

func (n *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	n.mail.To = to
	return n.server.refusal(to)
}

func (n *session) Data(r io.Reader) error {
	m, err := mail.ReadMessage(r)
	if err != nil {
		return err
	}
	n.mail.Header = m.Header
	if n.mail.Subject, err = new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject")); err != nil {
		return err
	}
	body := m.Body
	if strings.EqualFold(m.Header.Get("Content-Transfer-Encoding"), "quoted-printable") {
		body = quotedprintable.NewReader(body)
	}
	text, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	n.mail.Text = strings.ReplaceAll(string(text), "\r\n", "\n")
	n.server.Arrived <- n.mail
	return nil
}

func (n *session) Reset()        { n.mail = Mail{} }
func (n *session) Logout() error { return nil }

func selfSigned(t testing.TB) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, about, about, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}
