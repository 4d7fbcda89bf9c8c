package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kassa/internal/bus/bustest"
	"kassa/schema/schematest"
)

// authority issues certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	serial      int64
	file        string // of the certificate, in PEM
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	a := &authority{key: key, certificate: &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}}
	der, err := x509.CreateCertificate(rand.Reader, a.certificate, a.certificate, &key.PublicKey, key)
	must(t, err)
	a.certificate, err = x509.ParseCertificate(der)
	must(t, err)
	a.file = filepath.Join(t.TempDir(), "ca.pem")
	must(t, os.WriteFile(a.file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	return a
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	return pool
}

// issue writes a certificate for this machine and its key, as servers and clients read them.
func (a *authority) issue(t *testing.T, folder string) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	a.serial++
	about := &x509.Certificate{SerialNumber: big.NewInt(a.serial), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, about, a.certificate, &key.PublicKey, a.key)
	must(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	certFile, keyFile = filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")
	must(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
	must(t, os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	return certFile, keyFile
}

// encrypted puts TLS in front of a server of the tests, and lets in only clients that have a
// certificate of the authority. before is what a client does before the handshake.
func (a *authority) encrypted(t *testing.T, target string, before func(net.Conn) error) (address string) {
	t.Helper()
	certFile, keyFile := a.issue(t, t.TempDir())
	own, err := tls.LoadX509KeyPair(certFile, keyFile)
	must(t, err)
	config := &tls.Config{Certificates: []tls.Certificate{own}, ClientCAs: a.pool(), ClientAuth: tls.RequireAndVerifyClientCert}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	pass := func(plain net.Conn) {
		defer plain.Close()
		if before(plain) != nil {
			return
		}
		secure := tls.Server(plain, config)
		if secure.Handshake() != nil {
			return
		}
		server, err := net.Dial("tcp", target)
		if err != nil {
			return
		}
		go func() { _, _ = io.Copy(server, secure); _ = server.Close() }()
		_, _ = io.Copy(secure, server)
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go pass(conn)
		}
	}()
	return listener.Addr().String()
}

// asksPostgresForTLS answers the message with which a client of PostgreSQL asks for TLS. One
// that does not ask is not let in.
func asksPostgresForTLS(conn net.Conn) error {
	asked := make([]byte, 8)
	if _, err := io.ReadFull(conn, asked); err != nil {
		return err
	}
	if string(asked) != "\x00\x00\x00\x08\x04\xd2\x16\x2f" {
		return io.ErrUnexpectedEOF
	}
	_, err := conn.Write([]byte("S"))
	return err
}

// addressed gives the address of a server by TLS, with files for it.
func addressed(t *testing.T, address, host string, query url.Values) string {
	t.Helper()
	u, err := url.Parse(address)
	must(t, err)
	u.Host, u.RawQuery = host, query.Encode()
	if u.Scheme == "amqp" {
		u.Scheme = "amqps"
	}
	return u.String()
}

// The service reaches PostgreSQL and RabbitMQ through TLS, of an authority of its own and with
// a certificate for itself. Without either, or with those of another authority, it does not
// get in, and the doctor says why.
func TestTLSInside(t *testing.T) {
	ours, theirs := newAuthority(t), newAuthority(t)
	certFile, keyFile := ours.issue(t, t.TempDir())
	owner, broker := schematest.Postgres(t), bustest.New(t)
	database := schematest.Service(t, owner)
	hostOf := func(address string) string { u, err := url.Parse(address); must(t, err); return u.Host }
	db := ours.encrypted(t, hostOf(database), asksPostgresForTLS)
	mq := ours.encrypted(t, hostOf(broker.Address), func(net.Conn) error { return nil })

	byTLS := []string{
		"--database-url", addressed(t, database, db, url.Values{"sslmode": {"verify-full"}, "sslrootcert": {ours.file}, "sslcert": {certFile}, "sslkey": {keyFile}}),
		"--amqp-url", addressed(t, broker.Address, mq, url.Values{"cacertfile": {ours.file}, "certfile": {certFile}, "keyfile": {keyFile}})}
	data := filepath.Join(t.TempDir(), "data")
	must(t, os.Mkdir(data, 0o700))
	s := serve(t, data, append(byTLS, "--not-found-below", "0")...)
	ada := s.signUp(t, newHTTP(), "ada@example.com")
	if a := ada.do(t.Context(), "POST", "/api/events/prediction/new", "", question{Text: "a ship in the ice", wait: 60}); a.status != http.StatusOK {
		t.Errorf("a question: %d %v", a.status, a.body)
	}
	s.interrupt(t)
	mustVerify(t, data, byTLS[:2]...)

	for fault, flags := range map[string][]string{
		"certificate is not trusted": {"--amqp-url", addressed(t, broker.Address, mq, url.Values{"cacertfile": {theirs.file}, "certfile": {certFile}, "keyfile": {keyFile}})},
		"TLS fails":                  {"--database-url", addressed(t, database, db, url.Values{"sslmode": {"verify-full"}, "sslrootcert": {theirs.file}, "sslcert": {certFile}, "sslkey": {keyFile}})},
		"certfile and keyfile":       {"--amqp-url", addressed(t, broker.Address, mq, url.Values{"cacertfile": {ours.file}})},
		"sslcert and sslkey":         {"--database-url", addressed(t, database, db, url.Values{"sslmode": {"verify-full"}, "sslrootcert": {ours.file}})},
	} {
		code, out, complaints := kassa(t, append([]string{"doctor", "--data", data}, flags...)...)
		if code == 0 || !strings.Contains(out, fault) {
			t.Errorf("the doctor does not say %q, with exit code %d:\n%s%s", fault, code, out, complaints)
		}
	}
}

// The service speaks HTTPS itself, HTTP/2 too. A renewed certificate is used without a
// restart; one that does not fit its key is not, and the log says so.
func TestHTTPS(t *testing.T) {
	site := newAuthority(t)
	folder := t.TempDir()
	certFile, keyFile := site.issue(t, folder)
	s := serve(t, t.TempDir(), "--tls-cert", certFile, "--tls-key", keyFile, "--health-addr", "127.0.0.1:0", "--not-found-below", "0")
	if !strings.HasPrefix(s.url, "https://") {
		t.Fatalf("it is open at %s", s.url)
	}
	// served gives the number of the certificate that a new connection meets.
	served := func() int64 {
		conn, err := tls.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(s.url, "https://"), "/web"), &tls.Config{RootCAs: site.pool()})
		must(t, err)
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	first := served()

	browser := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: site.pool()}, ForceAttemptHTTP2: true}, Timeout: time.Minute}
	ada := s.signUp(t, browser, "ada@example.com")
	if a := ada.do(t.Context(), "POST", "/api/events/prediction/new", "", question{Text: "a ship in the ice", wait: 60}); a.status != http.StatusOK {
		t.Errorf("a question: %d %v", a.status, a.body)
	}
	page, err := browser.Get(s.url + "/web/signin")
	must(t, err)
	defer page.Body.Close()
	if page.Proto != "HTTP/2.0" || page.Header.Get("Strict-Transport-Security") == "" {
		t.Errorf("the page came by %s, with HSTS %q", page.Proto, page.Header.Get("Strict-Transport-Security"))
	}

	must(t, os.WriteFile(keyFile, []byte("half a renewal"), 0o600))
	patiently(t, "the warning", func() bool {
		if n := served(); n != first {
			t.Fatalf("after half a renewal certificate %d is served, first was %d", n, first)
		}
		return strings.Contains(s.log.String(), "the new certificate is not used")
	})
	site.issue(t, folder)
	patiently(t, "the new certificate", func() bool { return served() != first })
	s.interrupt(t)
}
