package process

import (
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// Certificate names the files of the service's own certificate, in PEM. Without, it speaks
// plain HTTP, for a proxy before it.
type Certificate struct{ File, KeyFile string }

// lookAgain is the time after which a handshake looks for a newer certificate.
const lookAgain = time.Second

// servedCertificate is read again when what is in its files has changed, so that a renewed
// certificate needs no restart. Their times and sizes are not asked: a file may be put back
// with both of an older one. Safe for concurrent use.
type servedCertificate struct {
	files Certificate
	log   *slog.Logger

	mu      sync.Mutex
	now     *tls.Certificate
	read    contents // of the files of now
	failed  string   // why what is in the files now is not used; "": it is
	checked time.Time
}

// contents are the hashes of what is in the two files.
type contents [2][sha256.Size]byte

func openCertificate(files Certificate, log *slog.Logger) (*servedCertificate, error) {
	s := &servedCertificate{files: files, log: log}
	if _, err := s.load(); err != nil {
		return nil, fmt.Errorf("read the certificate: %w", err)
	}
	return s, nil
}

// config lets in clients of TLS 1.2 and newer, as Go's defaults do.
func (s *servedCertificate) config() *tls.Config {
	return &tls.Config{NextProtos: []string{"h2", "http/1.1"}, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return s.current(), nil }}
}

// current gives the newest certificate that could be read. A renewal writes two files, one
// after the other: between them they do not fit, and the old certificate goes on. What cannot
// be used is tried again at each look, and logged once for each reason.
func (s *servedCertificate) current() *tls.Certificate {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.checked) < lookAgain {
		return s.now
	}
	s.checked = time.Now()
	changed, err := s.load()
	switch {
	case err == nil:
		s.failed = ""
	case err.Error() != s.failed:
		s.failed = err.Error()
		s.log.Warn("the new certificate is not used", "error", err)
	}
	if changed {
		s.log.Info("a new certificate is used", "until", s.now.Leaf.NotAfter)
	}
	return s.now
}

// load takes what is in the files, and reports whether that is another certificate than now.
func (s *servedCertificate) load() (changed bool, err error) {
	var pem [2][]byte
	var found contents
	for i, name := range []string{s.files.File, s.files.KeyFile} {
		if pem[i], err = os.ReadFile(name); err != nil {
			return false, err
		}
		found[i] = sha256.Sum256(pem[i])
	}
	if found == s.read {
		return false, nil
	}
	certificate, err := tls.X509KeyPair(pem[0], pem[1])
	if err != nil {
		return false, err
	}
	s.now, s.read = &certificate, found
	return true, nil
}
